use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use palisade_sdk::Event;
use serde::Serialize;
use serde_json::value::RawValue;

/// What is kept of an event. The names are CloudEvents' own, so that a line reads like the event it tells of;
/// extensions stay together under `metadata`.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    time: String,
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    datacontenttype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    /// As it came, so that no digit is lost.
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Record<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        let datacontenttype = event.content_type();
        let data = read_data(event.data(), &datacontenttype);
        let opaque = data.is_none() && !event.data().is_empty();
        Self {
            time: event.time().to_string(),
            id: event.id(),
            event_type: event.event_type(),
            source: event.source(),
            metadata: event.all_metadata().into_iter().collect(),
            datacontenttype,
            data,
            data_base64: opaque.then(|| STANDARD.encode(event.data())),
        }
    }

    /// One line, with its end.
    pub(crate) fn into_line(self) -> Result<String, serde_json::Error> {
        // A line break in JSON is white space: inside a string it would have to be escaped.
        let mut line = serde_json::to_string(&self)?.replace(['\n', '\r'], " ");
        line.push('\n');
        Ok(line)
    }
}

/// `None` for what is neither JSON nor text, and for no data at all.
fn read_data<'a>(bytes: &'a [u8], content_type: &str) -> Option<Data<'a>> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    let json = if is_json {
        serde_json::from_slice(bytes).ok().map(Data::Json)
    } else {
        None
    };
    json.or_else(|| {
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
            .map(Data::Text)
    })
}
