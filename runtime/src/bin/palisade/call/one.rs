//! The call itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use palisade::{
    Context, Disposition, Event, EventError, Failure, Grants, Origin, Outcome, Pattern, PluginKind, PluginSpec,
    PluginStatus, QueuePolicy, Report, Runtime, SubscribeOptions,
};

/// What came of the call.
pub(super) struct Called {
    /// What is known of the plugin after it.
    pub(super) plugin: PluginStatus,
    pub(super) answer: Answer,
    /// What the plugin published about this event, in its order.
    pub(super) published: Vec<Event>,
}

/// What became of the event.
pub(super) enum Answer {
    /// It is no event, or not one that the bus takes.
    Refused(String),
    /// No handler of the plugin takes its type.
    Unmatched,
    /// Handlers got it.
    Handled(Vec<Outcome>),
    /// A filter said whether it goes on.
    Judged { accepted: bool },
    /// A filter failed to say so.
    NoVerdict,
}

impl Called {
    pub(super) fn is_ok(&self) -> bool {
        match &self.answer {
            Answer::Handled(outcomes) => outcomes.iter().all(|outcome| outcome.class == palisade::Class::Ok),
            Answer::Judged { .. } => true,
            Answer::Refused(_) | Answer::Unmatched | Answer::NoVerdict => false,
        }
    }
}

/// Starts the plugin, gives it the event, and ends it.
pub(super) async fn call(runtime: &Runtime, spec: PluginSpec, event: Result<Event, EventError>) -> Result<Called> {
    let (limit, heard) = (spec.limits.timeout, Heard::default());
    heard.listen(runtime, &spec.grants)?;
    runtime.launch(vec![spec]).await?;
    let (answer, id) = match event {
        Ok(event) => (
            runtime.publish(event.clone()).await.map_err(|error| error.to_string()),
            event.id().to_owned(),
        ),
        Err(error) => (Err(error.to_string()), String::new()),
    };
    // What the plugin published may come back to it, for as many hops as there may be.
    let _ = tokio::time::timeout(limit, runtime.quiet()).await;
    let plugin = runtime.plugins().pop().ok_or_else(|| anyhow!("the plugin is gone"))?;
    runtime.shutdown(Duration::ZERO).await;
    let answer = answer.map_or_else(Answer::Refused, |report| understand(report, &plugin));
    Ok(Called {
        plugin,
        answer,
        published: heard.about(&id),
    })
}

fn understand(mut report: Report, plugin: &PluginStatus) -> Answer {
    // We listen too.
    report.outcomes.retain(|outcome| outcome.handler.plugin().is_some());
    let filtered = matches!(report.disposition, Disposition::Filtered { .. });
    match plugin.kind {
        // A fault costs a filter its instance; then the verdict is that of `on-fault`.
        PluginKind::Filter if plugin.instance_memory.is_empty() => Answer::NoVerdict,
        PluginKind::Filter => Answer::Judged { accepted: !filtered },
        PluginKind::Event if report.outcomes.is_empty() => Answer::Unmatched,
        PluginKind::Event => Answer::Handled(report.outcomes),
    }
}

/// What came over the bus from the plugin.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

impl Heard {
    /// A plugin publishes what its grants name and nothing else.
    fn listen(&self, runtime: &Runtime, grants: &Grants) -> Result<()> {
        let mut patterns: Vec<_> = grants.publish.iter().map(Pattern::as_str).collect();
        patterns.sort_unstable();
        patterns.dedup();
        if patterns.is_empty() {
            return Ok(());
        }
        let heard = self.clone();
        let keep = move |cx: Context| {
            if cx.origin == Origin::Handler {
                heard
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(cx.event.clone());
            }
            std::future::ready(Ok::<_, Failure>(()))
        };
        let queue = QueuePolicy {
            events: 65_536,
            bytes: 256 * 1024 * 1024,
            ..QueuePolicy::default()
        };
        runtime.subscribe_with(&patterns, "call", SubscribeOptions::default().queue(queue), keep)?;
        Ok(())
    }

    /// What was published while the event was handled: neither what `start` published, nor what followed from it.
    fn about(&self, id: &str) -> Vec<Event> {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        heard.retain(|event| event.metadata("causationid").as_deref() == Some(id));
        heard
    }
}
