//! How SQLite comes to a [`Disk`]: a VFS that passes everything on to the usual one, after telling the disk of it.
//!
//! SQLite gives each open file a piece of memory of `szOsFile` bytes; ours begins with a [`File`], and what follows is the
//! usual VFS's own.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use rusqlite::ffi::{
    self, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file,
    sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};

use super::{Change, Disk};

/// An open file. SQLite gives it the alignment of a pointer, and what comes after it has the same.
#[repr(C)]
struct File {
    /// What SQLite knows of it; the first thing, so that a pointer to one is a pointer to the other.
    base: sqlite3_file,
    disk: *const Disk,
    /// Where the disk keeps watch; null for files that are none of the database's. Owned; freed when the file is closed.
    path: *mut PathBuf,
}

/// Makes a disk known to SQLite, for as long as the process lives.
pub(super) fn register(disk: &'static Disk) {
    // SAFETY: SQLite's default VFS is there from its initialisation on, which this call does, and is never freed.
    let usual = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    // SAFETY: it is a valid pointer, by the line before; the struct is plain data.
    let mut vfs = unsafe { *usual };
    vfs.szOsFile += size_of::<File>() as c_int;
    vfs.pNext = ptr::null_mut();
    vfs.zName = CString::new(disk.name).unwrap().into_raw();
    vfs.pAppData = ptr::from_ref(disk).cast_mut().cast();
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    // SAFETY: name and struct live for ever, and both functions that are not the usual VFS's own fit their places. Those that
    // are get a VFS of ours where they expect theirs, and look at nothing in it that was changed: only its open does.
    let registered = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
    assert_eq!(registered, SQLITE_OK);
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Without memory maps, which would be another way to the file.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The usual VFS's file, which lies behind ours.
fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<File>().wrapping_add(1).cast()
}

/// Calls a method of the usual VFS's file.
macro_rules! pass_on {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {{
        let real = real($file);
        // SAFETY: SQLite calls methods only of files that `open` has opened, and between that and their close; so was the
        // real one, whose methods are then set. The arguments are those that SQLite gave us for the same method.
        unsafe {
            let method = (*(*real).pMethods).$method;
            method.map(|method| method(real $(, $argument)*))
        }
    }};
}

/// The disk, and what it calls the file, if it watches it.
fn watched<'a>(file: *mut sqlite3_file) -> Option<(&'a Disk, &'a Path)> {
    // SAFETY: every file that SQLite gives us is one that `open` has filled in. The disk lives for ever, the path until the
    // close, and nobody changes it.
    unsafe {
        let file = &*file.cast::<File>();
        file.path.as_ref().map(|path| (&*file.disk, path.as_path()))
    }
}

/// The database and its logs are watched.
fn watched_path(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names that end in a zero byte, and that live as long as the call.
    let name = unsafe { CStr::from_ptr(name) };
    let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    let text = path.to_string_lossy();
    let is_watched = [".db", "-wal", "-journal"].iter().any(|ending| text.ends_with(ending));
    is_watched.then_some(path)
}

fn disk_of<'a>(vfs: *mut sqlite3_vfs) -> &'a Disk {
    // SAFETY: SQLite calls `open` and `delete` with the VFS that they were registered with, whose data is a `&'static Disk`.
    unsafe { &*(*vfs).pAppData.cast::<Disk>() }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let (disk, path) = (disk_of(vfs), watched_path(name));
    if let Some(path) = &path {
        disk.open(path);
    }
    let watched = path.map_or(ptr::null_mut(), |path| Box::into_raw(Box::new(path)));
    // SAFETY: the memory is `szOsFile` bytes, as `register` asked for: a `File` and behind it what the usual VFS needs.
    // Its `open` gets its own VFS, and sets `pMethods` of its file also where it fails, to null if that is not to be closed.
    unsafe {
        let usual = ffi::sqlite3_vfs_find(ptr::null());
        (*real(file)).pMethods = ptr::null();
        let opened = (*usual)
            .xOpen
            .map(|open| open(usual, name, real(file), flags, out_flags));
        let is_open = !(*real(file)).pMethods.is_null();
        if !is_open && !watched.is_null() {
            drop(Box::from_raw(watched));
        }
        file.cast::<File>().write(File {
            base: sqlite3_file {
                pMethods: if is_open { &raw const METHODS } else { ptr::null() },
            },
            disk,
            path: if is_open { watched } else { ptr::null_mut() },
        });
        opened.unwrap_or(SQLITE_IOERR_WRITE)
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    if let Some(path) = watched_path(name)
        && disk_of(vfs).remove(&path, sync & 1 != 0).is_err()
    {
        return SQLITE_IOERR_DELETE;
    }
    // SAFETY: the usual VFS's function gets its own VFS and a name that SQLite gave us for it.
    unsafe {
        let usual = ffi::sqlite3_vfs_find(ptr::null());
        (*usual)
            .xDelete
            .map_or(SQLITE_IOERR_DELETE, |delete| delete(usual, name, sync))
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let closed = pass_on!(file.xClose()).unwrap_or(SQLITE_OK);
    // SAFETY: `open` has filled it in, and SQLite does not use it after this; the path was made by `Box::into_raw`.
    unsafe {
        let path = std::mem::replace(&mut (*file.cast::<File>()).path, ptr::null_mut());
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
    }
    closed
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    if let Some((disk, path)) = watched(file) {
        // SAFETY: SQLite gives us so many bytes to write.
        let written = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize) };
        if disk.change(path, Change::Write(at as usize, written.to_vec())).is_err() {
            return SQLITE_IOERR_WRITE;
        }
    }
    pass_on!(file.xWrite(bytes, amount, at)).unwrap_or(SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    if let Some((disk, path)) = watched(file)
        && disk.change(path, Change::Truncate(length as usize)).is_err()
    {
        return SQLITE_IOERR_TRUNCATE;
    }
    pass_on!(file.xTruncate(length)).unwrap_or(SQLITE_IOERR_TRUNCATE)
}

/// What the disk is sure to have it knows itself: the real file need not be synced.
unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let Some((disk, path)) = watched(file) else {
        return pass_on!(file.xSync(flags)).unwrap_or(SQLITE_IOERR_FSYNC);
    };
    disk.sync(path).map_or(SQLITE_IOERR_FSYNC, |()| SQLITE_OK)
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    pass_on!(file.xRead(into, amount, at)).unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    pass_on!(file.xFileSize(size)).unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass_on!(file.xLock(level)).unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass_on!(file.xUnlock(level)).unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    pass_on!(file.xCheckReservedLock(out)).unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    pass_on!(file.xFileControl(operation, argument)).unwrap_or(ffi::SQLITE_NOTFOUND)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    pass_on!(file.xSectorSize()).unwrap_or(0)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    pass_on!(file.xDeviceCharacteristics()).unwrap_or(0)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    pass_on!(file.xShmMap(region, size, extend, out)).unwrap_or(ffi::SQLITE_IOERR)
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    pass_on!(file.xShmLock(offset, count, flags)).unwrap_or(ffi::SQLITE_IOERR)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    let _ = pass_on!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    pass_on!(file.xShmUnmap(delete)).unwrap_or(SQLITE_OK)
}
