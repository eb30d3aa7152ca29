//! Signals to a process of the test.

#![expect(unsafe_code, reason = "kill has no safe wrapper in std")]

use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    Kill,
    Reload,
}

impl Signal {
    /// Sends it to one process, which the caller started and has not waited for yet.
    pub fn send(self, process_id: u32) {
        let number = match self {
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
            Signal::Reload => libc::SIGHUP,
        };
        let process_id = libc::pid_t::try_from(process_id).expect("process ids are small");
        assert!(process_id > 1, "neither a process group nor init is ever signalled");
        // SAFETY: kill takes no pointers.
        let result = unsafe { libc::kill(process_id, number) };
        assert_eq!(result, 0, "signal {self:?} to {process_id}: {}", io::Error::last_os_error());
    }
}
