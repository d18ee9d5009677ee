//! The name that a plugin goes by, which its events have as their source.

use palisade::LoadError;
use palisade_tests::wat::event_plugin;
use palisade_tests::{hostile_as, runtime};

/// B11, H25: the source of host events is no plugin's name, whether the operator gives it or the component itself.
#[tokio::test]
async fn b11_h25_no_plugin_goes_by_the_name_of_the_host() {
    let runtime = runtime();
    let own = event_plugin().info("palisade", &[("sin", &["hostile.>"])]);
    for spec in [hostile_as("palisade"), hostile_as("Palisade"), own.spec()] {
        let error = runtime.load(spec).await.expect_err("that is the host's name");
        assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
        let words = error.to_string();
        assert!(
            words.contains("is the name of the host") && words.contains("`name`"),
            "{words}"
        );
    }
    assert!(runtime.plugins().is_empty());
    let mut renamed = own.spec();
    renamed.name = Some("other".to_owned());
    assert_eq!(&*runtime.load(renamed).await.expect("it has another").name, "other");
    runtime
        .load(hostile_as("palisade-2"))
        .await
        .expect("that is another name");
}
