//! The values of keys, each checked as it is read, so that the parser knows the place of a wrong one.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::clock::LONGEST;
use crate::pattern::Pattern;
use crate::plugin::{is_name, is_reserved};

/// A larger size is a mistake: 1 TiB.
const MAX_SIZE: u64 = 1 << 40;

/// What a key is set to, as the library takes it.
pub(super) trait Value {
    type Is;
    fn get(&self) -> Self::Is;
}

/// A time: more than 0, at most 10 years; `"15s"`, `"100ms"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(Duration);

/// A size in bytes: more than 0, at most 1 TiB; `"64MiB"` or a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size<T>(T);

/// A number from 1 to `MAX`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count<T, const MAX: u64>(T);

/// A part of the whole: more than 0, at most 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part(f64);

/// A text that is a `T`.
#[derive(Clone, Debug)]
pub(super) struct Parsed<T>(T);

impl Value for Time {
    type Is = Duration;
    fn get(&self) -> Duration {
        self.0
    }
}

impl<T: Copy> Value for Size<T> {
    type Is = T;
    fn get(&self) -> T {
        self.0
    }
}

impl<T: Copy, const MAX: u64> Value for Count<T, MAX> {
    type Is = T;
    fn get(&self) -> T {
        self.0
    }
}

impl Value for Part {
    type Is = f64;
    fn get(&self) -> f64 {
        self.0
    }
}

impl<T: Clone> Value for Parsed<T> {
    type Is = T;
    fn get(&self) -> T {
        self.0.clone()
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"15s\" or \"100ms\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        let time = humantime::parse_duration(text)
            .map_err(|error| E::custom(format!("{text:?} is no time such as \"15s\" or \"100ms\": {error}")))?;
        if time.is_zero() {
            return Err(E::custom("a time of zero: it has to be longer than nothing"));
        }
        if time > LONGEST {
            return Err(E::custom(format!(
                "{text:?} is longer than 10 years, the most that is taken"
            )));
        }
        Ok(Time(time))
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(from)?;
        if part > 0.0 && part <= 1.0 {
            return Ok(Self(part));
        }
        Err(D::Error::custom(format!(
            "{part} is no part of a whole: more than 0, at most 1"
        )))
    }
}

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Size<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SizeVisitor(PhantomData))
    }
}

struct SizeVisitor<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for SizeVisitor<T> {
    type Value = Size<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"64MiB\", or a number of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size<T>, E> {
        let size = text.trim().parse::<ByteSize>();
        let size = size.map_err(|_| E::custom(format!("{text:?} is no size such as \"64MiB\"")))?;
        ranged(i128::from(size.as_u64()), MAX_SIZE).map(Size)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size<T>, E> {
        ranged(i128::from(bytes), MAX_SIZE).map(Size)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size<T>, E> {
        ranged(i128::from(bytes), MAX_SIZE).map(Size)
    }

    fn visit_i128<E: Error>(self, bytes: i128) -> Result<Size<T>, E> {
        ranged(bytes, MAX_SIZE).map(Size)
    }
}

impl<'de, T: TryFrom<u64>, const MAX: u64> Deserialize<'de> for Count<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CountVisitor(PhantomData))
    }
}

struct CountVisitor<T, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MAX: u64> Visitor<'_> for CountVisitor<T, MAX> {
    type Value = Count<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        ranged(i128::from(number), MAX).map(Count)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        ranged(i128::from(number), MAX).map(Count)
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Self::Value, E> {
        ranged(number, MAX).map(Count)
    }
}

/// No limit is 0, none is negative, and none is so large that it limits nothing.
fn ranged<T: TryFrom<u64>, E: Error>(number: i128, max: u64) -> Result<T, E> {
    match u64::try_from(number) {
        Ok(0) => Err(E::custom("0 would allow nothing: it has to be 1 or more")),
        Ok(number) if number > max => Err(E::custom(format!("{number} is beyond {max}, the most that is taken"))),
        Ok(number) => T::try_from(number).map_err(|_| E::custom(format!("{number} does not fit this machine"))),
        Err(_) if number < 0 => Err(E::custom(format!("{number} is negative: it has to be 1 or more"))),
        Err(_) => Err(E::custom(format!("{number} is beyond {max}, the most that is taken"))),
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(ParsedVisitor(PhantomData))
    }
}

struct ParsedVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for ParsedVisitor<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Parsed<T>, E> {
        text.parse().map(Parsed).map_err(E::custom)
    }
}

/// A pattern of event types.
pub(super) type PatternText = Parsed<Pattern>;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(pub(super) String);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }
    )*};
}

texts! {
    /// A path on the host; relative to the config file.
    HostPath: |text| must(!text.is_empty() && !text.contains('\0'), "a path has at least one character, and none is NUL");
    /// A path that a guest sees.
    GuestPath: |text| must(
        text.starts_with('/') && !text.contains('\0') && text.split('/').all(|part| part != ".."),
        "a guest's path is absolute, such as \"/rules\", and has no `..` in it",
    );
    /// The name of a plugin.
    Name: |text| must(is_name(text), "a name has 1 to 64 letters, digits, `-` and `_`").and_then(|()| must(
        !is_reserved(text),
        "that is the name of the host, which its own events have as their source; give the plugin another",
    ));
    /// The name of an environment variable.
    EnvName: |text| must(
        !text.is_empty() && !text.contains(['=', '\0']),
        "the name of a variable has at least one character, and neither `=` nor NUL",
    );
    /// The SHA-256 of a component.
    Digest: |text| must(
        text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "a digest is \"sha256:\" and 64 hex digits, as `palisade inspect` shows it",
    );
}

fn must(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
