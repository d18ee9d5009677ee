use serde_json::Value;

use crate::{Draft, PublishError};

/// The contract's rules for a draft, apart from the grants.
pub(super) fn check(draft: &Draft) -> Result<(), PublishError> {
    let event_type = &draft.event_type;
    if event_type.is_empty() || event_type.len() > 256 {
        return invalid(format!("the type has {} bytes; it may have 1 to 256", event_type.len()));
    }
    if ["plugin.", "system.", "config."]
        .iter()
        .any(|prefix| event_type.starts_with(prefix))
    {
        return Err(PublishError::NotGranted(format!("`{event_type}` belongs to the host")));
    }
    check_metadata(&draft.metadata)?;
    let is_json = draft
        .content_type
        .as_deref()
        .is_none_or(|given| given == "application/json" || given.ends_with("+json"));
    if is_json && !draft.data.is_empty() {
        // serde_json's own limit on nesting is the contract's 128.
        serde_json::from_slice::<Value>(&draft.data)
            .map_err(|error| PublishError::Invalid(format!("the data of `{event_type}` is not JSON: {error}")))?;
    }
    Ok(())
}

const OF_THE_HOST: [&str; 4] = ["correlationid", "causationid", "hopcount", "traceparent"];
const OF_CLOUDEVENTS: [&str; 9] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "dataschema",
    "datacontenttype",
    "data",
];

fn check_metadata(metadata: &[(String, String)]) -> Result<(), PublishError> {
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata.len() > 64 || bytes > 16 * 1024 {
        return invalid(format!(
            "{} metadata entries of {bytes} bytes; 64 and 16384 are allowed",
            metadata.len()
        ));
    }
    for (key, _) in metadata {
        if key.is_empty()
            || !key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return invalid(format!("metadata `{key}`: a name is lower-case letters and digits"));
        }
        if OF_THE_HOST.contains(&key.as_str()) || OF_CLOUDEVENTS.contains(&key.as_str()) {
            return invalid(format!("metadata `{key}` is not the plugin's to set"));
        }
    }
    Ok(())
}

fn invalid(text: String) -> Result<(), PublishError> {
    Err(PublishError::Invalid(text))
}
