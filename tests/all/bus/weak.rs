//! A runtime ends with its last clone, whatever its handlers keep.

use palisade::Event;
use palisade_tests::runtime;

/// B9: a handler that reaches its runtime through a weak one does not keep it alive.
#[tokio::test]
async fn b9_a_handler_with_a_weak_runtime_does_not_keep_it_alive() {
    let runtime = runtime();
    let weak = runtime.downgrade();
    let owned = weak.clone();
    let forward = move |_cx| {
        let runtime = owned.upgrade();
        async move {
            let event = Event::builder("second", "/tests").build().expect("an event");
            runtime.expect("it runs").publish(event).await.expect("published");
            Ok(())
        }
    };
    runtime.subscribe("first", "forward", forward).expect("subscribed");
    let event = Event::builder("first", "/tests").build().expect("an event");
    assert!(runtime.publish(event).await.expect("published").all_ok());
    drop(runtime);
    assert!(weak.upgrade().is_none());
}
