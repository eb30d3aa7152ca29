//! The decoder against arbitrary bytes, against a second decoder, and case by case.

mod fields;
mod links;
mod opinion;
mod packets;
mod properties;
mod reasons;
mod samples;
mod tunnels;
mod wrap;

use super::{Packet, decode};
use crate::source::{Frame, LinkType};
use std::net::{IpAddr, Ipv6Addr};
use traffic::frame::{
    Ethernet, Padding,
    ip::{Extension, Ip, Ipv4, Ipv6},
    transport::{Tcp, Transport, Udp},
};

const HEADER_BYTES: usize = 14;

fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, wire_bytes: bytes.len() as u32, link, ..Frame::EMPTY }
}

fn ethernet(bytes: &[u8]) -> Frame<'_> {
    frame(LinkType::ETHERNET, bytes)
}

fn untagged() -> Ethernet {
    Ethernet { padding: Padding::Never, ..Ethernet::default() }
}

fn v4() -> Ip {
    Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]))
}

fn v6() -> Ip {
    v6_with(Vec::new())
}

fn v6_with(extensions: Vec<Extension>) -> Ip {
    let [source, destination] = [1, 2].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    Ip::V6(Ipv6 { extensions, ..Ipv6::between(source, destination) })
}

fn udp() -> Transport {
    Transport::Udp(Udp { source_port: 4000, destination_port: 53 })
}

fn tcp() -> Transport {
    Transport::Tcp(Tcp {
        source_port: 4000,
        destination_port: 443,
        sequence: 1,
        acknowledgement: 2,
        flags: 0x12,
        window: 1000,
        options: vec![1; 12],
    })
}

/// Both ends, the sender first.
fn ends(packet: &Packet) -> [(IpAddr, u16); 2] {
    [packet.key.end(packet.sender), packet.key.end(packet.sender.other())]
}

fn ports(packet: &Packet) -> (u16, u16) {
    let [(_, source), (_, destination)] = ends(packet);
    (source, destination)
}

fn decoded(bytes: &[u8]) -> Packet {
    decode(&ethernet(bytes)).expect("a packet of a flow")
}

fn payload<'a>(bytes: &'a [u8], packet: &Packet) -> &'a [u8] {
    &bytes[packet.payload.start as usize..packet.payload.end as usize]
}
