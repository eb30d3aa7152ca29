//! Packets as capture files hold them whose link is not Ethernet, and the numbers of these links.

use super::ether_type;
use super::ip::Packet;
use super::link::{SNAP_HEADER, ppp_protocol};

/// A link type of capture files (tcpdump.org "Link-layer header types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureLink {
    Ethernet,
    /// The address family in the byte order of the host that captured: here the little-endian one.
    Null,
    /// PPP in HDLC-like framing (RFC 1662).
    Ppp,
    Raw,
    /// Cisco HDLC.
    CiscoHdlc,
    /// As [`CaptureLink::Null`] in network byte order.
    Loop,
    /// Linux "cooked" capture.
    Sll,
    /// IEEE 802.11 data behind a radiotap header.
    Radiotap,
    /// Linux "cooked" capture, version 2.
    Sll2,
}

impl CaptureLink {
    /// All of them that [`CaptureLink::carry`] knows.
    pub const OTHERS: [CaptureLink; 8] = [
        CaptureLink::Null,
        CaptureLink::Ppp,
        CaptureLink::Raw,
        CaptureLink::CiscoHdlc,
        CaptureLink::Loop,
        CaptureLink::Sll,
        CaptureLink::Radiotap,
        CaptureLink::Sll2,
    ];

    /// What the header of the file says.
    pub const fn number(self) -> u32 {
        match self {
            CaptureLink::Null => 0,
            CaptureLink::Ethernet => 1,
            CaptureLink::Ppp => 9,
            CaptureLink::Raw => 101,
            CaptureLink::CiscoHdlc => 104,
            CaptureLink::Loop => 108,
            CaptureLink::Sll => 113,
            CaptureLink::Radiotap => 127,
            CaptureLink::Sll2 => 276,
        }
    }

    /// The frame that carries an IP packet. For Ethernet there is more to say: see [`super::Ethernet::carry`].
    pub fn carry(self, packet: &Packet) -> Vec<u8> {
        let header = match self {
            CaptureLink::Ethernet => return super::Ethernet::default().carry(packet),
            CaptureLink::Null => family(packet).to_le_bytes().to_vec(),
            CaptureLink::Loop => family(packet).to_be_bytes().to_vec(),
            CaptureLink::Raw => Vec::new(),
            CaptureLink::Ppp => [[0xff, 0x03], ppp_protocol(packet)].concat(),
            // Unicast, and a control byte of zero.
            CaptureLink::CiscoHdlc => [[0x0f, 0x00], packet.ether_type.to_be_bytes()].concat(),
            CaptureLink::Sll => sll(packet),
            CaptureLink::Sll2 => sll2(packet),
            CaptureLink::Radiotap => radiotap(packet),
        };
        [&header[..], &packet.bytes].concat()
    }
}

/// Address family; that of IPv6 as FreeBSD numbers it.
fn family(packet: &Packet) -> u32 {
    if packet.ether_type == ether_type::IPV6 { 28 } else { 2 }
}

/// Sent to us, over Ethernet, by an address of six bytes in a field of eight.
fn sll(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 1, 0, 6];
    header.extend_from_slice(&SENDER);
    header.extend_from_slice(&packet.ether_type.to_be_bytes());
    header
}

/// The same fields in another order, with the number of the interface.
fn sll2(packet: &Packet) -> Vec<u8> {
    let mut header = packet.ether_type.to_be_bytes().to_vec();
    header.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 1, 0, 6]);
    header.extend_from_slice(&SENDER);
    header
}

const SENDER: [u8; 8] = [2, 0, 0, 0, 0, 1, 0, 0];

/// A radiotap header without fields (version, padding, length of 8, nothing present), then a data frame (IEEE 802.11)
/// from a station to its access point, then LLC with SNAP.
fn radiotap(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0, 0, 8, 0, 0, 0, 0, 0];
    header.extend_from_slice(&[DATA_FRAME, TO_DISTRIBUTION, 0, 0]);
    header.extend_from_slice(&[2, 0, 0, 0, 0, 9]);
    header.extend_from_slice(&SENDER[..6]);
    header.extend_from_slice(&[2, 0, 0, 0, 0, 2]);
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&SNAP_HEADER);
    header.extend_from_slice(&packet.ether_type.to_be_bytes());
    header
}

const DATA_FRAME: u8 = 0x08;
const TO_DISTRIBUTION: u8 = 0x01;
