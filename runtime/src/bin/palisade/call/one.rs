//! The call itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use palisade::{
    ComponentError, Context, Disposition, Event, EventError, Failure, Grants, LaunchError, LaunchFailure, LoadError,
    Origin, Outcome, Pattern, PluginError, PluginKind, PluginSpec, PluginStatus, QueuePolicy, Report, Runtime,
    SubscribeOptions, SubscriptionId,
};

use super::grants;

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
    /// A handler's own pattern takes it, but not what the subscribe grants leave of that.
    NotGranted(Vec<Pattern>),
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
            Answer::Refused(_) | Answer::Unmatched | Answer::NotGranted(_) | Answer::NoVerdict => false,
        }
    }
}

/// Starts the plugin, gives it the event, and ends it.
pub(super) async fn call(runtime: &Runtime, spec: PluginSpec, event: Result<Event, EventError>) -> Result<Called> {
    let (limit, heard, grants) = (spec.limits.timeout, Heard::default(), spec.grants.clone());
    let listening = heard.listen(runtime, &spec.grants)?;
    runtime.launch(vec![spec]).await.map_err(refused)?;
    check_kind(runtime, &grants)?;
    let report = match &event {
        Ok(event) => runtime.publish(event.clone()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    // What the plugin published may come back to it, for as many hops as there may be.
    let is_quiet = tokio::time::timeout(limit, runtime.quiet()).await.is_ok();
    let plugin = runtime.plugins().pop().ok_or_else(|| anyhow!("the plugin is gone"))?;
    // What it publishes as it stops is not about the event, so that nobody need hear of it.
    for subscription in listening {
        runtime.unsubscribe(subscription)?;
    }
    let drain = if is_quiet { limit } else { Duration::ZERO };
    runtime.shutdown(drain).await;
    let (answer, published) = match (report, event) {
        (Ok(report), Ok(event)) => (
            understand(report, &plugin, event.event_type(), grants.subscribe),
            heard.about(event.id()),
        ),
        (Err(why), _) => (Answer::Refused(why), Vec::new()),
        (Ok(_), Err(error)) => (Answer::Refused(error.to_string()), Vec::new()),
    };
    Ok(Called {
        plugin,
        answer,
        published,
    })
}

/// Why it could not be started, with what would let it.
fn refused(error: LaunchError) -> anyhow::Error {
    let remedy = error.0.iter().find_map(|failure| match failure {
        LaunchFailure::Load(LoadError::Component {
            source: ComponentError::NotGranted { grant, .. },
            ..
        }) => grants::argument(*grant).map(|argument| format!("call gives it with {argument}")),
        LaunchFailure::Start(PluginError::MissingDependency { .. }) => {
            Some("call runs one plugin alone, so give both to `palisade run --stdin`".to_owned())
        }
        _ => None,
    });
    match remedy {
        Some(remedy) => anyhow!("{error}; {remedy}"),
        None => error.into(),
    }
}

/// A filter is asked for its verdict and has no bus; no config grants it more.
fn check_kind(runtime: &Runtime, grants: &Grants) -> Result<()> {
    let mut for_filters = Grants::default().clocks(grants.clocks);
    (for_filters.env, for_filters.fs) = (grants.env.clone(), grants.fs.clone());
    let filter = runtime
        .plugins()
        .into_iter()
        .find(|plugin| plugin.kind == PluginKind::Filter);
    match filter {
        Some(filter) if *grants != for_filters => bail!(
            "{} is a filter, which is granted env, fs and clocks only: leave out the other grants",
            filter.name
        ),
        _ => Ok(()),
    }
}

fn understand(mut report: Report, plugin: &PluginStatus, event_type: &str, granted: Vec<Pattern>) -> Answer {
    // We listen too.
    report.outcomes.retain(|outcome| outcome.handler.plugin().is_some());
    let filtered = matches!(report.disposition, Disposition::Filtered { .. });
    match plugin.kind {
        // A fault costs a filter its instance; then the verdict is that of `on-fault`.
        PluginKind::Filter if plugin.instance_memory.is_empty() => Answer::NoVerdict,
        PluginKind::Filter => Answer::Judged { accepted: !filtered },
        PluginKind::Event if report.outcomes.is_empty() => {
            let in_grants = granted.is_empty() || granted.iter().any(|grant| grant.matches(event_type));
            if !in_grants && declares(plugin, event_type) {
                Answer::NotGranted(granted)
            } else {
                Answer::Unmatched
            }
        }
        PluginKind::Event => Answer::Handled(report.outcomes),
    }
}

/// Whether a handler's own patterns take this type, whatever is granted.
fn declares(plugin: &PluginStatus, event_type: &str) -> bool {
    let mut patterns = plugin.info.handlers.iter().flat_map(|handler| &handler.patterns);
    patterns.any(|pattern| {
        pattern
            .parse::<Pattern>()
            .is_ok_and(|pattern| pattern.matches(event_type))
    })
}

/// What came over the bus from the plugin.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

impl Heard {
    /// A plugin publishes what its grants name and nothing else.
    fn listen(&self, runtime: &Runtime, grants: &Grants) -> Result<Vec<SubscriptionId>> {
        let mut patterns: Vec<_> = grants.publish.iter().map(Pattern::as_str).collect();
        patterns.sort_unstable();
        patterns.dedup();
        if patterns.is_empty() {
            return Ok(Vec::new());
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
        let options = SubscribeOptions::default().queue(queue);
        Ok(runtime.subscribe_with(&patterns, "call", options, keep)?)
    }

    /// What was published while the event was handled: neither what `start` published, nor what followed from it.
    fn about(&self, id: &str) -> Vec<Event> {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        heard.retain(|event| event.metadata("causationid").as_deref() == Some(id));
        heard
    }
}
