use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::envelope::Event;
use super::error::{EventError, excerpt};
use super::extension::{self, ExtensionValue};
use super::limits::EventLimits;
use super::parts::Parts;
use super::payload::{JSON, Payload};
use super::time::EventTime;

/// An event in the making; see [`Event::builder`].
#[must_use = "`build` makes the event"]
pub struct EventBuilder<'a> {
    parts: Parts<'a>,
    data: Data,
}

enum Data {
    Absent,
    Given(Bytes),
    /// `json` failed, and `build` will say why.
    Failed(String),
}

impl<'a> EventBuilder<'a> {
    pub(super) fn new(event_type: Cow<'a, str>, source: Cow<'a, str>) -> Self {
        let parts = Parts {
            id: Cow::Borrowed(""),
            event_type,
            source,
            time: None,
            content_type: None,
            subject: None,
            dataschema: None,
            extensions: Vec::new(),
        };
        Self {
            parts,
            data: Data::Absent,
        }
    }

    /// Sets the id. Without one, or with an empty one, the event gets a UUIDv7.
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.parts.id = id.into();
        self
    }

    /// Sets when it happened. Without it [`Event::timestamp_nanos`] tells when the event was built.
    pub fn time(mut self, time: EventTime) -> Self {
        self.parts.time = Some(time);
        self
    }

    /// Sets the data to this value, written as JSON, and the content type to `application/json`.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        self.parts.content_type = Some(Cow::Borrowed(JSON));
        self.data = match serde_json::to_vec(value) {
            Ok(json) => Data::Given(json.into()),
            Err(error) => Data::Failed(error.to_string()),
        };
        self
    }

    /// Sets the data and their content type. Where that says JSON (its subtype is `json` or ends in `+json`) the data must
    /// be JSON, or `build` fails.
    pub fn data(mut self, content_type: impl Into<Cow<'a, str>>, data: impl Into<Bytes>) -> Self {
        self.parts.content_type = Some(content_type.into());
        self.data = Data::Given(data.into());
        self
    }

    /// Sets what the event is about, within its source.
    pub fn subject(mut self, subject: impl Into<Cow<'a, str>>) -> Self {
        self.parts.subject = Some(subject.into());
        self
    }

    /// Sets the schema that the data keep to.
    pub fn dataschema(mut self, dataschema: impl Into<Cow<'a, str>>) -> Self {
        self.parts.dataschema = Some(dataschema.into());
        self
    }

    /// Adds an extension. A name that is given twice makes `build` fail.
    pub fn extension(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<ExtensionValue>) -> Self {
        self.parts.extensions.push((name.into(), value.into()));
        self
    }

    /// Makes the event, within the default limits.
    pub fn build(self) -> Result<Event, EventError> {
        self.build_with(&EventLimits::default())
    }

    /// Makes the event, within these limits.
    pub fn build_with(mut self, limits: &EventLimits) -> Result<Event, EventError> {
        if self.parts.id.is_empty() {
            self.parts.id = Cow::Owned(Uuid::now_v7().to_string());
        }
        if let Some(name) = extension::duplicate(self.parts.extensions.iter().map(|(name, _)| &**name)) {
            return Err(EventError::Duplicate { name: excerpt(name) });
        }
        let content_type = self.parts.content_type.as_deref().unwrap_or(JSON);
        let payload = match self.data {
            Data::Absent => Payload::Absent,
            Data::Given(data) => Payload::given(content_type, data, limits)?,
            Data::Failed(reason) => return Err(EventError::Unserializable { reason }),
        };
        self.parts.into_event(payload, limits)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::collections::BTreeMap;

    use super::*;

    fn minimal<'a>() -> EventBuilder<'a> {
        Event::builder("user.login", "cli")
    }

    /// E1
    #[test]
    fn an_event_without_an_id_gets_a_uuid_of_version_7() {
        let (first, second) = (minimal().build().unwrap(), minimal().id("").build().unwrap());
        let version = |event: &Event| event.id().parse::<Uuid>().unwrap().get_version_num();
        assert_eq!((version(&first), version(&second)), (7, 7));
        assert_ne!(first.id(), second.id());
        assert_eq!(minimal().id("mine").build().unwrap().id(), "mine");
    }

    /// E2
    #[test]
    fn what_is_built_is_written_as_cloudevents() {
        let event = minimal()
            .id("1")
            .time("2015-12-10T06:55:46Z".parse().unwrap())
            .subject("s")
            .dataschema("urn:d")
            .extension("b", true)
            .extension("a", "x\n")
            .extension("c", -1)
            .json(&BTreeMap::from([("k", [1, 2])]))
            .build()
            .unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"1","source":"cli","type":"user.login","time":"2015-12-10T06:55:46Z","#,
            r#""subject":"s","datacontenttype":"application/json","dataschema":"urn:d","b":true,"a":"x\n","c":-1,"#,
            r#""data":{"k":[1,2]}}"#
        );
        assert_eq!(event.to_json(), expected);
        assert_eq!(event.timestamp_nanos(), 1_449_730_546_000_000_000);
    }

    #[test]
    fn parts_may_be_borrowed_until_build() {
        let (name, content_type, text) = (String::from("extra"), String::from("text/plain"), vec![b'x'; 3]);
        let event = Event::builder(format!("a.{name}"), "s".to_owned()).extension(&name, "v");
        let event = event.data(&content_type, text).subject(&name).build().unwrap();
        drop((name, content_type));
        let seen = (event.event_type(), event.data(), event.content_type());
        assert_eq!(seen, ("a.extra", &b"xxx"[..], "text/plain"));
    }

    /// H21
    #[test]
    fn data_that_say_json_and_are_not_are_refused() {
        for content_type in ["application/json", "text/json", "application/x+json; charset=utf-8"] {
            let error = minimal().data(content_type, "{").build().unwrap_err();
            assert!(matches!(error, EventError::DataNotJson { .. }), "{error}");
        }
        assert!(minimal().data("text/plain", "{").build().is_ok());
        assert_eq!(
            minimal().data("", "{").build().unwrap_err(),
            EventError::Empty {
                field: "datacontenttype"
            }
        );
    }

    /// E1
    #[test]
    fn nesting_limit_obeyed_and_violated() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let raw = |depth| serde_json::value::RawValue::from_string(nested(depth)).unwrap();
        assert!(minimal().data(JSON, nested(128)).build().is_ok());
        assert!(minimal().json(&raw(128)).build().is_ok());
        assert_eq!(
            minimal().data(JSON, nested(129)).build().unwrap_err(),
            EventError::TooDeep { limit: 128 }
        );
        assert_eq!(
            minimal().json(&raw(129)).build().unwrap_err(),
            EventError::TooDeep { limit: 128 }
        );
        assert!(minimal().data("text/plain", nested(129)).build().is_ok());
    }

    /// E1
    #[test]
    fn size_limits_obeyed_and_violated() {
        let limits = EventLimits {
            data_bytes: 4,
            ..EventLimits::default()
        };
        assert!(minimal().json("ab").build_with(&limits).is_ok());
        let refused = EventError::DataTooLarge { bytes: 5, limit: 4 };
        assert_eq!(minimal().json("abc").build_with(&limits).unwrap_err(), refused);
        assert_eq!(minimal().data("x/y", "abcde").build_with(&limits).unwrap_err(), refused);
        let long = "x".repeat(257);
        assert!(Event::builder(&long[1..], "s").id(&long[1..]).build().is_ok());
        assert!(matches!(
            Event::builder(&long, "s").build(),
            Err(EventError::TooLong { field: "type", .. })
        ));
        assert!(matches!(
            minimal().id(&long).build(),
            Err(EventError::TooLong { field: "id", .. })
        ));
        assert_eq!(
            Event::builder("", "s").build().unwrap_err(),
            EventError::Empty { field: "type" }
        );
        assert_eq!(
            Event::builder("t", "").build().unwrap_err(),
            EventError::Empty { field: "source" }
        );
        let many = |count: u8| (0..count).fold(minimal(), |builder, n| builder.extension(format!("x{n}"), n));
        assert!(many(64).build().is_ok());
        assert_eq!(
            many(65).build().unwrap_err(),
            EventError::TooManyMetadata { entries: 65, limit: 64 }
        );
    }

    #[test]
    fn an_extension_can_not_stand_in_for_an_attribute() {
        for name in ["id", "data", "subject", "specversion"] {
            let error = minimal().extension(name, "x").build().unwrap_err();
            assert_eq!(error, EventError::ExtensionIsAttribute { name: name.into() });
        }
        let error = minimal().extension("a b", "x").build().unwrap_err();
        assert_eq!(error, EventError::ExtensionName { name: "a b".into() });
    }

    /// H22
    #[test]
    fn an_extension_that_is_given_twice_is_refused() {
        let error = minimal()
            .extension("a", 1)
            .extension("b", 1)
            .extension("a", 2)
            .build()
            .unwrap_err();
        assert_eq!(error, EventError::Duplicate { name: "a".into() });
        let many = (0..100_000).fold(minimal(), |builder, n| builder.extension(format!("x{n}"), n));
        assert_eq!(
            many.build().unwrap_err(),
            EventError::TooManyMetadata {
                entries: 100_000,
                limit: 64
            }
        );
    }

    /// B10
    #[test]
    fn the_hop_count_is_an_extension() {
        assert_eq!(minimal().extension("hopcount", 16).build().unwrap().hop_count(), 16);
        assert!(matches!(
            minimal().extension("hopcount", 256).build(),
            Err(EventError::HopCount { .. })
        ));
    }

    #[test]
    fn a_value_that_json_has_no_form_for_is_refused() {
        let keys = BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(
            minimal().json(&keys).build(),
            Err(EventError::Unserializable { .. })
        ));
    }

    #[test]
    fn clones_share_and_debug_keeps_the_data_to_itself() {
        let event = minimal().json("secret").build().unwrap();
        assert_eq!(event.clone().data().as_ptr(), event.data().as_ptr());
        assert_eq!(event.data_bytes().as_ptr(), event.data().as_ptr());
        let shown = format!("{event:?}");
        assert!(shown.contains("user.login") && !shown.contains("secret"), "{shown}");
    }
}
