//! The tasks that change everything, all the time and all at once (H52).

use std::sync::Arc;

use palisade::{Class, Failure, LoadError, PluginConfig, PluginError, PluginSpec};
use palisade_tests::{config, event, spec};
use serde_json::{Value, json};

use crate::board::Line;
use crate::chance::Chance;
use crate::plugins::sinner;
use crate::soak::Soak;

/// One of them.
struct Churner {
    soak: Arc<Soak>,
    task: usize,
    chance: Chance,
    line: Arc<Line>,
}

/// One task's share: mostly a plugin of its own, sometimes one that all of them fight over.
pub(crate) async fn run(soak: Arc<Soak>, task: usize) {
    let (chance, line) = (soak.chance(20 + task), soak.board.line(format!("churn {task}")));
    let mut churner = Churner {
        soak,
        task,
        chance,
        line,
    };
    while !churner.soak.is_over() {
        match churner.chance.below(16) {
            0 => churner.own().await,
            1 => churner.own_sinner().await,
            2 | 3 => churner.shared().await,
            4..=9 => churner.publish().await,
            _ => churner.subscribe().await,
        }
        churner.line.now_at("pause");
        churner.chance.pause(40).await;
    }
    churner.line.now_at("ended");
}

/// A task that gives healthy plugins another config now and then, under their load.
pub(crate) async fn reconfigure(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line("reconfigure"));
    while !soak.is_over() {
        line.now_at("reconfigure of steady or scribe");
        let plugin = *chance.one_of(&["steady", "scribe"]);
        let table = if chance.below(2) == 0 {
            json!({})
        } else {
            json!({ "in-health": "nothing" })
        };
        let changed = soak.runtime.reconfigure(plugin, config(table)).await;
        soak.tally.change("reconfigure under load", changed.is_ok());
        if let Err(error) = changed {
            soak.findings
                .add(format!("a healthy plugin was not reconfigured: {error}"));
        }
        line.now_at("pause");
        chance.pause(200).await;
    }
    line.now_at("ended");
}

impl Churner {
    /// A healthy plugin of its own comes, handles an event and goes.
    async fn own(&mut self) {
        let name = format!("own-{}", self.task);
        if !self.load(spec("probe").name(&name)).await {
            return self.wrong("a healthy plugin was not loaded");
        }
        if !self.start(&name).await {
            self.wrong("a healthy plugin did not start");
        }
        let report = self.soak.runtime.publish(event("churn.own", Value::Null)).await;
        let handled = report.is_ok_and(|report| {
            report
                .of(&format!("{name}/all"))
                .is_some_and(|own| own.class == Class::Ok)
        });
        self.soak.findings.check(handled, || {
            "a plugin that has just started did not handle an event".to_owned()
        });
        if self.chance.below(2) == 0 && !self.stop(&name).await {
            self.wrong("a healthy plugin was not stopped");
        }
        self.unload_own(&name).await;
    }

    /// A hostile plugin of its own comes and goes; it may not start, but it must go.
    async fn own_sinner(&mut self) {
        let name = format!("own-bad-{}", self.task);
        let life = json!({
            "in-start": self.chance.one_of(&["nothing", "nothing", "spin", "sleep", "trap"]),
            "in-stop": self.chance.one_of(&["nothing", "spin", "sleep", "trap"]),
        });
        let (fresh, metered) = (self.chance.below(2) == 0, self.chance.below(2) == 0);
        if !self.load(sinner(&name, fresh, metered).config(config(life))).await {
            return;
        }
        if self.start(&name).await {
            self.line.now_at("publish to a hostile plugin of its own");
            self.soak.tally.hostile();
            let _ = self.soak.runtime.publish(event("hostile.ok", Value::Null)).await;
        }
        self.unload_own(&name).await;
    }

    /// A plugin that others load, stop and unload at the same time: each of these may be refused.
    async fn shared(&mut self) {
        const NAME: &str = "shared";
        match self.chance.below(6) {
            0 => drop(self.load(spec("probe").name(NAME)).await),
            1 | 2 => drop(self.start(NAME).await),
            3 => {
                self.line.now_at("reconfigure");
                let table = PluginConfig::default().with("n", self.chance.below(1000));
                let changed = self.soak.runtime.reconfigure(NAME, table).await;
                self.changed("reconfigure", changed.map(drop));
            }
            4 => drop(self.stop(NAME).await),
            _ => drop(self.unload(NAME).await),
        }
    }

