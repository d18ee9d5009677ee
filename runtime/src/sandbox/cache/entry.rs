//! An entry: its name, and its bytes.
//!
//! `authentication code (32) | length of the description (4, little endian) | description | machine code`

use std::fmt::Write as _;

use blake3::{Hash, Hasher};
use bytes::Bytes;

use super::info;
use super::key::Key;
use crate::plugin::PluginInfo;
use crate::sandbox::artifact::Artifact;
use crate::sandbox::needs::ModuleNeeds;

/// What the names of entries end with.
pub(super) const EXTENSION: &str = ".aot";
/// What an entry holds besides the code; another number where that changes, so that the entries of before are nobody's.
const FORMAT: u32 = 2;
const CODE: usize = blake3::OUT_LEN;

/// Names what was compiled (by the hash of its bytes), for what (an engine, by what its code is compatible with), and by what
/// (this version).
pub(crate) struct EntryName(String);

impl EntryName {
    /// `digest` is `sha256:` and hex digits.
    pub(crate) fn new(digest: &str, compatibility: u64) -> Self {
        let hash = digest.trim_start_matches("sha256:");
        let mut name = format!("{hash}-{compatibility:016x}-");
        let _ = write!(name, "{}-{FORMAT}{EXTENSION}", env!("CARGO_PKG_VERSION"));
        Self(name)
    }

    pub(super) fn file(&self) -> &str {
        &self.0
    }
}

/// What an entry holds.
pub(crate) struct Found {
    pub(crate) artifact: Artifact,
    pub(crate) info: PluginInfo,
    pub(crate) needs: ModuleNeeds,
}

pub(super) fn write(
    key: &Key,
    name: &EntryName,
    artifact: &[u8],
    described: &PluginInfo,
    needs: ModuleNeeds,
) -> Vec<u8> {
    let info = info::to_json(described, needs);
    let mut entry = Vec::with_capacity(CODE + 4 + info.len() + artifact.len());
    entry.extend_from_slice(&[0; CODE]);
    entry.extend_from_slice(&u32::try_from(info.len()).unwrap_or(u32::MAX).to_le_bytes());
    entry.extend_from_slice(&info);
    entry.extend_from_slice(artifact);
    if let Some((code, body)) = entry.split_first_chunk_mut::<CODE>() {
        *code = *authenticate(key, name, body).as_bytes();
    }
    entry
}

/// What is in an entry, if we wrote it under this name.
pub(super) fn read(key: &Key, name: &EntryName, entry: &Bytes) -> Result<Found, &'static str> {
    let (code, body) = entry.split_first_chunk::<CODE>().ok_or("it is cut off")?;
    // blake3 compares hashes in constant time.
    if authenticate(key, name, body) != Hash::from_bytes(*code) {
        return Err("its authentication code is wrong: it was damaged, renamed, or written with another key");
    }
    let (length, rest) = body.split_first_chunk::<4>().ok_or("it has no description")?;
    let (info, artifact) = usize::try_from(u32::from_le_bytes(*length))
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or("its description is cut off")?;
    let (info, needs) = info::from_json(info).ok_or("its description is none of this version")?;
    Ok(Found {
        artifact: Artifact::of_cache(entry.slice_ref(artifact)),
        info,
        needs,
    })
}

/// Name and body can't run into each other, since the length of the name comes first.
fn authenticate(key: &Key, name: &EntryName, body: &[u8]) -> Hash {
    let name = name.file().as_bytes();
    let mut hasher = Hasher::new_keyed(key);
    hasher
        .update(&(name.len() as u64).to_le_bytes())
        .update(name)
        .update(body);
    hasher.finalize()
}
