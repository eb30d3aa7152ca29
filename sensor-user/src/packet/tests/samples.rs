//! Frames that a host could send, drawn at random.

use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use traffic::frame::{
    Ethernet, Padding, Tag,
    ip::{Extension, Ip, Ipv4, Ipv6},
    transport::{Icmp, Sctp, Tcp, Transport, Udp},
};

/// A frame and what it is made of.
#[derive(Clone, Debug)]
pub struct Sample {
    pub ethernet: Ethernet,
    pub ip: Ip,
    pub transport: Transport,
    pub payload: Vec<u8>,
}

impl Sample {
    pub fn bytes(&self) -> Vec<u8> {
        self.ethernet.carry(&self.ip.packet(&self.transport, &self.payload))
    }

    pub fn reversed(&self) -> Sample {
        let swap = |source_port, destination_port| (destination_port, source_port);
        let transport = match self.transport.clone() {
            Transport::Tcp(tcp) => {
                let (source_port, destination_port) = swap(tcp.source_port, tcp.destination_port);
                Transport::Tcp(Tcp { source_port, destination_port, ..tcp })
            }
            Transport::Udp(udp) => {
                let (source_port, destination_port) = swap(udp.source_port, udp.destination_port);
                Transport::Udp(Udp { source_port, destination_port })
            }
            Transport::Sctp(sctp) => {
                let (source_port, destination_port) = swap(sctp.source_port, sctp.destination_port);
                Transport::Sctp(Sctp { source_port, destination_port, ..sctp })
            }
            other => other,
        };
        let (ethernet, ip) = (self.ethernet.reversed(), self.ip.reversed());
        Sample { ethernet, ip, transport, payload: self.payload.clone() }
    }
}

pub fn sample() -> impl Strategy<Value = Sample> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    (ethernet_header(), ip_and_transport(), payload).prop_map(|(ethernet, (ip, transport), payload)| Sample {
        ethernet,
        ip,
        transport,
        payload,
    })
}

fn ethernet_header() -> impl Strategy<Value = Ethernet> {
    // Three is as many as etherparse follows.
    let tag = (prop::sample::select(vec![0x8100, 0x88a8, 0x9100]), 0u16..4096, 0u8..8)
        .prop_map(|(ether_type, id, priority)| Tag { ether_type, id, priority });
    let padding = prop_oneof![Just(Padding::ToMinimum), Just(Padding::Never)];
    (any::<[u8; 6]>(), any::<[u8; 6]>(), prop::collection::vec(tag, 0..=3), padding)
        .prop_map(|(source, destination, tags, padding)| Ethernet { source, destination, tags, padding })
}

fn ip_and_transport() -> impl Strategy<Value = (Ip, Transport)> {
    let options = prop::collection::vec(any::<u8>(), 0..=40);
    let v4 = (address_v4(), address_v4(), any::<u8>(), options, any::<bool>()).prop_map(
        |(source, destination, tos, options, dont_fragment)| {
            let ip = Ipv4 { tos, options, dont_fragment, ..Ipv4::between(source, destination) };
            Ip::V4(ip)
        },
    );
    let extension = || prop::collection::vec(any::<u8>(), 0..30);
    let extensions = (prop::option::of(extension()), prop::collection::vec(extension(), 0..2)).prop_map(
        |(hop_by_hop, destination)| {
            let hop_by_hop = hop_by_hop.into_iter().map(Extension::HopByHop);
            hop_by_hop.chain(destination.into_iter().map(Extension::DestinationOptions)).collect()
        },
    );
    let v6 = (address_v6(), address_v6(), any::<u8>(), 0u32..1 << 20, extensions).prop_map(
        |(source, destination, traffic_class, flow_label, extensions)| {
            let ip = Ipv6 { traffic_class, flow_label, extensions, ..Ipv6::between(source, destination) };
            Ip::V6(ip)
        },
    );
    let icmp = || {
        (any::<u8>(), any::<u16>()).prop_map(|(code, identifier)| Icmp {
            kind: 8,
            code,
            identifier,
            sequence: 1,
        })
    };
    prop_oneof![
        (v4, prop_oneof![6 => transport(), 1 => icmp().prop_map(Transport::Icmp)]),
        (v6, prop_oneof![6 => transport(), 1 => icmp().prop_map(Transport::Icmpv6)]),
    ]
}

/// Few of them, so that ends are equal or differ only by port now and then.
fn address_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![any::<u32>(), 0x0a00_0000..0x0a00_0003u32].prop_map(Ipv4Addr::from_bits)
}

fn address_v6() -> impl Strategy<Value = Ipv6Addr> {
    let near = (0u128..3, 0u128..3).prop_map(|(upper, lower)| upper << 64 | lower);
    prop_oneof![any::<u128>(), near].prop_map(Ipv6Addr::from_bits)
}

fn transport() -> impl Strategy<Value = Transport> {
    let port = || prop_oneof![any::<u16>(), 79u16..82];
    let options = prop::collection::vec(any::<u8>(), 0..=40);
    let tcp =
        (port(), port(), any::<u8>(), options).prop_map(|(source_port, destination_port, flags, options)| {
            let (sequence, acknowledgement, window) = (7, 8, 9);
            Transport::Tcp(Tcp {
                source_port,
                destination_port,
                sequence,
                acknowledgement,
                flags,
                window,
                options,
            })
        });
    let udp = (port(), port())
        .prop_map(|(source_port, destination_port)| Transport::Udp(Udp { source_port, destination_port }));
    let sctp = (port(), port()).prop_map(|(source_port, destination_port)| {
        Transport::Sctp(Sctp { source_port, destination_port, verification_tag: 1 })
    });
    let other = prop::sample::select(vec![47, 50, 89, 253]).prop_map(Transport::Other);
    prop_oneof![3 => tcp, 3 => udp, 1 => sctp, 1 => other]
}
