use std::ops::Range;

/// The string attributes of one event, laid end to end in a single allocation: an event is made for every line that comes
/// in, and six small allocations would cost more than the parsing.
pub(super) struct Attributes {
    text: Box<str>,
    id: Range<usize>,
    event_type: Range<usize>,
    source: Range<usize>,
    content_type: Option<Range<usize>>,
    subject: Option<Range<usize>>,
    dataschema: Option<Range<usize>>,
}

/// What [`Attributes`] are packed from.
pub(super) struct Unpacked<'a> {
    pub(super) id: &'a str,
    pub(super) event_type: &'a str,
    pub(super) source: &'a str,
    pub(super) content_type: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) dataschema: Option<&'a str>,
}

impl Attributes {
    pub(super) fn pack(from: &Unpacked<'_>) -> Self {
        let optional = [from.content_type, from.subject, from.dataschema];
        let bytes = from.id.len() + from.event_type.len() + from.source.len();
        let mut text = String::with_capacity(bytes + optional.iter().flatten().map(|part| part.len()).sum::<usize>());
        let mut push = |part: &str| {
            let start = text.len();
            text.push_str(part);
            start..text.len()
        };
        let (id, event_type, source) = (push(from.id), push(from.event_type), push(from.source));
        let [content_type, subject, dataschema] = optional.map(|part| part.map(&mut push));
        Self {
            text: text.into_boxed_str(),
            id,
            event_type,
            source,
            content_type,
            subject,
            dataschema,
        }
    }

    #[inline]
    pub(super) fn id(&self) -> &str {
        self.part(&self.id)
    }

    #[inline]
    pub(super) fn event_type(&self) -> &str {
        self.part(&self.event_type)
    }

    #[inline]
    pub(super) fn source(&self) -> &str {
        self.part(&self.source)
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.content_type.as_ref().map(|range| self.part(range))
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.subject.as_ref().map(|range| self.part(range))
    }

    pub(super) fn dataschema(&self) -> Option<&str> {
        self.dataschema.as_ref().map(|range| self.part(range))
    }

    /// All of them together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    #[inline]
    fn part(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_comes_back_and_absent_is_not_empty() {
        let from = Unpacked {
            id: "ä1",
            event_type: "user.login",
            source: "/ü",
            content_type: None,
            subject: Some(""),
            dataschema: Some("urn:s"),
        };
        let packed = Attributes::pack(&from);
        assert_eq!(
            (packed.id(), packed.event_type(), packed.source()),
            ("ä1", "user.login", "/ü")
        );
        assert_eq!(
            (packed.content_type(), packed.subject(), packed.dataschema()),
            (None, Some(""), Some("urn:s"))
        );
        assert_eq!(packed.bytes(), "ä1user.login/üurn:s".len());
    }
}
