use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text;
use crate::event::envelope::Event;
use crate::event::extension::ExtensionValue;
use crate::event::payload::Payload;

/// Appends an event as one line, without its end: the attributes, the extensions in their order, and the data last.
pub(in crate::event) fn write(event: &Event, payload: &Payload, out: &mut Vec<u8>) {
    out.reserve(event.size_bytes());
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    let attributes = [
        ("id", Some(event.id())),
        ("source", Some(event.source())),
        ("type", Some(event.event_type())),
        ("time", event.time().map(|time| time.as_str())),
        ("subject", event.subject()),
        ("datacontenttype", event.datacontenttype()),
        ("dataschema", event.dataschema()),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            member(out, name);
            text::string(out, value);
        }
    }
    for (name, value) in event.extensions() {
        member(out, name);
        match value {
            ExtensionValue::String(value) => text::string(out, value),
            other => out.extend_from_slice(other.canonical().as_bytes()),
        }
    }
    write_payload(payload, out);
    out.push(b'}');
}

fn write_payload(payload: &Payload, out: &mut Vec<u8>) {
    match payload {
        Payload::Absent => {}
        Payload::Json(json)
        | Payload::Text {
            written: Some(json), ..
        } => {
            member(out, "data");
            text::one_line(out, json);
        }
        Payload::Text { shown, written: None } => {
            member(out, "data");
            // It was text when it came in; this borrows.
            text::string(out, &String::from_utf8_lossy(shown));
        }
        Payload::Binary(bytes) => {
            member(out, "data_base64");
            out.extend_from_slice(format!("\"{}\"", STANDARD.encode(bytes)).as_bytes());
        }
    }
}

/// Names need no escapes: those of extensions are letters, digits, `_`, `-` and `.`.
fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
