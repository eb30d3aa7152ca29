//! The three system calls that std does not have.

#![expect(unsafe_code, reason = "setns, kill and geteuid have no safe wrapper in std")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Moves the calling thread, and only it, into the network namespace behind `namespace`.
pub(crate) fn enter_network_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns takes no pointers; the descriptor is open for as long as it is borrowed.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends `signal` to one process. Process groups (zero and below) are refused.
pub(crate) fn send_signal(process_id: u32, signal: libc::c_int) -> io::Result<()> {
    let process_id = libc::pid_t::try_from(process_id).map_err(io::Error::other)?;
    assert!(process_id > 1, "neither a process group nor init is ever signalled");
    // SAFETY: kill takes no pointers.
    let result = unsafe { libc::kill(process_id, signal) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether this process has the rights that namespaces, veth pairs and XDP need.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
