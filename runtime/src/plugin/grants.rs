//! What a plugin may do. Nothing, unless the operator grants it (S8).

#[cfg(feature = "wasi-http")]
use std::net::IpAddr;
use std::path::PathBuf;

use crate::event::is_reserved;
use crate::pattern::Pattern;
use crate::plugin::NeededGrant;
use crate::plugin::address::is_public;
use crate::plugin::origin::{HttpHost, HttpOrigin};

/// The grants of one plugin; the default grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// Types it may publish.
    pub publish: Vec<Pattern>,
    /// What it may be subscribed to: narrows the patterns of its `describe`, and is needed for dynamic subscriptions. Empty:
    /// it sees what its `describe` names, and may subscribe to nothing else.
    pub subscribe: Vec<Pattern>,
    /// Names of environment variables it may read.
    pub env: Vec<String>,
    /// Directories it may use.
    pub fs: Vec<FsGrant>,
    /// How exactly it may tell the time.
    pub clocks: ClockGrant,
    /// Whether it has a key-value store: a component that imports `wasi:keyvalue/store` is refused at load without. What it
    /// may hold is in its limits; it stays, under the plugin's name, when the plugin is stopped or unloaded.
    pub key_value: bool,
    /// Where it may send HTTP requests to.
    pub http: Vec<HttpGrant>,
}

/// How exactly a plugin may tell the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockGrant {
    /// To the millisecond: enough for timestamps and timeouts, too little to measure what others do. Wall and monotonic
    /// clock are rounded down, and say that this is their resolution; a wait lasts as long as it is asked for, up to one
    /// millisecond more. Other ways to a more exact time remain: the times of files in a directory it may write to, the
    /// `time` of events, and counting its own steps between two ticks.
    #[default]
    Coarse,
    /// As the host.
    Precise,
}

/// An origin that a plugin may send HTTP requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpGrant {
    /// `http://` or `https://`, a host, and a port if it is not the scheme's own; nothing else, and no wildcard. Checked at
    /// load.
    pub origin: String,
    /// Whether the host may have an address that is not public: loopback, private, link-local and the like. Without it such
    /// an address is refused even when the name has it only at that moment.
    pub private: bool,
}

/// Why there can't be such an [`HttpGrant`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpGrantError {
    /// What it names is no origin.
    #[error("{0}")]
    NoOrigin(String),
    /// The host is an address that is not public, and the grant does not say that it may be.
    #[error("{origin} has no public address: grant it with `private = true`, if it is meant")]
    NotPublic {
        /// The origin.
        origin: String,
    },
}

impl HttpGrant {
    /// A grant that is checked now rather than at load; its origin is spelt in the one way that origins are compared in.
    ///
    /// # Errors
    /// When it names no origin, or an address that is not public without being `private`.
    pub fn new(origin: &str, private: bool) -> Result<Self, HttpGrantError> {
        let parsed: HttpOrigin = origin.parse().map_err(HttpGrantError::NoOrigin)?;
        let origin = parsed.to_string();
        match parsed.host() {
            HttpHost::Ip(address) if !private && !is_public(*address) => Err(HttpGrantError::NotPublic { origin }),
            _ => Ok(Self { origin, private }),
        }
    }
}

/// A directory of the host that a plugin may use, and nothing above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsGrant {
    /// The directory on the host; it must exist when the plugin is started. It is opened then, and what is put in its place
    /// later, be it by another plugin that may write to a directory above it, is not seen before the next start.
    pub host: PathBuf,
    /// What the plugin calls it, an absolute path such as `/rules`.
    pub guest: String,
    /// Whether it may write.
    pub mode: FsMode,
}

/// What a plugin may do with a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsMode {
    /// Read files and list directories.
    #[default]
    Read,
    /// Read, and also create, write, rename and remove; but make no symbolic link that leads out of the directory, nor one
    /// that goes up elsewhere than at its beginning.
    Write,
}

