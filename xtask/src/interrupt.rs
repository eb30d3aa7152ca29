//! Ctrl-C as a flag, so that guards run and clean up.

#![expect(unsafe_code, reason = "std cannot set a signal's disposition")]

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT, SIGTERM and SIGHUP only raise the flag.
pub fn catch() {
    let handler = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler does nothing but store to an atomic, which is async-signal-safe.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether one of the signals came since [`catch`].
pub fn caught() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
