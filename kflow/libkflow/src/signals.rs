//! Threads that take no signals: handlers of the program run on threads of the program.
//!
//! It also keeps SIGPIPE away from the program, which a write to a closed connection may raise: such a signal is for the thread
//! that wrote, where it stays blocked.

#![expect(unsafe_code, reason = "std cannot set the signal mask of a thread")]

use std::mem::MaybeUninit;
use std::{io, panic, ptr, thread};

/// Faults of the thread itself, which must not be held back.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];

/// Runs `body` on a thread that takes no signals, nor do threads that it starts, and waits for it. A panic goes on here.
pub fn on_quiet_thread<T: Send>(name: &str, body: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let quiet = Quiet::begin();
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, body);
        drop(quiet);
        Ok(thread?.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}

/// Starts a thread that takes no signals, nor do threads that it starts.
pub fn start_quiet_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let _quiet = Quiet::begin();
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

/// While it lives, the calling thread takes no signals; threads inherit that when they are started.
struct Quiet {
    before: libc::sigset_t,
}

impl Quiet {
    fn begin() -> Quiet {
        let mut all = MaybeUninit::uninit();
        // SAFETY: it fills the set that it is given a pointer to.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        for fault in FAULTS {
            // SAFETY: the set was filled above, and the numbers are those of signals.
            unsafe { libc::sigdelset(all.as_mut_ptr(), fault) };
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: both point to sets, the first of them filled; the second is written before the call returns, which only fails
        // for a first argument that does not exist.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            Quiet { before: before.assume_init() }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set is the one that the system filled in; the former one may be left out.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: libc::c_int) -> bool {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: a null pointer changes nothing, and the present mask is written where the other points.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), signal) == 1
        }
    }

    #[test]
    fn threads_of_the_library_take_no_signals_and_the_caller_takes_them_as_before() {
        let inside = on_quiet_thread("test", || {
            let grandchild =
                thread::spawn(|| is_blocked(libc::SIGTERM)).join().expect("a thread that only asks");
            (grandchild, is_blocked(libc::SIGPIPE), is_blocked(libc::SIGSEGV))
        });
        assert_eq!(inside.expect("a thread can be started"), (true, true, false));
        assert!(!is_blocked(libc::SIGTERM) && !is_blocked(libc::SIGPIPE));
    }
}
