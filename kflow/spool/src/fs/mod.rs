//! What a spool asks of a file system: the files of one directory, and when they are safe.
//!
//! Nothing that was written, created, renamed or removed is safe before the matching `sync` returned: a loss of power
//! may undo it, all or in parts, in any order.

#[cfg(any(test, feature = "model"))]
pub mod fault;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod real;

pub use real::RealFs;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// One directory. Names are of files in it.
pub trait Fs: Debug + Send + Sync {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, whose file is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. The file goes when nobody has it open.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names safe.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock of the directory until the value is dropped, also by the death of the process. `WouldBlock` if
    /// somebody else has it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>>;

    /// Bytes that can still be allocated on the disk.
    fn free_bytes(&self) -> io::Result<u64>;

    /// A number that nobody can guess.
    fn random(&self) -> io::Result<u64>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
    /// For reading and writing, in place of what had the name.
    Create,
}

/// An open file, which any thread may use at any place.
pub trait File: Debug + Send + Sync {
    /// Reads up to the length of `bytes`; less than that also before the end. 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` or only the beginning.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    fn length(&self) -> io::Result<u64>;

    /// Makes an empty file this long, of zeros whose room on the disk is taken, where the file system can do so.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Makes contents and length safe. After an error nobody knows what of them is.
    fn sync(&self) -> io::Result<()>;
}

pub trait Lock: Debug + Send + Sync {}

/// Reads until `bytes` is full or the file ends, and returns how many bytes that was.
pub(crate) fn read_full(file: &dyn File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

pub(crate) fn write_all(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
