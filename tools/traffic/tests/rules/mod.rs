//! Frames that are wrong on purpose, read by the rules that say what a sensor counts them as.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::inspect::{Fragment, Seen, be16, network, number16};

/// `None` for what is no flow.
pub fn look(frame: &[u8]) -> Option<Seen> {
    match network(frame)? {
        (4, at) => look_v4(frame, at),
        (6, at) => look_v6(frame, at),
        _ => None,
    }
}

fn look_v4(frame: &[u8], at: usize) -> Option<Seen> {
    let packet = frame.get(at..).filter(|packet| packet.len() >= 20)?;
    let header = usize::from(packet[0] & 15) * 4;
    if packet[0] >> 4 != 4 || header < 20 {
        return None;
    }
    let packet_bytes = match usize::from(be16(packet, 2)) {
        0 => packet.len(),
        total => total,
    };
    let offset_and_more = be16(packet, 6) & 0x3fff;
    let is_first = offset_and_more & 0x1fff == 0;
    let identification = u32::from(be16(packet, 4));
    let upper = Upper {
        packet: &packet[..packet_bytes.max(header).min(packet.len())],
        at: header,
        protocol: packet[9],
        fragment: (offset_and_more != 0).then_some(Fragment { identification, is_first }),
    };
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()).into();
    Some(Seen { packet_bytes, source: address(12), destination: address(16), ..upper.seen() })
}

fn look_v6(frame: &[u8], at: usize) -> Option<Seen> {
    let packet = frame.get(at..).filter(|packet| packet.len() >= 40)?;
    if packet[0] >> 4 != 6 {
        return None;
    }
    let packet_bytes = match be16(packet, 4) {
        0 if packet[6] != 59 && frame.len() > 60 => packet.len(),
        payload => 40 + usize::from(payload),
    };
    let packet_on_wire = &packet[..packet_bytes.min(packet.len())];
    let mut upper = Upper { packet: packet_on_wire, at: 40, protocol: packet[6], fragment: None };
    for depth in 0.. {
        let is_extension = matches!(upper.protocol, 0 | 43 | 44 | 60);
        if !is_extension || upper.fragment.is_some_and(|fragment| !fragment.is_first) {
            break;
        }
        if depth == 8 {
            return None;
        }
        let header = packet_on_wire.get(upper.at..upper.at + 8)?;
        if upper.protocol == 44 {
            let identification = u32::from_be_bytes(header[4..].try_into().unwrap());
            let word = be16(header, 2);
            upper.fragment = (word != 0).then_some(Fragment { identification, is_first: word >> 3 == 0 });
            upper.at += 8;
        } else {
            upper.at += 8 * (1 + usize::from(header[1]));
        }
        upper.protocol = header[0];
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap()).into();
    Some(Seen { packet_bytes, source: address(8), destination: address(24), ..upper.seen() })
}

/// What is behind the IP headers, as far as IP's length goes.
struct Upper<'a> {
    packet: &'a [u8],
    at: usize,
    protocol: u8,
    fragment: Option<Fragment>,
}

impl Upper<'_> {
    fn seen(&self) -> Seen {
        let has_ports = matches!(self.protocol, 6 | 17 | 132)
            && self.fragment.is_none_or(|fragment| fragment.is_first)
            && self.packet.len() >= self.at + 4;
        let port = |at| if has_ports { number16(self.packet, self.at + at).unwrap() } else { 0 };
        Seen {
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::UNSPECIFIED.into(),
            source_port: port(0),
            destination_port: port(2),
            protocol: self.protocol,
            packet_bytes: 0,
            udp_data: 0,
            fragment: self.fragment,
        }
    }
}
