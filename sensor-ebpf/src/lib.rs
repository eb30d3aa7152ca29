//! The contract between the XDP program and userspace: plain structs, map names, and the flow hash that both
//! sides must compute alike. No code of either side lives here.
//!
//! The program (`main.rs`, built for `bpfel-unknown-none`) treats each frame in this order:
//!
//! 1. parse Ethernet; VLAN tags; MPLS labels, a PPPoE session or LLC/SNAP; IPv4 or IPv6 with extension headers; ports.
//!    Later fragments take the ports that the first fragment of their packet left in a map;
//! 2. filter by prefixes, ports and protocols (maps that userspace rewrites while the program runs);
//! 3. sample one flow in N by the flow hash, so that whole conversations survive;
//! 4. stamp parse result and hash before the frame, unless one worker takes everything;
//! 5. steer to the socket of the worker that the flow hash names;
//! 6. count packets and bytes by verdict and class, per CPU.
//!
//! Where userspace counts the flows inside of tunnels, a tunnel packet is filtered by its outer header, which is all
//! that the program reads of it; it is not sampled, and it is steered by its outer addresses alone, so that both
//! directions of every conversation between two tunnel ends reach one worker. The rest is up to userspace.
//!
//! A frame that the program cannot parse is neither filtered nor sampled. It is steered to the first worker: userspace
//! decides what it is, and the [class](Class::screening) in its stamp says what is left to be done.
#![no_std]

pub mod hash;

use core::mem::size_of;

/// Map and program names as userspace looks them up.
pub mod names {
    pub const PROGRAM: &str = "sensor";
    /// The same program, marked as able to take multi-buffer (jumbo) frames.
    pub const PROGRAM_FRAGS: &str = "sensor_frags";
    pub const SETTINGS: &str = "SETTINGS";
    pub const COUNTERS: &str = "COUNTERS";
    pub const SOCKETS: &str = "SOCKETS";
    pub const PREFIXES_V4: &str = "PREFIXES_V4";
    pub const PREFIXES_V6: &str = "PREFIXES_V6";
    pub const PORTS: &str = "PORTS";
    pub const PROTOCOLS: &str = "PROTOCOLS";
    pub const TUNNEL_PORTS: &str = "TUNNEL_PORTS";
}

/// Entries of the socket map: receive queues times workers at most.
pub const SOCKETS_MAX: u32 = 1024;
/// Prefixes of each family that a filter can hold.
pub const PREFIXES_MAX: u32 = 4096;

/// VLAN tags followed on one frame, here and there.
pub const VLAN_TAGS_MAX: usize = 4;
/// MPLS labels that the program follows.
pub const MPLS_LABELS_MAX: usize = 8;
/// Fragmented packets whose ports are remembered, of all CPUs together. The packet that was least recently seen makes
/// room for a new one, and fragments that it still has are treated as those of a new packet.
pub const FRAGMENTED_PACKETS_MAX: u32 = 16384;
/// IPv6 extension headers walked over, here and there: RFC 8200 §4.1 names seven at most, one more is spared.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// What userspace tells the program; one entry, rewritten as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    pub hash_key: hash::HashKey,
    /// Sockets of one queue. The socket of a frame is `queue * sockets_per_queue + worker`.
    pub sockets_per_queue: u32,
    /// One in this many flows is steered to userspace; 0 and 1 mean all.
    pub sample_rate: u32,
    /// OR of the `settings_flags`.
    pub flags: u32,
    pub reserved: u32,
}

impl Settings {
    /// Whether the program hashes, and stamps every frame. Where one worker takes all flows of a queue and keeps the
    /// time, it has nothing to tell: the worker hashes for itself.
    #[inline(always)]
    pub const fn is_hashed(&self) -> bool {
        self.sockets_per_queue > 1 || self.sample_rate > 1 || self.flags & settings_flags::STAMP_TIME != 0
    }
}

/// Words of the bitmap of UDP ports that stand for tunnels.
pub const TUNNEL_PORT_WORDS: u32 = 65536 / u64::BITS;

/// Where a port stands in the bitmap: the index of its word, and its bit there.
#[inline(always)]
pub const fn tunnel_port(port: u16) -> (u32, u64) {
    let port = port as u32;
    (port / u64::BITS, 1 << (port % u64::BITS))
}

