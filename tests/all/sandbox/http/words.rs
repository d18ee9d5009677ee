//! The guest that fetches, its neighbour, and a resolver that says what a test wants.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use palisade::{BoxFuture, Class, Grants, Limits, Outcome, PluginSpec, Resolver, Runtime, RuntimeBuilder};
use palisade_tests::{Seen, event, publishes, small_engine, spec};
use serde_json::{Value, json};

use crate::sandbox::beside::neighbour;

/// A runtime with `fetcher` and `neighbour`.
pub(super) struct Fetching {
    pub(super) runtime: Runtime,
    reports: Seen,
}

impl Fetching {
    pub(super) async fn new(fetcher: PluginSpec) -> Self {
        Self::with(Runtime::builder(), fetcher).await
    }

    pub(super) async fn with(builder: RuntimeBuilder, fetcher: PluginSpec) -> Self {
        let runtime = builder.engine(small_engine()).build().expect("a runtime");
        let reports = Seen::subscribe(&runtime, "fetch.report", "reports");
        runtime.launch(vec![fetcher, neighbour()]).await.expect("both start");
        Self { runtime, reports }
    }

    /// Carries out an order, or goes on with earlier ones, and says how that ended. The neighbour must have been served.
    pub(super) async fn outcome(&self, event_type: &str, order: Value) -> Outcome {
        self.runtime.quiet().await;
        let report = self.runtime.publish(event(event_type, order)).await.expect("published");
        let neighbour = report.of("neighbour/all").expect("the neighbour got it too");
        assert_eq!(neighbour.class, Class::Ok, "{}", neighbour.message());
        report.of("fetcher/fetch").expect("fetcher got it").clone()
    }

    /// The answers to an order that ends well.
    pub(super) async fn answers(&self, event_type: &str, order: Value) -> Vec<Value> {
        let before = self.reports.len();
        let outcome = self.outcome(event_type, order).await;
        assert_eq!(outcome.class, Class::Ok, "{}", outcome.message());
        self.report(before).await
    }

    /// The answers of the report after so many others.
    pub(super) async fn report(&self, before: usize) -> Vec<Value> {
        let reports = self.reports.wait_for(before + 1).await;
        let report: Value = reports[before].json().expect("JSON");
        report["answers"].as_array().expect("answers").clone()
    }

    /// The one answer to an order for one request.
    pub(super) async fn fetch(&self, order: Value) -> Value {
        let mut answers = self.answers("fetch.order", order).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// The error that such an order is answered with.
    pub(super) async fn error(&self, order: Value) -> String {
        let answer = self.fetch(order).await;
        answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {:.300}", answer.to_string()))
            .to_owned()
    }
}

/// `fetcher` with these grants, and with one for its reports.
pub(super) fn fetcher(http: impl FnOnce(Grants) -> Grants) -> PluginSpec {
    spec("fetcher").grants(http(publishes("fetch.>")))
}

/// `fetcher` with a grant of a server on loopback.
pub(super) fn fetcher_of(authority: &str) -> PluginSpec {
    fetcher(|grants| grants.http_private(format!("http://{authority}")))
}

/// The same with limits of its own.
pub(super) fn limited(authority: &str, change: impl FnOnce(&mut Limits)) -> PluginSpec {
    fetcher_of(authority).limits(palisade_tests::limits(change))
}

/// An order for a path.
pub(super) fn get(authority: &str, path: &str) -> Value {
    json!({ "authority": authority, "path": path })
}

/// An order with more in it.
pub(super) fn order(authority: &str, path: &str, more: Value) -> Value {
    let mut order = get(authority, path);
    for (key, value) in more.as_object().expect("a table") {
        order[key] = value.clone();
    }
    order
}

/// A resolver that knows a few names. A name with several answers gives one after the other, the last one for ever; a name
/// without any is never answered.
#[derive(Clone, Default)]
pub(super) struct Names {
    answers: Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    /// One more answer.
    pub(super) fn with(self, name: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address"));
        self.answers()
            .entry(name.to_owned())
            .or_default()
            .push(addresses.collect());
        self
    }

    /// A name that is never answered.
    pub(super) fn silent(self, name: &str) -> Self {
        self.answers().insert(name.to_owned(), Vec::new());
        self
    }

    /// The names that were asked for, in turn.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Vec<IpAddr>>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(host.to_owned());
        let mut answers = self.answers();
        let answer = match answers.get_mut(host) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(answers) if answers.is_empty() => return Box::pin(std::future::pending()),
            Some(answers) if answers.len() == 1 => Ok(answers[0].clone()),
            Some(answers) => Ok(answers.remove(0)),
        };
        Box::pin(std::future::ready(answer))
    }
}
