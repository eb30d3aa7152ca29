//! What the standard library does not do with the socket of a connection. Fenced for that.
#![expect(unsafe_code, reason = "system calls on a socket")]

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Bytes that wait for the peer's acknowledgement, also of a connection that is broken (`SIOCOUTQ`, tcp(7)): the only
/// way to know what is lost with it.
pub(crate) fn unacknowledged_bytes(stream: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as the stream is borrowed, and the call writes one `int` to the pointer.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or_default())
}

/// Has the connection end at once when it is dropped, so that what was not acknowledged is not delivered after all
/// (`SO_LINGER` of zero, socket(7)).
pub(crate) fn abort_on_drop(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the descriptor is open as long as the stream is borrowed, and the call reads as many bytes from the
    // pointer as it is told, which are those of `linger`.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
