use crate::context::Delivery;
use crate::handler::Call;
use crate::{Bus, Config, Context, Event, Failure, Filter, Handler, Info, Plugin};

/// What both kinds of plugin have: who they are, and a life.
pub trait Life: Sized {
    /// The author's type, for `describe`.
    type Author;

    /// Who it is and what it handles; a filter handles nothing.
    fn describe() -> (Info, Vec<Handler<Self::Author>>);
    /// `config` is the text of a JSON object.
    fn start(config: &str) -> Result<Self, String>;
    /// In order, not after a fault.
    fn stop(&mut self);
    /// Why it isn't well, if it isn't.
    fn health(&self) -> Result<(), String>;
}

/// A started plugin and its handlers, asked for once: `handle` indexes a table and allocates nothing.
pub struct Running<P> {
    pub(crate) plugin: P,
    pub(crate) names: Vec<String>,
    calls: Vec<Call<P>>,
}

impl<P: Plugin> Life for Running<P> {
    type Author = P;

    fn describe() -> (Info, Vec<Handler<P>>) {
        (P::info(), P::handlers())
    }

    fn start(config: &str) -> Result<Self, String> {
        let (names, calls): (Vec<_>, Vec<_>) = P::handlers()
            .into_iter()
            .map(|handler| (handler.name, handler.call))
            .unzip();
        let config = Config::from_json(config).map_err(|error| error.to_string())?;
        let plugin = P::start(&config, &Bus::new(&names)).map_err(|error| error.into_message())?;
        Ok(Self { plugin, names, calls })
    }

    fn stop(&mut self) {
        self.plugin.stop(&Bus::new(&self.names));
    }

    fn health(&self) -> Result<(), String> {
        self.plugin.health()
    }
}

impl<P: Plugin> Running<P> {
    pub(crate) fn handle(&mut self, handler: u32, event: &Event, delivery: Delivery) -> Result<(), Failure> {
        let place = usize::try_from(handler).unwrap_or(usize::MAX);
        let Some(call) = self.calls.get(place) else {
            return Err(Failure::reject(format_args!(
                "there is no handler {handler}: `describe` gave {}",
                self.calls.len()
            )));
        };
        call(&mut self.plugin, event, &Context::new(Bus::new(&self.names), delivery))
    }
}

/// A started filter.
pub struct RunningFilter<F>(F);

impl<F: Filter> Life for RunningFilter<F> {
    type Author = F;

    fn describe() -> (Info, Vec<Handler<F>>) {
        (F::info(), Vec::new())
    }

    fn start(config: &str) -> Result<Self, String> {
        let config = Config::from_json(config).map_err(|error| error.to_string())?;
        F::start(&config).map(Self).map_err(|error| error.into_message())
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn health(&self) -> Result<(), String> {
        self.0.health()
    }
}

impl<F: Filter> RunningFilter<F> {
    pub(crate) fn accepts(&mut self, event: &Event) -> bool {
        self.0.accepts(event)
    }
}
