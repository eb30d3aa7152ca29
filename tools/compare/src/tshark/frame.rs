//! One frame as tshark prints it: a line of fields, each with all its occurrences from the outside in.

use super::{View, messages};
use anyhow::ensure;

/// What tshark is asked of a packet.
const PACKET_FIELDS: [&str; 26] = [
    "frame.len",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.len",
    "ip.flags.mf",
    "ip.frag_offset",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.nxt",
    "ipv6.plen",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "sctp.srcport",
    "sctp.dstport",
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.lost_segment",
    "tcp.analysis.duplicate_ack",
    "tcp.analysis.zero_window",
    INITIAL_RTT,
];

/// Everything that tshark is asked for, in its order.
pub fn fields() -> impl Iterator<Item = &'static str> {
    PACKET_FIELDS.into_iter().chain(messages::fields())
}

/// Marks of tshark's TCP analysis, and what they are counted as.
pub const ANALYSIS: [(&str, &str); 7] = [
    ("tcp.analysis.retransmission", "retransmission"),
    ("tcp.analysis.fast_retransmission", "fast_retransmission"),
    ("tcp.analysis.spurious_retransmission", "spurious_retransmission"),
    ("tcp.analysis.out_of_order", "out_of_order"),
    ("tcp.analysis.lost_segment", "lost_segment"),
    ("tcp.analysis.duplicate_ack", "duplicate_ack"),
    ("tcp.analysis.zero_window", "zero_window"),
];

pub const INITIAL_RTT: &str = "tcp.analysis.initial_rtt";

/// Layers with ports, by tshark's name, and others whose protocol number the header before them may not say.
const TRANSPORTS: [(&str, u8); 5] = [("tcp", 6), ("udp", 17), ("sctp", 132), ("icmp", 1), ("icmpv6", 58)];
const WITH_PORTS: [&str; 3] = ["tcp", "udp", "sctp"];

/// The values of a line, in the order of [`fields`].
#[derive(Debug)]
pub struct Frame<'a>(Vec<&'a str>);

/// A frame's packet in one of its conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub protocol: u8,
    /// Empty if the header is cut before it.
    pub source: &'a str,
    pub source_port: u16,
    pub destination: &'a str,
    pub destination_port: u16,
    pub ip_bytes: u64,
    pub is_fragment: bool,
    pub is_tcp: bool,
    /// Nothing but the packet's own transport carries what is in the frame: no tunnel, no error that quotes it.
    pub is_whole_path: bool,
}

impl<'a> Frame<'a> {
    pub fn parse(line: &'a str) -> anyhow::Result<Frame<'a>> {
        let values: Vec<&str> = line.split('\t').collect();
        let expected = fields().count();
        ensure!(values.len() == expected, "{} values for {expected} fields", values.len());
        Ok(Frame(values))
    }

    pub fn has(&self, field: &str) -> bool {
        !self.all(field).is_empty()
    }

    /// From the outside in.
    pub fn layers(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.all("frame.protocols").split(':')
    }

    /// All of them; none if the frame does not have the field.
    pub fn occurrences(&self, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let all = self.all(field);
        all.split('\x1f').filter(move |_| !all.is_empty())
    }

    /// One occurrence, counted from the outside; empty if there is none.
    pub fn value(&self, field: &str, occurrence: usize) -> &'a str {
        self.all(field).split('\x1f').nth(occurrence).unwrap_or_default()
    }

    /// Zero if there is none.
    pub fn number(&self, field: &str, occurrence: usize) -> u64 {
        self.value(field, occurrence).parse().unwrap_or(0)
    }

    fn all(&self, field: &str) -> &'a str {
        let index = fields().position(|name| name == field).expect("only fields of the list are read");
        self.0[index]
    }
}

