//! One of those who publish as fast as they can.

use std::sync::Arc;

use palisade::{Class, Event, PublishError, Runtime};

use super::log::Log;
use super::name::Name;
use super::record::Record;

/// What it did last before the kill.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    /// The last one whose publish has returned, and who is owed it.
    acked: Option<(Name, Vec<String>)>,
    /// One whose publish had not returned.
    under_way: Option<Name>,
}

/// Publishes one event after the other, each when the publish before it has returned.
pub(super) struct Publisher {
    pub(super) runtime: Runtime,
    pub(super) log: Arc<Log>,
    pub(super) life: u32,
    pub(super) number: u32,
    pub(super) padding: usize,
}

impl Last {
    /// What a publisher did last, by the end of the records.
    pub(super) fn of(publisher: u32, records: &[Record]) -> Self {
        let mut last = Self::default();
        for record in records {
            match record {
                Record::Trying(name) if name.publisher == publisher => last.under_way = Some(*name),
                Record::Acked(name, by) if name.publisher == publisher => {
                    (last.acked, last.under_way) = (Some((*name, by.clone())), None);
                }
                _ => {}
            }
        }
        last
    }
}

impl Publisher {
    /// Until the runtime takes no more.
    pub(super) async fn run(self, last: Last) {
        if !self.resume(last).await {
            return;
        }
        for number in 0.. {
            let name = Name {
                life: self.life,
                publisher: self.number,
                number,
            };
            if !self.publish(name).await {
                return;
            }
        }
    }

    /// Goes on as a publisher does that has had no answer: publishes what was under way again, with the same id. What it had
    /// an answer for it publishes again too, and is told that it is known (D6).
    async fn resume(&self, last: Last) -> bool {
        if let Some((name, by)) = last.acked
            && !self.again(name, &by).await
        {
            return false;
        }
        match last.under_way {
            Some(name) => self.publish(name).await,
            None => true,
        }
    }

    async fn again(&self, name: Name, by: &[String]) -> bool {
        match self.runtime.publish_async(name.event(self.padding)).await {
            Ok(receipt) => {
                let known = receipt.duplicates;
                if known < by.len() {
                    self.log
                        .wrong(format!("{name} was published again, and known to {known} of {by:?}"));
                }
                self.log.write(&Record::Again(name, known as u64));
                true
            }
            Err(error) => self.goes_on(name, &error),
        }
    }

    /// Publishes one, and notes before and after. False where the runtime takes no more.
    async fn publish(&self, name: Name) -> bool {
        self.log.write(&Record::Trying(name));
        let event = name.event(self.padding);
        let published = match name.is_direct() {
            true => self.direct(name, event).await,
            false => self.queued(name, event).await,
        };
        match published {
            Ok(by) => {
                self.log.write(&Record::Acked(name, by));
                true
            }
            Err(error) => self.goes_on(name, &error),
        }
    }

    fn goes_on(&self, name: Name, error: &PublishError) -> bool {
        if !matches!(error, PublishError::ShuttingDown) {
            self.log.wrong(format!("{name} was not published: {error}"));
        }
        false
    }

    /// Those who are owed it now, or were before.
    async fn queued(&self, name: Name, event: Event) -> Result<Vec<String>, PublishError> {
        let receipt = self.runtime.publish_async(event).await?;
        let recipients = name.recipients();
        let told = receipt.enqueued + receipt.duplicates + receipt.refused.len();
        if receipt.matched != recipients.len() || told != receipt.matched || receipt.dropped > 0 {
            self.log.wrong(format!(
                "{name} is for {recipients:?}, and the receipt says {receipt:?}"
            ));
        }
        let refused: Vec<_> = receipt.refused.iter().map(|one| one.handler.to_string()).collect();
        let owed = recipients
            .iter()
            .filter(|name| !refused.iter().any(|other| other == *name));
        Ok(owed.map(ToString::to_string).collect())
    }

    /// Those whose first attempt is over, for what is not done then is owed; and those who have not come to it, where the outcome
    /// says that it is stored. Of those who had it before the report says no more than how many they are.
    async fn direct(&self, name: Name, event: Event) -> Result<Vec<String>, PublishError> {
        let report = self.runtime.publish(event).await?;
        if report.outcomes.len() + report.duplicates != name.recipients().len() {
            let recipients = name.recipients();
            self.log
                .wrong(format!("{name} is for {recipients:?}, and the report says {report:?}"));
        }
        let owed = report.outcomes.iter().filter(|outcome| match outcome.class {
            Class::Ok | Class::Retry | Class::Trap => true,
            _ => outcome.message().contains("is stored"),
        });
        Ok(owed.map(|outcome| outcome.handler.to_string()).collect())
    }
}