/// A question that [`Grants::allows`] answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    /// May it publish events of this type?
    Publish(&'a str),
    /// May it subscribe to this pattern of its own accord?
    Subscribe(&'a Pattern),
    /// May it import the interfaces that need this?
    Import(NeededGrant),
    /// May it send HTTP requests to this origin?
    #[cfg(feature = "wasi-http")]
    Http(&'a HttpOrigin),
    /// May it connect to this address, which the host of this origin has?
    #[cfg(feature = "wasi-http")]
    Connect(&'a HttpOrigin, IpAddr),
}

impl Grants {
    /// Adds patterns of types it may publish.
    #[must_use]
    pub fn publish(mut self, patterns: impl IntoIterator<Item = Pattern>) -> Self {
        self.publish.extend(patterns);
        self
    }

    /// Adds patterns of types it may be subscribed to.
    #[must_use]
    pub fn subscribe(mut self, patterns: impl IntoIterator<Item = Pattern>) -> Self {
        self.subscribe.extend(patterns);
        self
    }

    /// Adds an environment variable it may read.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>) -> Self {
        self.env.push(name.into());
        self
    }

    /// Adds a directory it may use.
    #[must_use]
    pub fn fs(mut self, host: impl Into<PathBuf>, guest: impl Into<String>, mode: FsMode) -> Self {
        self.fs.push(FsGrant {
            host: host.into(),
            guest: guest.into(),
            mode,
        });
        self
    }

    /// Sets how exactly it may tell the time.
    #[must_use]
    pub fn clocks(mut self, clocks: ClockGrant) -> Self {
        self.clocks = clocks;
        self
    }

    /// Gives it a key-value store.
    #[must_use]
    pub fn key_value(mut self) -> Self {
        self.key_value = true;
        self
    }

    /// Adds an origin that it may send HTTP requests to, at public addresses only.
    #[must_use]
    pub fn http(mut self, origin: impl Into<String>) -> Self {
        self.http.push(HttpGrant {
            origin: origin.into(),
            private: false,
        });
        self
    }

    /// Adds an origin that it may send HTTP requests to, whatever address it has.
    #[must_use]
    pub fn http_private(mut self, origin: impl Into<String>) -> Self {
        self.http.push(HttpGrant {
            origin: origin.into(),
            private: true,
        });
        self
    }

    /// The one place that says whether a plugin may do something; an error says what it lacks.
    pub(crate) fn allows(&self, ask: Ask<'_>) -> Result<(), String> {
        match ask {
            Ask::Publish(event_type) if is_reserved(event_type) => Err(format!(
                "`{event_type}` is a host event: plugin.>, system.> and config.> are the host's"
            )),
            Ask::Publish(event_type) if self.publish.iter().any(|grant| grant.matches(event_type)) => Ok(()),
            Ask::Publish(event_type) => Err(format!("no publish grant names `{event_type}` (plugin.grants.publish)")),
            Ask::Subscribe(pattern) if self.subscribe.iter().any(|grant| grant.covers(pattern)) => Ok(()),
            Ask::Subscribe(pattern) => Err(format!(
                "no subscribe grant covers `{pattern}` (plugin.grants.subscribe)"
            )),
            Ask::Import(needed) if needed.is_in(self) => Ok(()),
            Ask::Import(needed) => Err(needed.lacking()),
            #[cfg(feature = "wasi-http")]
            Ask::Http(origin) if self.http_grants(origin).next().is_some() => Ok(()),
            #[cfg(feature = "wasi-http")]
            Ask::Http(origin) => Err(format!("no http grant names {origin} (plugin.grants.http)")),
            #[cfg(feature = "wasi-http")]
            Ask::Connect(_, address) if is_public(address) => Ok(()),
            #[cfg(feature = "wasi-http")]
            Ask::Connect(origin, _) if self.http_grants(origin).any(|grant| grant.private) => Ok(()),
            #[cfg(feature = "wasi-http")]
            Ask::Connect(origin, address) => Err(format!(
                "{origin} has the address {address}, which is not public; its grant does not say `private = true` \
                 (plugin.grants.http)"
            )),
        }
    }

    /// These grants, with their origins checked and spelt in one way.
    pub(crate) fn checked(mut self) -> Result<Self, HttpGrantError> {
        let http = self
            .http
            .iter()
            .map(|grant| HttpGrant::new(&grant.origin, grant.private));
        self.http = http.collect::<Result<_, _>>()?;
        Ok(self)
    }

    #[cfg(feature = "wasi-http")]
    fn http_grants(&self, origin: &HttpOrigin) -> impl Iterator<Item = &HttpGrant> {
        let origin = origin.to_string();
        self.http.iter().filter(move |grant| grant.origin == origin)
    }

    /// What a handler that declares this pattern is subscribed to: all of it, or what the grants leave of it.
    pub(crate) fn narrow(&self, declared: &Pattern) -> Vec<Pattern> {
        if self.subscribe.is_empty() {
            return vec![declared.clone()];
        }
        let mut narrowed: Vec<_> = self
            .subscribe
            .iter()
            .filter_map(|grant| grant.intersect(declared))
            .collect();
        narrowed.sort();
        narrowed.dedup();
        narrowed
    }
}
