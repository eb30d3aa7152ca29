//! Data records back to flow records, by kflow's table of columns and RFCs, not by the encoder's tables.

use super::decoder::{DataRecord, Decoded, Field};
use kflow::application::{Draft, FieldKind, TEXT_BYTES_MAX};
use kflow::columns::{self, Access, Column, OWN_IDS};
use kflow::{AppProtocol, DirectionCounters, EndReason, FlowRecord, IcmpKind, MacAddress};
use std::net::IpAddr;

pub const REVERSE: u32 = 29_305;

/// A flow record as far as a data record tells, and which direction's it is. Ends of tunnels are those of its packets.
#[derive(Debug)]
pub struct Told {
    pub record: FlowRecord,
    pub is_reverse: bool,
    pub is_transaction: bool,
    pub template: u16,
    /// Texts that are in the record, whole or not.
    pub texts: Vec<(&'static str, String)>,
}

/// What a data record says. `None` for what exporters say of their sampling.
pub fn told(data: &DataRecord, message: &Decoded, enterprise: u32) -> Option<Told> {
    if data.is_options && data.iana(4).is_none() {
        return None;
    }
    let is_reverse = data.iana(239) == Some(2);
    let mut reader = Reader {
        told: Told {
            record: FlowRecord { end_reason: EndReason::Transaction, ..FlowRecord::default() },
            is_reverse,
            is_transaction: data.is_options,
            template: data.template,
            texts: Vec::new(),
        },
        boot_ms: (u64::from(message.export_s) * 1000).wrapping_sub(message.uptime_ms.into()),
        known: 0,
        application: None,
        latency_us: None,
    };
    for field in &data.fields {
        match field.enterprise {
            0 => reader.iana(field, is_reverse),
            REVERSE => reader.iana(field, !is_reverse),
            number if number == enterprise => reader.own(field),
            other => panic!("enterprise {other}"),
        }
    }
    reader.finish();
    if is_reverse {
        let record = &mut reader.told.record;
        std::mem::swap(&mut record.source, &mut record.destination);
    }
    Some(reader.told)
}

struct Reader {
    told: Told,
    boot_ms: u64,
    /// The mask that was read last.
    known: u64,
    application: Option<(AppProtocol, Draft)>,
    latency_us: Option<u32>,
}

impl Reader {
    fn counters(&mut self, is_reverse: bool) -> &mut DirectionCounters {
        let record = &mut self.told.record;
        if is_reverse { &mut record.reverse } else { &mut record.forward }
    }

    fn iana(&mut self, field: &Field, is_reverse: bool) {
        let value = field.value();
        match field.number {
            1 => self.counters(is_reverse).bytes = value,
            2 => self.counters(is_reverse).packets = value,
            4 => self.told.record.protocol = value as u8,
            5 => self.counters(is_reverse).tos = value as u8,
            6 => self.counters(is_reverse).tcp_flags = value as u8,
            7 => self.told.record.source.port = value as u16,
            11 => self.told.record.destination.port = value as u16,
            8 | 27 => self.told.record.source.address = address(&field.bytes),
            12 | 28 => self.told.record.destination.address = address(&field.bytes),
            22 => self.told.record.start_ns = (self.boot_ms + value) * 1_000_000,
            21 => self.told.record.end_ns = (self.boot_ms + value) * 1_000_000,
            32 | 139 => {
                self.told.record.icmp = IcmpKind { kind: (value >> 8) as u8, code: value as u8 };
            }
            48 | 302 => self.told.record.sample_rate = value as u32,
            52 => self.counters(is_reverse).ttl_min = value as u8,
            53 => self.counters(is_reverse).ttl_max = value as u8,
            56 => self.told.record.source.mac = MacAddress::from_integer(value),
            80 => self.told.record.destination.mac = MacAddress::from_integer(value),
            58 => self.counters(is_reverse).vlan = value as u16,
            70 => self.counters(is_reverse).mpls_label = Some((value >> 4) as u32),
            96 => assert!(AppProtocol::ALL.iter().any(|protocol| protocol.name().as_bytes() == field.bytes)),
            136 => self.told.record.end_reason = EndReason::from_number(value as u8).unwrap(),
            152 => self.told.record.start_ns = value * 1_000_000,
            153 => self.told.record.end_ns = value * 1_000_000,
            156 => self.told.record.start_ns = from_ntp(value),
            157 => self.told.record.end_ns = from_ntp(value),
            239 => assert_eq!(value, if is_reverse { 2 } else { 1 }),
            245 => self.counters(is_reverse).inner_vlan = value as u16,
            352 => self.counters(is_reverse).frame_bytes = value,
            459 => self.say("http_method", field),
            460 => self.say("http_host", field),
            461 => self.say("http_url", field),
            462 => self.say("http_version", field),
            468 => self.say("http_user_agent", field),
            469 => self.say("http_content_type", field),
            number => panic!("element {number}"),
        }
    }

