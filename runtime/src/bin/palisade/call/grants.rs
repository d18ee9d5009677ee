//! What `palisade call` lets the plugin do: an argument for each grant of a config file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use palisade::{
    ClockGrant, FsGrant, FsMode, Grants, HttpGrant, HttpGrantError, NeededGrant, Pattern, PatternError, is_reserved,
};

/// What is granted on top of what the table in a config file grants.
#[derive(Args)]
#[command(next_help_heading = "Grants")]
pub(super) struct GrantArguments {
    /// Let it publish types that match.
    #[arg(long, value_name = "PATTERN", value_parser = publishable)]
    grant_publish: Vec<Pattern>,
    /// Narrow what it is subscribed to, and let it subscribe within that at run time.
    #[arg(long, value_name = "PATTERN")]
    grant_subscribe: Vec<Pattern>,
    /// Show it a variable of the environment.
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env: Vec<String>,
    /// Let it use a directory; `read` where no mode is given.
    #[arg(long, value_name = "HOST:GUEST[:read|write]")]
    fs: Vec<Directory>,
    /// Tell it the time as exactly as this; `coarse` is to the millisecond, as without a grant.
    #[arg(long, value_enum, value_name = "HOW")]
    clocks: Option<Clocks>,
    /// Give it a key-value store, empty at first and gone after the call.
    #[arg(long)]
    key_value: bool,
    /// Let it send HTTP requests to this origin, scheme and host and port, as long as the address is public.
    #[arg(long, value_name = "ORIGIN", value_parser = public)]
    http: Vec<HttpGrant>,
    /// The same, and the address may be one that is not public: loopback, private networks, link-local.
    #[arg(long, value_name = "ORIGIN", value_parser = private)]
    http_private: Vec<HttpGrant>,
}

/// `HOST:GUEST[:MODE]`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory(FsGrant);

/// As `clocks` in a config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clocks {
    Coarse,
    Precise,
}

impl GrantArguments {
    /// Fails where two directories get one name, of which the plugin would see one.
    pub(super) fn add_to(&self, grants: &mut Grants) -> Result<()> {
        grants.publish.extend(self.grant_publish.iter().cloned());
        grants.subscribe.extend(self.grant_subscribe.iter().cloned());
        grants.env.extend(self.env.iter().cloned());
        grants.fs.extend(self.fs.iter().map(|directory| directory.0.clone()));
        grants.clocks = self.clocks.map_or(grants.clocks, |clocks| match clocks {
            Clocks::Coarse => ClockGrant::Coarse,
            Clocks::Precise => ClockGrant::Precise,
        });
        grants.key_value |= self.key_value;
        grants.http.extend(self.http.iter().chain(&self.http_private).cloned());
        let mut names = BTreeSet::new();
        match grants
            .fs
            .iter()
            .find(|fs| !names.insert(fs.guest.trim_end_matches('/')))
        {
            Some(twice) => bail!(
                "two directories are called {} for the plugin: grant one of them by another name",
                twice.guest
            ),
            None => Ok(()),
        }
    }
}

/// The argument that gives what a component can't be loaded without.
pub(super) fn argument(grant: NeededGrant) -> Option<&'static str> {
    match grant {
        NeededGrant::KeyValue => Some("--key-value"),
        NeededGrant::Http => Some("--http ORIGIN"),
        _ => None,
    }
}

/// As in a config file, a grant for nothing but types of the host's is a mistake.
fn publishable(text: &str) -> Result<Pattern, String> {
    if is_reserved(text) {
        return Err("host events are published by the host only".to_owned());
    }
    text.parse().map_err(|error: PatternError| error.to_string())
}

fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) => Err(format!(
            "it takes a name, and the value is that of the environment: {name}=... palisade call ... --env {name}"
        )),
        None if text.is_empty() => Err("it takes the name of a variable".to_owned()),
        None => Ok(text.to_owned()),
    }
}

fn public(text: &str) -> Result<HttpGrant, String> {
    HttpGrant::new(text, false).map_err(|error| match error {
        HttpGrantError::NotPublic { origin } => {
            format!("{origin} has no public address: grant it with --http-private, if it is meant")
        }
        error => error.to_string(),
    })
}

fn private(text: &str) -> Result<HttpGrant, HttpGrantError> {
    HttpGrant::new(text, true)
}

impl FromStr for Directory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, mode) = match text.rsplit_once(':') {
            Some((rest, "read")) => (rest, FsMode::Read),
            Some((rest, "write")) => (rest, FsMode::Write),
            _ => (text, FsMode::Read),
        };
        match rest.rsplit_once(':') {
            Some((_, guest)) if guest.split('/').any(|part| part == "..") => {
                Err(format!("{guest} has `..` in it, which no path of the plugin's has"))
            }
            Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => Ok(Self(FsGrant {
                host: PathBuf::from(host),
                guest: guest.to_owned(),
                mode,
            })),
            _ => {
                Err("it takes a directory, an absolute path for the plugin, and a mode: ./rules:/rules:read".to_owned())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_mode_at_its_end_or_none() {
        let parse = |text: &str| text.parse::<Directory>();
        let of = |host: &str, mode| {
            Ok(Directory(FsGrant {
                host: host.into(),
                guest: "/g".to_owned(),
                mode,
            }))
        };
        assert_eq!(parse("./a:/g"), of("./a", FsMode::Read));
        assert_eq!(parse("a:b:/g:write"), of("a:b", FsMode::Write));
        for wrong in ["a", "a:g", ":/g", "a:/g:both", "a:/g/../h", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    /// S8: only what is said to be private may be.
    #[test]
    fn s8_an_origin_is_private_only_when_it_is_said() {
        assert!(!public("https://api.example.com").unwrap().private);
        assert!(private("http://127.0.0.1:8080").unwrap().private);
        assert!(public("http://127.0.0.1:8080").unwrap_err().contains("--http-private"));
        for wrong in ["api.example.com", "https://*.example.com", "https://example.com/v1"] {
            assert!(public(wrong).is_err() && private(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_variable_is_a_name() {
        assert_eq!(variable("REGION").unwrap(), "REGION");
        assert!(variable("REGION=eu").unwrap_err().contains("--env REGION"));
        assert!(variable("").is_err());
    }
}