    /// Publishes for whoever is there.
    async fn publish(&mut self) {
        for _ in 0..20 {
            self.line.now_at("publish");
            self.soak.tally.healthy();
            match self.soak.runtime.publish(event("churn.direct", Value::Null)).await {
                Ok(report) => {
                    let steady = report.of("steady/all").map(|outcome| outcome.class);
                    let mut others = report.outcomes.iter().map(|outcome| outcome.class);
                    let well = steady == Some(Class::Ok)
                        && others.all(|class| matches!(class, Class::Ok | Class::Unavailable));
                    self.soak
                        .findings
                        .check(well, || format!("an event among changes was not handled: {report:?}"));
                }
                Err(error) => self
                    .soak
                    .findings
                    .add(format!("an event among changes was not published: {error}")),
            }
            self.line.now_at("publish_async");
            self.soak.tally.healthy();
            match self
                .soak
                .runtime
                .publish_async(event("churn.queued", Value::Null))
                .await
            {
                Ok(receipt) => self
                    .soak
                    .findings
                    .check(receipt.matched == receipt.enqueued + receipt.refused.len(), || {
                        format!("a receipt that does not add up: {receipt:?}")
                    }),
                Err(error) => self
                    .soak
                    .findings
                    .add(format!("an event among changes was not queued: {error}")),
            }
            self.chance.pause(2).await;
        }
    }

    /// Native handlers come and go.
    async fn subscribe(&mut self) {
        for n in 0..10 {
            self.line.now_at("subscribe");
            let name = format!("native-{}-{n}", self.task);
            let subscribed = self
                .soak
                .runtime
                .subscribe("churn.native", &name, |_| async { Ok::<(), Failure>(()) });
            self.soak.tally.change("subscribe", subscribed.is_ok());
            let Ok(id) = subscribed else {
                self.wrong("a native handler was not subscribed");
                continue;
            };
            self.line.now_at("publish to a native handler of its own");
            let report = self.soak.runtime.publish(event("churn.native", Value::Null)).await;
            let handled = report.is_ok_and(|report| report.of(&name).is_some_and(|own| own.class == Class::Ok));
            self.soak.findings.check(handled, || {
                "a handler that has just subscribed did not handle an event".to_owned()
            });
            let ended = self.soak.runtime.unsubscribe(id);
            self.soak.tally.change("unsubscribe", ended.is_ok());
            if ended.is_err() {
                self.wrong("a native handler was not unsubscribed");
            }
            self.chance.pause(2).await;
        }
    }

    async fn load(&self, spec: PluginSpec) -> bool {
        self.line.now_at("wait for other loads");
        let turn = self.soak.loads.acquire().await;
        self.line.now_at("load");
        let loaded = self.soak.runtime.load(spec).await;
        drop(turn);
        self.soak.tally.change("load", loaded.is_ok());
        if let Err(error) = &loaded {
            // A hostile plugin's limits are short: on a busy machine even its `describe` may not make it.
            let expected = matches!(error, LoadError::AlreadyLoaded { .. } | LoadError::Describe { .. });
            self.soak
                .findings
                .check(expected, || format!("a load was refused: {error}"));
        }
        loaded.is_ok()
    }

    async fn start(&self, name: &str) -> bool {
        self.line.now_at("start");
        self.changed("start", self.soak.runtime.start(name).await)
    }

    async fn stop(&self, name: &str) -> bool {
        self.line.now_at("stop");
        self.changed("stop", self.soak.runtime.stop(name).await)
    }

    async fn unload(&self, name: &str) -> bool {
        self.line.now_at("unload");
        self.changed("unload", self.soak.runtime.unload(name).await)
    }

    async fn unload_own(&self, name: &str) {
        if !self.unload(name).await || self.soak.runtime.plugin(name).is_some() {
            self.wrong("a plugin was not unloaded");
        }
    }

    /// Counts a change; one that is refused for a reason that can't be is a finding.
    fn changed(&self, kind: &'static str, answer: Result<(), PluginError>) -> bool {
        self.soak.tally.change(kind, answer.is_ok());
        if let Err(error) = &answer {
            use PluginError::{NotFound, Start, WrongState};
            let expected = matches!(error, NotFound(_) | WrongState { .. } | Start { .. });
            self.soak
                .findings
                .check(expected, || format!("a {kind} was refused: {error}"));
        }
        answer.is_ok()
    }

    fn wrong(&self, what: &str) {
        self.soak.findings.add(what);
    }
}
