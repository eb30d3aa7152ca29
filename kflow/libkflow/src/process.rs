//! What the library holds, once per process.
//!
//! A child that fork made has a copy of its parent's memory, but none of its threads: a lock may be held by a thread that is
//! not there, and what was handed to a sender would never leave. So everything hangs on the id of the process, which is asked
//! for before anything is touched. In a child nothing is there until it makes its own; what it inherited stays as it is, for
//! ever.

#![expect(unsafe_code, reason = "the one pointer that functions without arguments share")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, RwLock};

use crate::errors::Errors;
use crate::instance::Instance;

/// What is there in one process.
#[derive(Debug)]
pub struct Process {
    id: u32,
    pub errors: Errors,
    /// Read by those who send, written by those who start and stop.
    pub instance: RwLock<Option<Instance>>,
    /// Held through kflowInit: two at once follow each other.
    pub init: Mutex<()>,
    /// Keeps what the parent left from being a leak to those who look for them.
    _inherited: Option<&'static Process>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

impl Process {
    /// What this process has, if anything.
    pub fn existing() -> Option<&'static Process> {
        latest().filter(|process| process.id == std::process::id())
    }

    /// What this process has; made if need be.
    pub fn own() -> &'static Process {
        loop {
            let latest = latest();
            if let Some(process) = latest.filter(|process| process.id == std::process::id()) {
                return process;
            }
            let process = Box::into_raw(Box::new(Process {
                id: std::process::id(),
                errors: Errors::default(),
                instance: RwLock::default(),
                init: Mutex::default(),
                _inherited: latest,
            }));
            let old = latest.map_or(ptr::null_mut(), |latest| ptr::from_ref(latest).cast_mut());
            if PROCESS.compare_exchange(old, process, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // SAFETY: it was made by `Box::into_raw` above and nobody else has seen it.
                drop(unsafe { Box::from_raw(process) });
            }
        }
    }
}

fn latest() -> Option<&'static Process> {
    // SAFETY: it is null or points to a box that `own` made, which is never freed and only read.
    unsafe { PROCESS.load(Ordering::Acquire).as_ref() }
}
