//! What the whole-system tests have in common: a sensor in a process of its own, two namespaces on a veth cable,
//! and what the sensor has to arrive at.
//!
//! ```text
//! traffic::mix ─► capture file or Wire ─► Sensor ─► Outcome: exit status, log, ledger, records
//!      └────────► Expected ◄── compared with ── Conversations of the records
//! ```
//!
//! Tests that need root call [`needs_root`] first; as root they always run. Nothing here waits for a fixed time:
//! conditions are looked at until they hold or a deadline has passed.

mod folder;
mod metrics;
mod program;
mod records;
mod sensor;
mod signal;
mod wait;
mod wire;

pub use folder::Folder;
pub use metrics::Metrics;
pub use program::{is_installed, kflow_cat, kflow_json, sensor_program};
pub use records::{Conversations, Record, normalised, parse_records};
pub use sensor::{Outcome, Sensor, body, run_offline};
pub use signal::Signal;
pub use wait::{DEADLINE, wait_until};
pub use wire::{NEAR, TAP, Wire, blast_options};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the test can run; says on stderr that it is skipped otherwise.
pub fn needs_root(test: &str) -> bool {
    let is_root = netns::is_root();
    if !is_root {
        eprintln!("skipped: {test} needs root for network namespaces");
    }
    is_root
}

/// The machine for oneself: tests that load it take turns within their test binary.
pub fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    // The state behind the lock is the machine's load, which a panic does not damage.
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
