//! What the kernel says of a network interface: by ioctl and getifaddrs, so that the calling thread's network
//! namespace is the one that is asked.
#![expect(unsafe_code, reason = "ioctl and getifaddrs have no safe interface in std")]

use std::{ffi::CString, io, net::IpAddr, os::fd::AsRawFd, os::fd::FromRawFd, os::fd::OwnedFd};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// An interface by name; every question is answered anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
}

/// State at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceState {
    pub index: u32,
    /// Administratively up and carrier present.
    pub is_running: bool,
    pub mtu: u32,
}

impl Interface {
    pub fn new(name: &str) -> Interface {
        Interface { name: name.to_owned() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `None` when there is no such interface.
    pub fn state(&self) -> io::Result<Option<InterfaceState>> {
        let Some(mut request) = self.request() else { return Ok(None) };
        let socket = control_socket()?;
        if !call(&socket, libc::SIOCGIFINDEX, &mut request)? {
            return Ok(None);
        }
        // SAFETY: the call filled in the index member.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        if !call(&socket, libc::SIOCGIFFLAGS, &mut request)? {
            return Ok(None);
        }
        // SAFETY: the call filled in the flags member.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        if !call(&socket, libc::SIOCGIFMTU, &mut request)? {
            return Ok(None);
        }
        // SAFETY: the call filled in the MTU member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        let running = libc::IFF_UP | libc::IFF_RUNNING;
        Ok(Some(InterfaceState {
            index: index.unsigned_abs(),
            is_running: flags & running == running,
            mtu: mtu.unsigned_abs(),
        }))
    }

    /// Receive queues: combined and receive-only channels, or 1 where the driver does not say.
    pub fn receive_queues(&self) -> io::Result<u32> {
        /// `struct ethtool_channels` of linux/ethtool.h.
        #[derive(Default)]
        #[repr(C)]
        struct Channels {
            command: u32,
            maxima: [u32; 4],
            receive: u32,
            transmit: u32,
            other: u32,
            combined: u32,
        }
        let Some(mut request) = self.request() else { return Ok(1) };
        let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
        request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut channels).cast();
        let socket = control_socket()?;
        // SAFETY: the request points to a `Channels` that outlives the call.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
        if result < 0 {
            return Ok(1);
        }
        Ok((channels.receive + channels.combined).max(1))
    }

    /// Whether the host itself uses the interface: by an address other than link-local ones, or as part of a bridge,
    /// bond, VLAN or the like, which sysfs shows as links to what is above.
    pub fn is_used_by_host(&self) -> io::Result<bool> {
        Ok(self.has_upper_device() || self.has_host_address()?)
    }

    fn has_upper_device(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(format!("/sys/class/net/{}", self.name)) else { return false };
        entries.filter_map(Result::ok).any(|entry| {
            entry.file_name() == "master" || entry.file_name().to_string_lossy().starts_with("upper_")
        })
    }

    fn has_host_address(&self) -> io::Result<bool> {
        Ok(self.addresses()?.into_iter().any(|address| match address {
            IpAddr::V4(v4) => !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        }))
    }

    /// Its IPv4 and IPv6 addresses.
    pub fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
        // SAFETY: the call stores the head of a list, which is freed below.
        if unsafe { libc::getifaddrs(&raw mut first) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut addresses = Vec::new();
        let mut next = first;
        while !next.is_null() {
            // SAFETY: an element of the list, which is alive until freeifaddrs.
            let element = unsafe { &*next };
            // SAFETY: names in the list are C strings.
            let name = unsafe { std::ffi::CStr::from_ptr(element.ifa_name) };
            if name.to_bytes() == self.name.as_bytes() {
                addresses.extend(ip_address(element.ifa_addr));
            }
            next = element.ifa_next;
        }
        // SAFETY: the head that getifaddrs stored, freed once.
        unsafe { libc::freeifaddrs(first) };
        Ok(addresses)
    }

    /// `None` for names that no interface can have.
    fn request(&self) -> Option<libc::ifreq> {
        let name = CString::new(self.name.as_str()).ok()?;
        let bytes = name.as_bytes_with_nul();
        // SAFETY: ifreq is made of integers and a union of them; zeroes are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if bytes.len() > request.ifr_name.len() {
            return None;
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(bytes) {
            *place = *byte as libc::c_char;
        }
        Some(request)
    }
}

/// An interface in promiscuous mode for as long as this lives: the kernel keeps count of those who want it, and
/// takes a dead process off that count.
#[derive(Debug)]
pub struct Promiscuous(#[expect(dead_code, reason = "held for what closing it does")] OwnedFd);

impl Promiscuous {
    pub fn enable(index: u32) -> io::Result<Promiscuous> {
        // Protocol zero: the socket itself receives nothing.
        let socket = open_socket(libc::AF_PACKET, libc::SOCK_RAW)?;
        let request = libc::packet_mreq {
            mr_ifindex: index as libc::c_int,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the request lives through the call, which reads as many bytes as it has.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                std::ptr::from_ref(&request).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Promiscuous(socket)) }
    }
}

/// Whether the calling thread has a capability in effect (linux/capability.h).
pub fn has_capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    bits >> number & 1 == 1
}

fn control_socket() -> io::Result<OwnedFd> {
    open_socket(libc::AF_INET, libc::SOCK_DGRAM)
}

fn open_socket(family: libc::c_int, kind: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no memory involved.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `false` when the interface does not exist.
fn call(socket: &OwnedFd, command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<bool> {
    // SAFETY: the request outlives the call, and these commands write nothing beyond it.
    if unsafe { libc::ioctl(socket.as_raw_fd(), command as _, std::ptr::from_mut(request)) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENODEV) { Ok(false) } else { Err(error) }
}

/// The address of an element of getifaddrs' list, if it has one of IPv4 or IPv6.
fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: a non-null address of the list starts with its family, and is as long as the family says.
    unsafe {
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = &*address.cast::<libc::sockaddr_in>();
                Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                let v6 = &*address.cast::<libc::sockaddr_in6>();
                Some(IpAddr::from(v6.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_exists_and_nonsense_does_not() {
        assert!(Interface::new("lo").state().expect("ioctl works").is_some());
        assert_eq!(Interface::new("no-such-interface-name").state().expect("ioctl works"), None);
        assert_eq!(Interface::new("nosuch0").state().expect("ioctl works"), None);
    }
}