impl<'a> Packet<'a> {
    /// `None` if the frame has no IP header.
    pub fn of(frame: &Frame<'a>, view: View) -> Option<Packet<'a>> {
        let layers: Vec<&str> = frame.layers().collect();
        // What an ICMP error quotes is not under way.
        let under_way = layers.iter().position(|layer| layer.starts_with("icmp")).unwrap_or(layers.len());
        let is_ip = |position: &usize| matches!(layers[*position], "ip" | "ipv6");
        let mut headers = (0..under_way).filter(is_ip);
        let header = match view {
            View::Outermost => headers.next(),
            View::Innermost => headers.next_back(),
        }?;
        let occurrence =
            |position: usize| layers[..position].iter().filter(|l| **l == layers[position]).count();
        let mut packet = Packet::of_header(frame, layers[header], occurrence(header))?;
        let mut extensions = layers[header + 1..].iter().take_while(|layer| layer.starts_with("ipv6."));
        packet.is_fragment |= extensions.any(|layer| *layer == "ipv6.fraghdr");
        // The transport is what follows directly; a tunnelled one has other packets' ports.
        let follows = |position: &usize| {
            let is_extension = layers[*position].starts_with("ipv6.");
            !is_extension && (view == View::Outermost || layers[*position] != "ah")
        };
        let Some(transport) = (header + 1..layers.len()).find(follows) else { return Some(packet) };
        let name = layers[transport];
        if WITH_PORTS.contains(&name) {
            let port = |side| frame.number(&format!("{name}.{side}port"), occurrence(transport)) as u16;
            (packet.source_port, packet.destination_port) = (port("src"), port("dst"));
        }
        if WITH_PORTS.contains(&name) || view == View::Innermost {
            let number = TRANSPORTS.iter().find(|(layer, _)| *layer == name);
            packet.protocol = number.map_or(packet.protocol, |(_, number)| *number);
        }
        packet.is_tcp = name == "tcp";
        packet.is_whole_path = matches!(name, "tcp" | "udp") && !(transport..layers.len()).any(|l| is_ip(&l));
        Some(packet)
    }

    /// What the IP header says by itself; `None` if it is cut before the source.
    fn of_header(frame: &Frame<'a>, version: &str, occurrence: usize) -> Option<Packet<'a>> {
        let number = |field| frame.number(field, occurrence);
        let (protocol, ip_bytes, is_fragment) = if version == "ip" {
            let more = matches!(frame.value("ip.flags.mf", occurrence), "1" | "True");
            (number("ip.proto"), number("ip.len"), more || number("ip.frag_offset") > 0)
        } else {
            (number("ipv6.nxt"), number("ipv6.plen") + 40, false)
        };
        let source = frame.value(&format!("{version}.src"), occurrence);
        let destination = frame.value(&format!("{version}.dst"), occurrence);
        (!source.is_empty()).then_some(Packet {
            protocol: protocol as u8,
            source,
            source_port: 0,
            destination,
            destination_port: 0,
            ip_bytes,
            is_fragment,
            is_tcp: false,
            is_whole_path: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(set: &[(&str, &str)]) -> String {
        let value = |field: &str| set.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value);
        fields().map(value).collect::<Vec<_>>().join("\t")
    }

    fn named(set: &[(&str, &str)], view: View) -> Option<String> {
        let line = frame(set);
        let packet = Packet::of(&Frame::parse(&line).unwrap(), view)?;
        let Packet { protocol, source, source_port, destination, destination_port, .. } = packet;
        Some(format!("{protocol} {source} {source_port} {destination} {destination_port}"))
    }

    #[test]
    fn outermost_header_may_be_of_either_version() {
        let six_in_four = [
            ("frame.protocols", "eth:ethertype:ip:ipv6:udp"),
            ("ip.src", "192.0.2.1"),
            ("ip.dst", "192.0.2.2"),
            ("ip.proto", "41"),
            ("ipv6.src", "2001:db8::1"),
            ("ipv6.dst", "2001:db8::2"),
            ("ipv6.nxt", "17"),
            ("udp.srcport", "5"),
            ("udp.dstport", "53"),
        ];
        assert_eq!(named(&six_in_four, View::Outermost).unwrap(), "41 192.0.2.1 0 192.0.2.2 0");
        assert_eq!(named(&six_in_four, View::Innermost).unwrap(), "17 2001:db8::1 5 2001:db8::2 53");
        let four_in_six = [&[("frame.protocols", "eth:ethertype:ipv6:ip:udp")], &six_in_four[1..]].concat();
        assert_eq!(named(&four_in_six, View::Outermost).unwrap(), "17 2001:db8::1 0 2001:db8::2 0");
        assert_eq!(named(&four_in_six, View::Innermost).unwrap(), "17 192.0.2.1 5 192.0.2.2 53");
    }

    #[test]
    fn quoted_packet_of_an_icmp_error_is_no_inner_packet() {
        let error = [
            ("frame.protocols", "eth:ethertype:ip:icmp:ip:udp:dns"),
            ("ip.src", "192.0.2.9\x1f192.0.2.1"),
            ("ip.dst", "192.0.2.1\x1f198.51.100.1"),
            ("ip.proto", "1\x1f17"),
            ("udp.srcport", "5"),
            ("udp.dstport", "53"),
        ];
        assert_eq!(named(&error, View::Innermost).unwrap(), "1 192.0.2.9 0 192.0.2.1 0");
    }

    #[test]
    fn ports_are_those_of_the_layer_behind_the_chosen_header() {
        let vxlan = [
            ("frame.protocols", "eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:udp:dns"),
            ("ip.src", "192.0.2.1\x1f10.0.0.1"),
            ("ip.dst", "192.0.2.2\x1f10.0.0.2"),
            ("ip.proto", "17\x1f17"),
            ("udp.srcport", "50000\x1f1234"),
            ("udp.dstport", "4789\x1f53"),
        ];
        assert_eq!(named(&vxlan, View::Outermost).unwrap(), "17 192.0.2.1 50000 192.0.2.2 4789");
        assert_eq!(named(&vxlan, View::Innermost).unwrap(), "17 10.0.0.1 1234 10.0.0.2 53");
    }

    #[test]
    fn authenticated_segment_is_a_segment_inside_only() {
        let authenticated = [
            ("frame.protocols", "eth:ethertype:ip:ah:tcp"),
            ("ip.src", "192.0.2.1"),
            ("ip.dst", "192.0.2.2"),
            ("ip.proto", "51"),
            ("tcp.srcport", "40000"),
            ("tcp.dstport", "80"),
        ];
        assert_eq!(named(&authenticated, View::Outermost).unwrap(), "51 192.0.2.1 0 192.0.2.2 0");
        assert_eq!(named(&authenticated, View::Innermost).unwrap(), "6 192.0.2.1 40000 192.0.2.2 80");
    }

    #[test]
    fn fragment_that_an_icmp_error_quotes_does_not_make_the_error_one() {
        let is_fragment = |protocols| {
            let line = frame(&[("frame.protocols", protocols), ("ipv6.src", "2001:db8::1\x1f2001:db8::2")]);
            Packet::of(&Frame::parse(&line).unwrap(), View::Outermost).unwrap().is_fragment
        };
        assert!(is_fragment("eth:ethertype:ipv6:ipv6.hopopts:ipv6.fraghdr:data"));
        assert!(!is_fragment("eth:ethertype:ipv6:icmpv6:ipv6:ipv6.fraghdr:data"));
    }

    #[test]
    fn frame_without_ip_has_no_packet() {
        assert_eq!(named(&[("frame.protocols", "eth:ethertype:arp")], View::Outermost), None);
        assert_eq!(named(&[("frame.protocols", "eth:ethertype:ip")], View::Outermost), None);
        assert_eq!(named(&[], View::Innermost), None);
    }
}
