//! What a device says of itself: its index, its MTU and how many frames it took.

#![expect(unsafe_code, reason = "SIOCETHTOOL is an ioctl with pointers in it")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::Context;

/// Frames that a device took to send, by the most exact counter it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub frames: u64,
    pub counter: Counter,
}

/// Which counter that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// `ethtool -S`, `tx_queue_*_xdp_xmit`: only frames redirected by XDP, to the frame.
    XdpTransmit,
    /// Packets sent according to `/proc/net/dev`: also those of everybody else.
    Interface,
}

impl Accepted {
    /// Reads the counters of `interface` in the network namespace of the calling thread.
    pub fn read(interface: &str) -> anyhow::Result<Accepted> {
        let statistics = ethtool_statistics(interface).unwrap_or_default();
        let redirected: Vec<u64> = statistics
            .iter()
            .filter(|(name, _)| name.starts_with("tx_queue_") && name.ends_with("_xdp_xmit"))
            .map(|(_, value)| *value)
            .collect();
        if !redirected.is_empty() {
            return Ok(Accepted { frames: redirected.iter().sum(), counter: Counter::XdpTransmit });
        }
        let frames = transmitted(interface).with_context(|| format!("counters of {interface}"))?;
        Ok(Accepted { frames, counter: Counter::Interface })
    }
}

/// Index of an interface in the network namespace of the calling thread.
pub fn index(interface: &str) -> anyhow::Result<u32> {
    let name = CString::new(interface).context("interface name")?;
    // SAFETY: the name ends with a zero byte and outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()).with_context(|| format!("interface {interface}")),
        index => Ok(index),
    }
}

/// Names and values of `ethtool -S`; fails for devices without.
pub fn ethtool_statistics(interface: &str) -> io::Result<Vec<(String, u64)>> {
    let socket = control_socket()?;
    let count = statistics_count(&socket, interface)?;
    // Twice the room: queues may be added between the calls, and the kernel writes as many as there are then.
    let room = 2 * count + 64;

    let mut names = vec![0u64; 2 + room * NAME_BYTES / 8];
    names[0] = words(ETHTOOL_GSTRINGS, ETH_SS_STATS);
    names[1] = count as u64;
    ethtool(&socket, interface, &mut names)?;
    let mut values = vec![0u64; 1 + room];
    values[0] = words(ETHTOOL_GSTATS, count as u32);
    ethtool(&socket, interface, &mut values)?;

    let names: Vec<u8> = names.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let texts = names[STRINGS_HEADER_BYTES..].chunks_exact(NAME_BYTES).map(|name| {
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        String::from_utf8_lossy(&name[..length]).into_owned()
    });
    Ok(texts.zip(values[1..].iter().copied()).take(count).collect())
}

fn statistics_count(socket: &OwnedFd, interface: &str) -> io::Result<usize> {
    // struct ethtool_sset_info: cmd and reserved, mask, one 32-bit count per bit of the mask.
    let mut request = [words(ETHTOOL_GSSET_INFO, 0), 1 << ETH_SS_STATS, 0];
    ethtool(socket, interface, &mut request)?;
    if request[1] == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let [a, b, c, d, ..] = request[2].to_ne_bytes();
    Ok(u32::from_ne_bytes([a, b, c, d]) as usize)
}

fn ethtool(socket: &OwnedFd, interface: &str, request: &mut [u64]) -> io::Result<()> {
    assert!(size_of_val(request) >= 16, "the shortest request has two words");
    // SAFETY: all zeros is a valid ifreq.
    let mut envelope: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= envelope.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in envelope.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = byte as libc::c_char;
    }
    envelope.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes the request, which each caller makes large enough for its command.
    match unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut envelope) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: the call has no pointers.
    match unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor is new and nobody else's.
        descriptor => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}

/// `/proc/net/dev`: after the colon eight numbers of reception, then packets sent as the second of sending.
fn transmitted(interface: &str) -> anyhow::Result<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'));
    let packets = line.and_then(|line| line.split_whitespace().nth(9)).context("no such line")?;
    Ok(packets.parse()?)
}

/// Two 32-bit numbers as they lie in memory.
fn words(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

// linux/sockios.h and linux/ethtool.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETH_SS_STATS: u32 = 1;
const NAME_BYTES: usize = 32;
/// cmd, string_set, len.
const STRINGS_HEADER_BYTES: usize = 12;
