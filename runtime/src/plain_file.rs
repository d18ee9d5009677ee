//! Opening a file that somebody named. The library and the binary both have this module.

use std::fs::{File, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a plain file to read it. Anything else is refused at once and by what it is: a named pipe or a device may never
/// answer, nor ever end.
///
/// `/dev/stdin` and `/dev/fd/N` are read whatever they are, as a shell's `<(command)` needs it: whoever started the process
/// has given it those.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if is_descriptor(path) {
        return File::open(path);
    }
    // Without waiting for somebody at the other end of a pipe. It means nothing to a plain file.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NXIO) => return Err(refused("a socket, or a device that is not there")),
        opened => File::from(opened?),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(refused(called(kind)))
}

fn is_descriptor(path: &Path) -> bool {
    let directory = path.parent().and_then(Path::to_str);
    path == Path::new("/dev/stdin") || matches!(directory, Some("/dev/fd" | "/proc/self/fd"))
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a plain file"))
}

fn called(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// S10: the other end of the pipe is there only so that opening it all the same would not wait for ever.
    #[test]
    fn s10_what_is_no_plain_file_is_refused_by_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        let other_end = pipe.clone();
        std::thread::spawn(move || drop(File::options().write(true).open(other_end)));
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a named pipe"),
            (directory.path(), "a directory"),
            (socket.as_path(), "a socket"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = open(path).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn a_plain_file_and_a_link_to_one_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(io::read_to_string(open(&link).unwrap()).unwrap(), "text");
    }
}