/// IP protocol numbers (IANA) that the program tells apart.
pub mod ip_protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;

    /// Protocols that carry IP or Ethernet: IPv4, IPv6, GRE, AH, EtherIP, L2TPv3 and MPLS in IP.
    #[inline(always)]
    pub const fn is_tunnel(protocol: u8) -> bool {
        matches!(protocol, 4 | 41 | 47 | 51 | 97 | 115 | 137)
    }
}

pub mod settings_flags {
    /// Stamp each frame with `bpf_ktime_get_ns` (29 to 48 ns a packet).
    pub const STAMP_TIME: u32 = 1 << 0;
    /// Some prefix, port or protocol is in the filter maps.
    pub const FILTER: u32 = 1 << 1;
    /// Only addresses under an included prefix pass.
    pub const INCLUDE_PREFIXES: u32 = 1 << 2;
    /// Only included ports pass.
    pub const INCLUDE_PORTS: u32 = 1 << 3;
    /// Only included protocols pass.
    pub const INCLUDE_PROTOCOLS: u32 = 1 << 4;
    /// Userspace counts the flows inside of tunnels, which are known by IP protocol and by the bitmap of ports.
    pub const INNER_FLOWS: u32 = 1 << 5;
}

/// Value of an entry in the filter maps; zero is "not named".
pub mod filter_rule {
    pub const NOT_NAMED: u8 = 0;
    pub const INCLUDE: u8 = 1;
    pub const EXCLUDE: u8 = 2;
}

/// Written before the frame (XDP metadata) and read by the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stamp {
    /// The hash that the frame was steered by. It is that of its flow where [`Stamp::is_hashed`] says so.
    pub hash: u64,
    /// `CLOCK_MONOTONIC` nanoseconds, zero unless `STAMP_TIME` is set.
    pub time_ns: u64,
    /// A `Class`.
    pub class: u16,
    /// Not zero where nothing in the frame says that what was taken for IP is IP: behind MPLS labels.
    pub guess: u16,
    /// [`STAMP_MAGIC`]: tells a stamped frame from one of a driver without metadata support.
    pub magic: u32,
}

pub const STAMP_MAGIC: u32 = 0x5354_4d50;

impl Stamp {
    /// Whether the hash is that of the flow as userspace names it from the frame alone.
    #[inline(always)]
    pub const fn is_hashed(&self) -> bool {
        self.guess == 0 && Class::is_hashed(self.class)
    }

    /// What of filter and sample need not be done again. A guess is checked.
    #[inline(always)]
    pub const fn screening(&self) -> Screening {
        if self.guess == 0 { Class::screening(self.class) } else { Screening::None }
    }
}

/// One cell of the per-CPU counter array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    pub packets: u64,
    pub bytes: u64,
}

const _: () = assert!(size_of::<Settings>() == 32);
const _: () = assert!(size_of::<Stamp>() == 24);
const _: () = assert!(size_of::<Counter>() == 16);

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// Redirected to an AF_XDP socket.
    Redirected = 0,
    /// Dropped because the filter says so.
    Filtered = 1,
    /// Dropped because its flow is not in the sample.
    SampledOut = 2,
    /// Dropped because no socket takes this queue.
    NoSocket = 3,
}

/// Protocol class of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Class {
    Ipv4Tcp = 0,
    Ipv4Udp = 1,
    Ipv4Icmp = 2,
    Ipv4Other = 3,
    Ipv4Fragment = 4,
    Ipv6Tcp = 5,
    Ipv6Udp = 6,
    Ipv6Icmp = 7,
    Ipv6Other = 8,
    Ipv6Fragment = 9,
    Arp = 10,
    /// Neither IP nor ARP.
    OtherLink = 11,
    /// Shorter or odder than its own headers say, or nested deeper than the program looks.
    Unparsed = 12,
    /// IP that carries packets whose flows userspace counts.
    Tunnel = 13,
}

/// What the program does with the filter and the sample for frames of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screening {
    /// Nothing: they all pass.
    None,
    /// Applies the filter to the outer packet. The sample is of inner flows, which it does not know.
    OuterFilter,
    /// Applies both to the flow.
    Full,
}

impl Verdict {
    pub const ALL: [Verdict; 4] =
        [Verdict::Redirected, Verdict::Filtered, Verdict::SampledOut, Verdict::NoSocket];

    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Redirected => "redirected",
            Verdict::Filtered => "filtered",
            Verdict::SampledOut => "sampled_out",
            Verdict::NoSocket => "no_socket",
        }
    }
}

