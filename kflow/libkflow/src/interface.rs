//! The addresses of a network interface, by which its device is looked up.

#![expect(unsafe_code, reason = "getifaddrs has no safe interface in std")]

use std::ffi::CStr;
use std::io;
use std::net::IpAddr;
use std::ptr;

/// All IPv4 and IPv6 addresses, in the system's order; `None` if there is no such interface.
pub fn addresses(name: &str) -> io::Result<Option<Vec<IpAddr>>> {
    let mut first = ptr::null_mut();
    // SAFETY: the head of a list is stored in `first`, which outlives the call.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(first);
    let mut found = None;
    let mut next = list.0;
    // SAFETY: it is null at the end, or an entry of the list, which lives to the end of the function.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every entry has a name that ends with a zero.
        if unsafe { CStr::from_ptr(entry.ifa_name) }.to_bytes() == name.as_bytes() {
            // SAFETY: it is null or an address of the kind that it says.
            found.get_or_insert_with(Vec::new).extend(unsafe { address(entry.ifa_addr) });
        }
    }
    Ok(found)
}

/// # Safety
/// The pointer is null or points to an address of the kind that its family says.
unsafe fn address(pointer: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller promises it.
    match i32::from(unsafe { pointer.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is one of IPv4.
            let address = unsafe { pointer.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::from(u32::from_be(address.sin_addr.s_addr).to_be_bytes()))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is one of IPv6.
            let address = unsafe { pointer.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(IpAddr::from(address.sin6_addr.s6_addr))
        }
        _ => None,
    }
}

struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it is the list that getifaddrs made, freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_its_address_and_others_do_not_exist() {
        let loopback = addresses("lo").unwrap().expect("every machine has one");
        assert!(loopback.contains(&IpAddr::from([127, 0, 0, 1])), "{loopback:?}");
        assert_eq!(addresses("no-such-if0").unwrap(), None);
    }
}
