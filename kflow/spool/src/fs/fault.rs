//! A file system that fails when a test says so.

use super::{Access, File, Fs, Lock};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What is asked of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    List,
    Open(Access),
    Rename,
    Remove,
    SyncNames,
    Lock,
    FreeBytes,
    Random,
    Read { offset: u64, bytes: usize },
    Write,
    Length,
    Allocate,
    Truncate,
    Sync,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// The error with this number of the operating system; nothing is done.
    Fail(i32),
    /// So many bytes are read or written at most.
    Short(usize),
}

/// Asks a plan before each operation.
#[derive(Clone)]
pub struct FaultFs {
    inner: Arc<dyn Fs>,
    plan: Plan,
}

type Plan = Arc<dyn Fn(Operation, &str) -> Verdict + Send + Sync>;

impl FaultFs {
    /// The plan is told what is asked, and of which file. It may wait, and use the spool itself.
    pub fn new(
        inner: Arc<dyn Fs>,
        plan: impl Fn(Operation, &str) -> Verdict + Send + Sync + 'static,
    ) -> FaultFs {
        FaultFs { inner, plan: Arc::new(plan) }
    }
}

impl fmt::Debug for FaultFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultFs").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// How many bytes may be read or written.
fn ask(plan: &Plan, operation: Operation, name: &str) -> io::Result<usize> {
    match plan(operation, name) {
        Verdict::Pass => Ok(usize::MAX),
        Verdict::Fail(number) => Err(io::Error::from_raw_os_error(number)),
        Verdict::Short(bytes) => Ok(bytes),
    }
}

impl Fs for FaultFs {
    fn list(&self) -> io::Result<Vec<String>> {
        ask(&self.plan, Operation::List, "")?;
        self.inner.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        ask(&self.plan, Operation::Open(access), name)?;
        let inner = self.inner.open(name, access)?;
        Ok(Arc::new(FaultFile { inner, plan: Arc::clone(&self.plan), name: name.into() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        ask(&self.plan, Operation::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        ask(&self.plan, Operation::Remove, name)?;
        self.inner.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        ask(&self.plan, Operation::SyncNames, "")?;
        self.inner.sync()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        ask(&self.plan, Operation::Lock, name)?;
        self.inner.lock(name)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        ask(&self.plan, Operation::FreeBytes, "")?;
        self.inner.free_bytes()
    }

    fn random(&self) -> io::Result<u64> {
        ask(&self.plan, Operation::Random, "")?;
        self.inner.random()
    }
}

struct FaultFile {
    inner: Arc<dyn File>,
    plan: Plan,
    /// The name it was opened by.
    name: String,
}

impl fmt::Debug for FaultFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl File for FaultFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let operation = Operation::Read { offset, bytes: bytes.len() };
        let allowed = ask(&self.plan, operation, &self.name)?.min(bytes.len());
        self.inner.read_at(&mut bytes[..allowed], offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let allowed = ask(&self.plan, Operation::Write, &self.name)?.min(bytes.len());
        self.inner.write_at(&bytes[..allowed], offset)
    }

    fn length(&self) -> io::Result<u64> {
        ask(&self.plan, Operation::Length, &self.name)?;
        self.inner.length()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        ask(&self.plan, Operation::Allocate, &self.name)?;
        self.inner.allocate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        ask(&self.plan, Operation::Truncate, &self.name)?;
        self.inner.truncate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        ask(&self.plan, Operation::Sync, &self.name)?;
        self.inner.sync()
    }
}