impl Class {
    pub const ALL: [Class; 14] = [
        Class::Ipv4Tcp,
        Class::Ipv4Udp,
        Class::Ipv4Icmp,
        Class::Ipv4Other,
        Class::Ipv4Fragment,
        Class::Ipv6Tcp,
        Class::Ipv6Udp,
        Class::Ipv6Icmp,
        Class::Ipv6Other,
        Class::Ipv6Fragment,
        Class::Arp,
        Class::OtherLink,
        Class::Unparsed,
        Class::Tunnel,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Class::Ipv4Tcp => "ipv4_tcp",
            Class::Ipv4Udp => "ipv4_udp",
            Class::Ipv4Icmp => "ipv4_icmp",
            Class::Ipv4Other => "ipv4_other",
            Class::Ipv4Fragment => "ipv4_fragment",
            Class::Ipv6Tcp => "ipv6_tcp",
            Class::Ipv6Udp => "ipv6_udp",
            Class::Ipv6Icmp => "ipv6_icmp",
            Class::Ipv6Other => "ipv6_other",
            Class::Ipv6Fragment => "ipv6_fragment",
            Class::Arp => "arp",
            Class::OtherLink => "other_link",
            Class::Unparsed => "unparsed",
            Class::Tunnel => "tunnel",
        }
    }

    /// Whether the stamp's hash is that of the flow as the frame itself names it. That of a fragment is the hash of
    /// the whole packet's flow, which only those know who saw the first one, or of its addresses; that of a tunnel is
    /// the hash of its ends.
    pub const fn is_hashed(class: u16) -> bool {
        class < Class::Arp as u16
            && class != Class::Ipv4Fragment as u16
            && class != Class::Ipv6Fragment as u16
    }

    /// What the program has done with filter and sample for a frame of this class.
    #[inline(always)]
    pub const fn screening(class: u16) -> Screening {
        if class < Class::Arp as u16 {
            return Screening::Full;
        }
        if class == Class::Tunnel as u16 { Screening::OuterFilter } else { Screening::None }
    }
}

/// Cells of the counter array.
pub const COUNTERS_LEN: u32 = 64;

/// Index of the counter of a verdict and a class.
pub const fn counter_index(verdict: Verdict, class: Class) -> u32 {
    ((verdict as u32) << 4) | class as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_hashed_only_where_somebody_needs_it() {
        let alone = Settings { sockets_per_queue: 1, sample_rate: 1, ..Settings::default() };
        assert!(!alone.is_hashed());
        assert!(!Settings { flags: settings_flags::FILTER, ..alone }.is_hashed());
        assert!(Settings { sockets_per_queue: 2, ..alone }.is_hashed());
        assert!(Settings { sample_rate: 10, ..alone }.is_hashed());
        assert!(Settings { flags: settings_flags::STAMP_TIME, ..alone }.is_hashed());
    }

    #[test]
    fn only_the_hash_of_a_whole_packet_is_that_of_its_flow() {
        let hashed: [bool; Class::ALL.len()] = Class::ALL.map(|class| Class::is_hashed(class as u16));
        let expected =
            [true, true, true, true, false, true, true, true, true, false, false, false, false, false];
        assert_eq!(hashed, expected);
    }

    #[test]
    fn classes_are_numbered_in_order_and_fit_their_part_of_the_counters() {
        for (number, class) in (0..).zip(Class::ALL) {
            assert_eq!(class as u16, number);
        }
        assert_eq!(counter_index(Verdict::NoSocket, Class::Tunnel), COUNTERS_LEN - 3);
    }

    #[test]
    fn a_guess_is_checked_by_userspace() {
        let stamp = Stamp { class: Class::Ipv4Udp as u16, ..Stamp::default() };
        assert!(stamp.is_hashed() && stamp.screening() == Screening::Full);
        let guess = Stamp { guess: 1, ..stamp };
        assert!(!guess.is_hashed() && guess.screening() == Screening::None);
    }

    #[test]
    fn every_port_has_a_bit_of_its_own() {
        let mut words = [0u64; TUNNEL_PORT_WORDS as usize];
        for port in 0..=u16::MAX {
            let (word, bit) = tunnel_port(port);
            assert_eq!(words[word as usize] & bit, 0, "port {port}");
            words[word as usize] |= bit;
        }
        assert!(words.iter().all(|word| *word == u64::MAX));
    }
}
