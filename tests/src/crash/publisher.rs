//! One of those who publish as fast as they can.

use std::sync::Arc;

use palisade::{Class, Event, PublishError, Runtime};

use super::log::Log;
use super::name::Name;
use super::record::Record;

/// What it did last before the kill.
#[derive(Clone, Debug)]
pub(super) struct Last {
    name: Name,
    /// Those who were owed it when its publish returned; empty if it had not.
    by: Vec<String>,
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
    pub(super) fn of(publisher: u32, records: &[Record]) -> Option<Self> {
        let mut last: Option<Self> = None;
        for record in records {
            match record {
                Record::Trying(name) if name.publisher == publisher => {
                    last = Some(Self {
                        name: *name,
                        by: Vec::new(),
                    });
                }
                Record::Acked(name, by) if name.publisher == publisher => {
                    last = Some(Self {
                        name: *name,
                        by: by.clone(),
                    });
                }
                _ => {}
            }
        }
        last
    }
}

impl Publisher {
    /// Until the runtime takes no more.
    pub(super) async fn run(self, last: Option<Last>) {
        if let Some(last) = last
            && !self.resume(&last).await
        {
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

    /// As a publisher does that has had no answer: publishes the last one again, with the same id. One that had its answer
    /// does so too, and is told that it is known (D6).
    async fn resume(&self, last: &Last) -> bool {
        if last.by.is_empty() {
            return self.publish(last.name).await;
        }
        match self.runtime.publish_async(last.name.event(self.padding)).await {
            Ok(receipt) => {
                let known = receipt.duplicates;
                if known < last.by.len() {
                    self.log.wrong(format!(
                        "{} was published again and known to {known} of {:?}",
                        last.name, last.by
                    ));
                }
                self.log.write(&Record::Again(last.name, known as u64));
                true
            }
            Err(error) => self.goes_on(last.name, &error),
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
