//! Frames that belong to no flow, whatever the sensor: nothing here leaves room for a second opinion.

use super::PlannedFrame;
use super::random::Random;
use super::talk::Pair;
use crate::frame::ip::Ip;
use crate::frame::transport::{Transport, Udp};
use crate::frame::{ETHERNET_HEADER_BYTES, Ethernet, Padding, ether_type};

/// One to four frames.
pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let count = random.between(1, 4);
    (0..count).map(|_| frame(pair, random)).collect()
}

fn frame(pair: &Pair, random: &mut Random) -> PlannedFrame {
    let unpadded = Ethernet { padding: Padding::Never, ..pair.ethernet.clone() };
    let (description, bytes) = match random.between(0, 9) {
        0 => {
            let target = (random.next_u64() as u32).to_be_bytes();
            ("ARP request", pair.ethernet.arp_request([10, 0, 0, 1], target))
        }
        1 => ("LLDP", pair.ethernet.frame(ether_type::LLDP, &[2, 7, 4, 2, 0, 0, 0, 0, 1, 0, 0])),
        2 => ("802.3 with LLC", pair.ethernet.frame(38, &[0x42; 38])),
        3 => {
            let count = random.between(46, 1_500) as usize;
            // 0x88b5 is IEEE's number for local experiments.
            ("noise", unpadded.frame(0x88b5, &random.bytes(count)))
        }
        4 => ("Ethernet header alone", unpadded.frame(ether_type::IPV4, &[])),
        5 => {
            let kept = random.between(1, 19) as usize;
            let whole = whole_packet(&pair.v4, random);
            ("IPv4 header cut", unpadded.frame(ether_type::IPV4, &whole[..kept]))
        }
        6 => {
            let kept = random.between(1, 39) as usize;
            let whole = whole_packet(&pair.v6, random);
            ("IPv6 header cut", unpadded.frame(ether_type::IPV6, &whole[..kept]))
        }
        7 => {
            let mut packet = whole_packet(&pair.v4, random);
            packet[0] = 0x75;
            ("IPv4 of version 7", pair.ethernet.frame(ether_type::IPV4, &packet))
        }
        8 => {
            let mut packet = whole_packet(&pair.v4, random);
            packet[0] = 0x40 | random.between(0, 4) as u8;
            ("IPv4 header length below 20", pair.ethernet.frame(ether_type::IPV4, &packet))
        }
        _ => {
            let mut frame = unpadded.frame(ether_type::VLAN, &[0x00]);
            frame.truncate(ETHERNET_HEADER_BYTES + 1);
            ("VLAN tag cut", frame)
        }
    };
    PlannedFrame::not_flow(bytes, description)
}

fn whole_packet(ip: &Ip, random: &mut Random) -> Vec<u8> {
    let payload = random.bytes(40);
    ip.packet(&Transport::Udp(Udp { source_port: 1, destination_port: 2 }), &payload).bytes
}
