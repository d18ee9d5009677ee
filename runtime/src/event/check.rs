use super::depth;
use super::envelope::{Event, Inner};
use super::error::EventError;
use super::limits::EventLimits;
use super::payload::Payload;
use super::types::is_reserved;

impl Event {
    /// Holds an event to limits: when it is made, and again by a runtime whose limits may not be those it was made with.
    /// It costs some comparisons; only a lower limit on nesting has the data looked at again.
    pub(crate) fn check(&self, limits: &EventLimits) -> Result<(), EventError> {
        self.inner().check(limits)
    }

    /// Whether it is within the default limits, of no type of the host's, and came from outside: what nearly every event is,
    /// found out once, when it is made.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.inner().is_ordinary
    }
}

impl Inner {
    pub(super) fn check(&self, limits: &EventLimits) -> Result<(), EventError> {
        limits.check_id(self.attributes.id())?;
        limits.check_type(self.attributes.event_type())?;
        limits.check_source(self.attributes.source())?;
        limits.check_data(self.payload.shown().map_or(0, |data| data.len()))?;
        limits.check_metadata(self.metadata)?;
        self.check_depth(limits.json_depth)
    }

    pub(super) fn seems_ordinary(&self) -> bool {
        let is_of_host = is_reserved(self.attributes.event_type());
        self.hop_count == 0 && !is_of_host && self.check(&EventLimits::default()).is_ok()
    }

    fn check_depth(&self, limit: usize) -> Result<(), EventError> {
        match self {
            Inner {
                payload: Payload::Json(json),
                depth_checked,
                ..
            } if limit < *depth_checked => {
                if depth::exceeds(json, limit) {
                    Err(EventError::TooDeep { limit })
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn event() -> Event {
        let builder = Event::builder("type", "source")
            .id("identity")
            .extension("a", 12)
            .extension("bc", true);
        builder.subject("s").json(&[[1]]).build().unwrap()
    }

    /// E1
    #[test]
    fn limits_of_another_runtime_obeyed() {
        let exact = EventLimits {
            id_bytes: 8,
            type_bytes: 4,
            source_bytes: 6,
            data_bytes: 5,
            metadata_entries: 3,
            metadata_bytes: "a12bctruesubjects".len(),
            json_depth: 2,
        };
        assert_eq!(event().check(&exact), Ok(()));
    }

    /// E1
    #[test]
    fn limits_of_another_runtime_violated() {
        let check = |change: fn(&mut EventLimits)| {
            let mut limits = EventLimits::default();
            change(&mut limits);
            event().check(&limits).unwrap_err()
        };
        assert!(matches!(
            check(|limits| limits.id_bytes = 7),
            EventError::TooLong { field: "id", .. }
        ));
        assert!(matches!(
            check(|limits| limits.type_bytes = 3),
            EventError::TooLong { field: "type", .. }
        ));
        assert!(matches!(
            check(|limits| limits.source_bytes = 5),
            EventError::TooLong { field: "source", .. }
        ));
        assert_eq!(
            check(|limits| limits.data_bytes = 4),
            EventError::DataTooLarge { bytes: 5, limit: 4 }
        );
        assert_eq!(
            check(|limits| limits.metadata_entries = 2),
            EventError::TooManyMetadata { entries: 3, limit: 2 }
        );
        assert_eq!(
            check(|limits| limits.metadata_bytes = 16),
            EventError::MetadataTooLarge { bytes: 17, limit: 16 }
        );
        assert_eq!(check(|limits| limits.json_depth = 1), EventError::TooDeep { limit: 1 });
    }
}