    fn own(&mut self, field: &Field) {
        let value = field.value();
        match field.number {
            10_501..10_506 => self.known = value,
            10_510 => {
                let protocol = AppProtocol::from_number(value as u16).unwrap();
                self.told.record.app_protocol = Some(protocol);
                let mut draft = Draft::new(TEXT_BYTES_MAX);
                draft.begin(protocol);
                self.application = Some((protocol, draft));
            }
            10_084 => {
                self.latency_us = (self.known >> 31 & 1 == 1).then_some(value as u32);
            }
            16_384.. => {
                let (protocol, _) = self.application.as_ref().expect("the protocol comes first");
                let place = usize::from(field.number % 64);
                self.say(protocol.fields()[place].name, field);
            }
            number => self.column(number, field),
        }
    }

    fn column(&mut self, number: u16, field: &Field) {
        let is_ipv6 = matches!(number, 10_127 | 10_128);
        let id = match u32::from(number) {
            number @ 10_900.. => number - 10_900,
            number if is_ipv6 => OWN_IDS + number - 10_100,
            number => OWN_IDS + number - 10_000,
        };
        let (column, _) =
            columns::customs().find(|(_, custom)| custom.id == id).expect("it is a column's number");
        // Of the sender, who is the destination in records of the reverse direction.
        let column = if self.told.is_reverse { other_side(column) } else { column };
        if MASKED.iter().any(|name| column.name.ends_with(name)) && !self.is_known(column.name) {
            assert_eq!(field.value(), 0, "{} is unknown", column.name);
            return;
        }
        match column.access {
            Access::Number { set, .. } => set(&mut self.told.record, field.value()).unwrap(),
            Access::Address { set, .. } => set(&mut self.told.record, address(&field.bytes)),
            _ => panic!("{} is sent", column.name),
        }
    }

    /// By the order of bits in `IPFIX.md`.
    fn is_known(&self, name: &str) -> bool {
        let place = MASKED.iter().position(|masked| name.ends_with(masked)).unwrap();
        let first = [0, 4, 7].into_iter().rev().find(|first| place >= *first).unwrap();
        self.known >> (place - first) & 1 == 1
    }

    /// A field of the application.
    fn say(&mut self, name: &'static str, field: &Field) {
        let (protocol, draft) = self.application.as_mut().expect("the protocol comes first");
        let place = protocol.fields().iter().position(|field| field.name == name).unwrap();
        let described = &protocol.fields()[place];
        if self.known >> place & 1 == 0 {
            assert!(field.bytes.iter().all(|byte| *byte == 0), "{name} is unknown");
            return;
        }
        let key = protocol.key_in(described.slot).unwrap();
        match described.kind {
            FieldKind::Number => draft.number(key, field.value()),
            FieldKind::Address => draft.address(key, address(&field.bytes)),
            FieldKind::Text => {
                draft.text(key, &field.bytes);
                let text = String::from_utf8(field.bytes.clone()).expect("texts are UTF-8");
                self.told.texts.push((described.name, text));
            }
        }
    }

    fn finish(&mut self) {
        let Some((_, draft)) = &self.application else { return };
        let application = draft.to_application(self.latency_us);
        self.told.record.application = (!application.is_empty()).then_some(application);
    }
}

/// Columns that may be unknown, in the order of the bits: latency, connection, one side.
const MASKED: [&str; 15] = [
    "first_response_latency_us",
    "response_latency_min_us",
    "response_latency_mean_us",
    "response_latency_max_us",
    "client_network_latency_us",
    "server_network_latency_us",
    "total_network_latency_us",
    "_tcp_mss",
    "_tcp_window_scale",
    "_receive_window",
    "_receive_window_min",
    "_rtt_min_us",
    "_rtt_mean_us",
    "_rtt_max_us",
    "_rtt_jitter_us",
];

fn other_side(column: &'static Column) -> &'static Column {
    // The identifiers of tunnels keep their names: they are the flow's.
    if column.name.starts_with("tunnel_") {
        return column;
    }
    let other = column.name.replace("forward_", "reverse_");
    columns::all().find(|column| column.name == other).unwrap()
}

fn address(bytes: &[u8]) -> IpAddr {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).unwrap().into(),
        16 => <[u8; 16]>::try_from(bytes).unwrap().into(),
        length => panic!("an address of {length} bytes"),
    }
}

/// Nanoseconds since 1900, within the era.
fn from_ntp(value: u64) -> u64 {
    let fraction = ((value & 0xFFFF_FFFF) * 1_000_000_000 + (1 << 31)) >> 32;
    (value >> 32) * 1_000_000_000 + fraction
}

/// What [`from_ntp`] makes of a time.
pub fn in_era(ns: u64) -> u64 {
    let seconds = (ns / 1_000_000_000 + 2_208_988_800) & 0xFFFF_FFFF;
    seconds * 1_000_000_000 + ns % 1_000_000_000
}
