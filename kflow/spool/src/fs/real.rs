//! The operating system's files.

use super::{Access, File, Fs, Lock};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records tell who talked to whom.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealFs {
    path: PathBuf,
    directory: fs::File,
}

impl RealFs {
    /// Opens a directory, which is created if it is not there, with those above it.
    pub fn create(path: &Path) -> io::Result<RealFs> {
        create_safely(path)?;
        RealFs::open(path)
    }

    /// Opens a directory that is there.
    pub fn open(path: &Path) -> io::Result<RealFs> {
        let directory = fs::File::open(path)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(RealFs { path: path.to_owned(), directory })
    }
}

/// Creates a directory whose name survives a loss of power.
fn create_safely(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_safely(above)?;
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    fs::File::open(above)?.sync_all()
}

impl Fs for RealFs {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // Names that are no text are none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read);
        if access == Access::Create {
            options.create(true).truncate(true).mode(FILE_MODE);
        }
        Ok(Arc::new(RealFile(options.open(self.path.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        let path = self.path.join(name);
        let created = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let file = match created {
            // A lock needs no permission to write.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => fs::File::open(&path)?,
            created => created?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock(file))),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::fstatvfs(&self.directory)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    fn random(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        // So few bytes come whole or not at all.
        rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
                Err(Errno::INTR) => {}
                // Then the disk can get full while the segment is written, which costs a segment but no batch.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.0.set_len(bytes),
                allocated => return Ok(allocated?),
            }
        }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync: with the length, without the times.
        self.0.sync_data()
    }
}

/// Whoever has this file locked has the spool.
#[derive(Debug)]
struct RealLock(#[expect(dead_code, reason = "the lock goes with the file")] fs::File);

impl Lock for RealLock {}
