use serde_json::Value;

use super::host::{self, Facts, LogLine, World};
use super::{TestEvent, describe};
use crate::Filter;
use crate::running::{Life, RunningFilter};

/// One started instance of a filter.
pub struct FilterHarness<F> {
    filter: RunningFilter<F>,
    world: World,
}

impl<F: Filter> FilterHarness<F> {
    /// Starts the filter with this config, `json!({})` for none. An error is what the operator would read.
    pub fn start(config: Value) -> Result<Self, String> {
        let (info, handlers) = RunningFilter::<F>::describe();
        describe::check(&info, &handlers)?;
        let config = config.to_string();
        let mut world = World::default();
        let (filter, _) = host::call(&mut world, Facts::default(), false, || RunningFilter::start(&config));
        Ok(Self { filter: filter?, world })
    }

    /// Whether the event may go on.
    pub fn accepts(&mut self, event: TestEvent) -> bool {
        let (event, _, facts) = event.parts();
        let Self { filter, world } = self;
        host::call(world, facts, false, || filter.accepts(&event)).0
    }

    /// What was logged, in order.
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }
}
