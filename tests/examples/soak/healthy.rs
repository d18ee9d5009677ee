//! What healthy plugins must handle, all of it and once, whatever the others do.

use std::sync::Arc;

use palisade::{Context, Disposition, Event, EventTime, Failure, QueuePolicy, SubscribeOptions};
use palisade_tests::event;
use serde_json::{Value, json};

use crate::soak::Soak;

/// Subscribes those who hear what the healthy plugins say.
pub(crate) fn listen(soak: &Arc<Soak>) {
    // Room for more than can ever be under way: a report that is refused would be taken for a lost one.
    let roomy = QueuePolicy {
        events: 16 * 1024,
        ..QueuePolicy::default()
    };
    let listener = |pattern, name, heard: fn(&Soak, &Event)| {
        // It must not keep the runtime that keeps it.
        let weak = Arc::downgrade(soak);
        let hear = move |cx: Context| {
            if let Some(soak) = weak.upgrade() {
                heard(&soak, &cx.event);
            }
            std::future::ready(Ok::<(), Failure>(()))
        };
        let options = SubscribeOptions::default().queue(roomy);
        let subscribed = soak.runtime.subscribe_with(&[pattern], name, options, hear);
        subscribed.expect("a subscription");
    };
    listener("hostile.report", "reports", |soak, event| {
        if event.source() == "scribe" {
            soak.reports.arrive(&text(event, "id"), &soak.findings);
        }
    });
    listener("auth.bruteforce", "alerts", |soak, event| {
        soak.alerts.arrive(&text(event, "ip"), &soak.findings);
    });
    listener("healthy.>", "native", |_, _| ());
}

/// Events that are published and waited for: each must be ok for a plugin and for a closure.
pub(crate) async fn direct(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line("healthy, direct"));
    let mut number = 0_u64;
    while !soak.is_over() {
        for _ in 0..=chance.below(100) {
            number += 1;
            let is_secret = number.is_multiple_of(1_000);
            let words = if is_secret { "BEGIN PRIVATE KEY" } else { "harmless" };
            line.now_at("publish of healthy.direct");
            soak.tally.healthy();
            match soak
                .runtime
                .publish(event("healthy.direct", json!({ "n": number, "text": words })))
                .await
            {
                Ok(report) if is_secret => {
                    soak.findings
                        .check(matches!(report.disposition, Disposition::Filtered { .. }), || {
                            format!("a secret was not held back: {:?}", report.disposition)
                        });
                }
                Ok(report) => {
                    let ok = |handler| report.of(handler).is_some_and(|outcome| outcome.fault.is_none());
                    soak.findings.check(ok("steady/all") && ok("native"), || {
                        format!("a healthy event was not handled by all: {report:?}")
                    });
                }
                Err(error) => soak.findings.add(format!("a healthy event was not published: {error}")),
            }
        }
        line.now_at("pause");
        chance.pause(4).await;
    }
    line.now_at("ended");
}

/// Numbered events by the queue: the scribe must report each once.
pub(crate) async fn numbered(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line("healthy, numbered"));
    let mut number = 0_u64;
    while !soak.is_over() {
        for _ in 0..=chance.below(50) {
            number += 1;
            let id = format!("soak-{number}");
            line.now_at("wait for a report of the scribe");
            soak.reports.send(id.clone()).await;
            let built = Event::builder("hostile.context", "/soak")
                .id(&*id)
                .json(&Value::Null)
                .build();
            line.now_at("publish_async of a numbered event");
            if !queue(&soak, built.expect("an event"), "scribe/sin").await {
                soak.reports.forget(&id);
            }
        }
        line.now_at("pause");
        chance.pause(4).await;
    }
    line.now_at("ended");
}

/// Failed logins by the queue, three an address: each address must come to one alert.
pub(crate) async fn logins(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line("healthy, logins"));
    let mut number = 0_u64;
    while !soak.is_over() {
        number += 1;
        let address = format!("fd00::{:x}:{:x}", number >> 16, number & 0xffff);
        line.now_at("wait for an alert");
        soak.alerts.send(address.clone()).await;
        // One time for all three: what keeps this task waiting must not put them out of the window.
        let now = EventTime::now();
        for _ in 0..3 {
            let data = json!({ "user": "root", "ip": address });
            let built = Event::builder("user.login.failed", "/sshd")
                .time(now.clone())
                .json(&data)
                .build();
            line.now_at("publish_async of a login");
            if !queue(&soak, built.expect("an event"), "auth-enhancer/logins").await {
                soak.alerts.forget(&address);
            }
        }
        line.now_at("pause");
        chance.pause(8).await;
    }
    line.now_at("ended");
}

/// Whether a handler's queue has taken the event; it must.
async fn queue(soak: &Soak, event: Event, handler: &str) -> bool {
    soak.tally.healthy();
    match soak.runtime.publish_async(event).await {
        Ok(receipt) => {
            let refused = receipt
                .refused
                .iter()
                .any(|refusal| refusal.handler.to_string() == handler);
            let taken = receipt.enqueued > 0 && !refused;
            soak.findings
                .check(taken, || format!("{handler} did not take a healthy event: {receipt:?}"));
            taken
        }
        Err(error) => {
            soak.findings.add(format!("a healthy event was not queued: {error}"));
            false
        }
    }
}

fn text(event: &Event, key: &str) -> String {
    let data: Value = event.json().unwrap_or_default();
    data.get(key).and_then(Value::as_str).unwrap_or("?").to_owned()
}
