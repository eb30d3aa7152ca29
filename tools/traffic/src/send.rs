//! Frames through a packet socket: each exactly once per pass, at a stated rate.

#![expect(unsafe_code, reason = "sendmmsg takes arrays of pointers")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::device;
use crate::frame::ETHERNET_HEADER_BYTES;

/// When to stop; both limits always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames in total. After the last frame of the source it starts anew.
    pub count: u64,
    pub duration: Duration,
    /// Frames per second; `None` for as many as possible.
    pub rate: Option<u64>,
}

/// What was sent, to the frame. `sent + skipped` is what was asked for unless the time was up before.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Frames that the interface took.
    pub sent: u64,
    /// Frame bytes of those.
    pub bytes: u64,
    /// Frames that no interface of this kind can carry: without an Ethernet header or longer than its MTU.
    pub skipped: u64,
    pub seconds: f64,
}

/// Sends on `interface` in the network namespace of the calling thread and blocks until done.
pub fn send<F: AsRef<[u8]>>(interface: &str, frames: &[F], limits: Limits) -> anyhow::Result<Report> {
    ensure!(!frames.is_empty(), "there is no frame to send");
    ensure!(limits.rate != Some(0), "a rate of zero sends nothing");
    let socket = PacketSocket::open(device::index(interface)?)
        .with_context(|| format!("open a packet socket on {interface}"))?;
    let mut report = Report::default();
    let begun = Instant::now();
    loop {
        let done = report.sent + report.skipped;
        let elapsed = begun.elapsed();
        if done >= limits.count || elapsed >= limits.duration {
            break;
        }
        let due = due_frames(limits.rate, elapsed).saturating_sub(done);
        if due == 0 {
            wait_for_next(limits, done, elapsed);
            continue;
        }
        let first = (done % frames.len() as u64) as usize;
        let most = due.min(limits.count - done).min(BATCH_FRAMES_MAX as u64) as usize;
        let batch = &frames[first..frames.len().min(first + most)];
        send_batch(&socket, batch, &mut report).with_context(|| format!("send on {interface}"))?;
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Frames that should have been sent by now, the first at once.
fn due_frames(rate: Option<u64>, elapsed: Duration) -> u64 {
    let Some(rate) = rate else { return u64::MAX };
    let due = elapsed.as_nanos() * u128::from(rate) / 1_000_000_000 + 1;
    u64::try_from(due).unwrap_or(u64::MAX)
}

/// Sleeps until shortly before the next frame is due; the rest is spent looking at the clock.
fn wait_for_next(limits: Limits, done: u64, elapsed: Duration) {
    let Some(rate) = limits.rate else { return };
    let due_ns = u128::from(done) * 1_000_000_000 / u128::from(rate);
    let due = Duration::from_nanos(u64::try_from(due_ns).unwrap_or(u64::MAX)).min(limits.duration);
    let wait = due.saturating_sub(elapsed);
    if wait > SLEEP_SLACK {
        thread::sleep(wait - SLEEP_SLACK);
    }
    std::hint::spin_loop();
}

/// Sends the frames of `batch` from its start; how many is seen in `report`.
fn send_batch<F: AsRef<[u8]>>(socket: &PacketSocket, batch: &[F], report: &mut Report) -> io::Result<()> {
    match socket.send(batch) {
        Ok(sent) => {
            report.sent += sent as u64;
            report.bytes += batch[..sent].iter().map(|frame| frame.as_ref().len() as u64).sum::<u64>();
            Ok(())
        }
        Err(error) => match error.raw_os_error() {
            // The first frame was not taken: it is offered again.
            Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => {
                thread::yield_now();
                Ok(())
            }
            Some(libc::EMSGSIZE) => {
                report.skipped += 1;
                Ok(())
            }
            Some(libc::EINVAL) if batch[0].as_ref().len() < ETHERNET_HEADER_BYTES => {
                report.skipped += 1;
                Ok(())
            }
            _ => Err(error),
        },
    }
}

const BATCH_FRAMES_MAX: usize = 64;

/// How much later than asked a sleep may end.
const SLEEP_SLACK: Duration = Duration::from_micros(100);

struct PacketSocket {
    descriptor: OwnedFd,
}

impl PacketSocket {
    /// Protocol zero: the socket receives nothing.
    fn open(interface_index: u32) -> io::Result<PacketSocket> {
        // SAFETY: the call has no pointers.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_ifindex = interface_index as libc::c_int;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address outlives the call and has the length that is passed.
        match unsafe { libc::bind(descriptor.as_raw_fd(), (&raw const address).cast(), length) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(PacketSocket { descriptor }),
        }
    }

    /// How many frames from the start of `batch` were sent, at least one; an error concerns the first frame.
    fn send<F: AsRef<[u8]>>(&self, batch: &[F]) -> io::Result<usize> {
        let mut parts: Vec<libc::iovec> = batch
            .iter()
            .map(|frame| libc::iovec {
                iov_base: frame.as_ref().as_ptr().cast_mut().cast(),
                iov_len: frame.as_ref().len(),
            })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts.iter_mut().map(message).collect();
        let count = messages.len() as libc::c_uint;
        // SAFETY: the messages, the parts they point to and the frames those point to outlive the call, which
        // only reads the frames.
        match unsafe { libc::sendmmsg(self.descriptor.as_raw_fd(), messages.as_mut_ptr(), count, 0) } {
            -1 => Err(io::Error::last_os_error()),
            sent => Ok(sent as usize),
        }
    }
}

fn message(part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all zeros is a valid msghdr: no address, no control data.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = null_mut();
    header.msg_iov = part;
    header.msg_iovlen = 1;
    libc::mmsghdr { msg_hdr: header, msg_len: 0 }
}
