use super::envelope::Event;
use super::error::EventError;
use super::limits::EventLimits;

impl Event {
    /// Checks the sizes again, for a runtime whose limits are not the ones that the event was made with.
    pub(crate) fn check(&self, limits: &EventLimits) -> Result<(), EventError> {
        limits.check_id(self.id())?;
        limits.check_type(self.event_type())?;
        limits.check_source(self.source())?;
        limits.check_data(self.data().len())?;
        if !self.has_metadata() {
            return Ok(());
        }
        let (mut entries, mut bytes) = (0, 0);
        for (name, value) in self.all_metadata() {
            entries += 1;
            bytes += name.len() + value.len();
        }
        limits.check_metadata(entries, bytes)
    }

    fn has_metadata(&self) -> bool {
        self.extensions().next().is_some() || self.subject().is_some() || self.dataschema().is_some()
    }
}
