//! Machine code in a file that nobody can change, itself in memory: mapped as it is, where bytes would be copied.

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

/// A file without a name on any disk. What is in it can't be written, cut or lengthened by anyone, by this process neither.
pub(super) struct Sealed(#[cfg_attr(not(target_os = "linux"), allow(dead_code))] File);

impl Sealed {
    /// A file with these bytes.
    ///
    /// # Errors
    /// Where the system has no such files, or no more of them.
    #[cfg(target_os = "linux")]
    pub(super) fn new(bytes: &[u8]) -> io::Result<Self> {
        use std::io::Write as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("palisade-code", flags)?);
        file.write_all(bytes)?;
        // The last one: no seal is broken or added.
        fcntl_add_seals(
            &file,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(Self(file))
    }

    /// Nowhere else.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(_bytes: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A path that means this file to this process, for as long as this lives: by the descriptor, not by a name that could
    /// come to mean another.
    #[cfg(target_os = "linux")]
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// There is none where there are no such files.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::new()
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use super::*;

    /// S10: what is mapped as machine code is what was checked: nobody can change it afterwards, by whatever way.
    #[test]
    fn s10_what_is_sealed_stays_as_it_is() {
        let sealed = Sealed::new(b"code").unwrap();
        let mut again = OpenOptions::new().write(true).open(sealed.path()).unwrap();
        let refused = [
            again.write_all(b"c0de"),
            again.set_len(2),
            again.set_len(8),
            (&sealed.0).write_all(b"more"),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(fs::read(sealed.path()).unwrap(), b"code");
    }
}
