//! Message to records, by the schema's generated reader, with limits on what a message can make it do.

use super::limits::Limits;
use super::unpacking::Unpacked;
use super::wire::{self, APPLICATION_NAMES, SAMPLE_RATE_SCALE};
use crate::application::{AppProtocol, Application, Draft, Slot, TEXT_BYTES_MAX};
use crate::chf_capnp::{c_h_f, custom, packed_c_h_f};
use crate::columns::{self, Access, Column, Group};
use crate::error::Error;
use crate::protocol::is_icmp;
use crate::record::{
    DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, MacAddress, TcpRecord, Tunnel,
};
use std::fmt::Display;
use std::net::IpAddr;

/// Decodes one packed message.
///
/// Every slice of bytes is a valid argument. A record's values that [`FlowRecord`] has no room for, such as a
/// protocol number above 255, are an error; custom columns of other senders are skipped, and so are slots that the
/// application protocol has no use for or that hold values of another type. A record without an
/// end time ended when it started if the message does not know of end times, and without an end reason it
/// counts as idle. A sample rate that is not whole, as of a batch that was thinned out, is rounded.
pub fn decode(bytes: &[u8]) -> Result<Vec<FlowRecord>, Error> {
    let limits = Limits { nesting: Limits::NESTING_MIN, ..Limits::default() };
    let message = Unpacked::read(bytes, &limits)?;
    let message = message.reader(&limits);
    let root: packed_c_h_f::Reader<'_> = message.get_root().map_err(malformed)?;
    let structs = root.get_msgs().map_err(malformed)?;
    if structs.len() as usize > limits.records {
        return Err(Error::malformed(format!("it claims {} records", structs.len())));
    }
    let mut known = KnownColumns::default();
    let mut application = ReceivedApplication::new();
    let mut records = Vec::with_capacity(structs.len() as usize);
    for (index, chf) in structs.iter().enumerate() {
        if chf.get_app_protocol() == APPLICATION_NAMES {
            known.learn(chf).map_err(malformed)?;
            continue;
        }
        let record = read_record(chf, &known, &mut application)
            .map_err(|Invalid(what)| Error::malformed(format!("record {index}: {what}")))?;
        records.push(record);
    }
    Ok(records)
}

/// What is wrong with a record.
struct Invalid(String);

impl From<capnp::Error> for Invalid {
    fn from(error: capnp::Error) -> Invalid {
        Invalid(error.to_string())
    }
}

fn malformed(error: impl Display) -> Error {
    Error::malformed(error.to_string())
}

/// The custom columns that a message has and that are known here, by the message's ids.
#[derive(Default)]
struct KnownColumns(Vec<(u32, Known)>);

#[derive(Clone, Copy)]
enum Known {
    Column(&'static Column),
    Slot(Slot),
}

impl KnownColumns {
    /// Takes the ids from a record that names columns.
    fn learn(&mut self, chf: c_h_f::Reader<'_>) -> capnp::Result<()> {
        for custom in chf.get_custom()? {
            let custom::value::StrVal(name) = custom.get_value().which()? else {
                continue;
            };
            let Some(known) = Known::by_name(name?.as_bytes()) else {
                continue;
            };
            if self.0.len() < columns::CUSTOMS + Slot::COUNT {
                self.0.push((custom.get_id(), known));
            }
        }
        Ok(())
    }

    /// Finds a column and remembers its place: those of a record mostly come in the order of the names.
    fn find(&self, id: u32, place: &mut usize) -> Option<Known> {
        let (before, after) = self.0.split_at(*place);
        let among = |columns: &[(u32, Known)]| columns.iter().position(|(known, _)| *known == id);
        let found = among(after).map(|index| before.len() + index).or_else(|| among(before))?;
        *place = found + 1;
        Some(self.0[found].1)
    }
}

impl Known {
    fn by_name(name: &[u8]) -> Option<Known> {
        let column = columns::customs().find(|(_, custom)| custom.name.as_bytes() == name);
        let slot = || Slot::all().find(|slot| slot.name().as_bytes() == name);
        column.map(|(column, _)| Known::Column(column)).or_else(|| slot().map(Known::Slot))
    }
}

fn read_record(
    chf: c_h_f::Reader<'_>,
    known: &KnownColumns,
    application: &mut ReceivedApplication,
) -> Result<FlowRecord, Invalid> {
    let start_ns = chf.get_timestamp_nano() as u64;
    let protocol = fit(chf.get_protocol(), "protocol")?;
    let (ports, icmp) = read_ports(chf, protocol)?;
    let mut record = FlowRecord {
        start_ns,
        // Who names no columns does not know of end times.
        end_ns: if known.0.is_empty() { start_ns } else { 0 },
        source: Endpoint {
            address: read_address(chf.get_ipv4_src_addr(), chf.get_ipv6_src_addr()?)?,
            port: ports.0,
            mac: MacAddress::from_integer(chf.get_src_eth_mac()),
        },
        destination: Endpoint {
            address: read_address(chf.get_ipv4_dst_addr(), chf.get_ipv6_dst_addr()?)?,
            port: ports.1,
            mac: MacAddress::from_integer(chf.get_dst_eth_mac()),
        },
        protocol,
        icmp,
        forward: DirectionCounters {
            packets: chf.get_in_pkts(),
            bytes: chf.get_in_bytes(),
            vlan: fit(chf.get_vlan_in(), "vlanIn")?,
            ..DirectionCounters::default()
        },
        reverse: DirectionCounters {
            packets: chf.get_out_pkts(),
            bytes: chf.get_out_bytes(),
            vlan: fit(chf.get_vlan_out(), "vlanOut")?,
            ..DirectionCounters::default()
        },
        end_reason: EndReason::IdleTimeout,
        sample_rate: read_sample_rate(chf),
        app_protocol: read_app_protocol(chf),
        ..FlowRecord::default()
    };
    application.begin(record.app_protocol);
    read_customs(chf, known, &mut record, application)?;
    record.application = application.finish();
    Ok(record)
}

fn read_ports(chf: c_h_f::Reader<'_>, protocol: u8) -> Result<((u16, u16), IcmpKind), Invalid> {
    let source = fit(chf.get_l4_src_port(), "l4SrcPort")?;
    let destination: u16 = fit(chf.get_l4_dst_port(), "l4DstPort")?;
    if !is_icmp(protocol) {
        return Ok(((source, destination), IcmpKind::default()));
    }
    let [kind, code] = destination.to_be_bytes();
    Ok(((0, 0), IcmpKind { kind, code }))
}

/// The IPv6 address if there is one, else the IPv4 address.
fn read_address(v4: u32, v6: &[u8]) -> Result<IpAddr, Invalid> {
    if v6.is_empty() {
        return Ok(IpAddr::from(v4.to_be_bytes()));
    }
    let octets: [u8; 16] =
        v6.try_into().map_err(|_| Invalid(format!("an IPv6 address of {} bytes", v6.len())))?;
    Ok(IpAddr::from(octets))
}

/// One in so many flows. A rate in hundredths is rounded to a whole one, half of one up, and one below 1 counts as 1;
/// [`super::decode_chf`] has it exactly.
fn read_sample_rate(chf: c_h_f::Reader<'_>) -> u32 {
    let rate = chf.get_sample_rate();
    if !chf.get_sample_adj() || rate == 0 {
        return rate;
    }
    let rounds_up = rate % SAMPLE_RATE_SCALE >= SAMPLE_RATE_SCALE / 2;
    (rate / SAMPLE_RATE_SCALE + u32::from(rounds_up)).max(1)
}

/// What this project does not know is nothing that it understands.
fn read_app_protocol(chf: c_h_f::Reader<'_>) -> Option<AppProtocol> {
    AppProtocol::from_number(chf.get_app_protocol().try_into().ok()?)
}

fn read_customs(
    chf: c_h_f::Reader<'_>,
    known: &KnownColumns,
    record: &mut FlowRecord,
    application: &mut ReceivedApplication,
) -> Result<(), Invalid> {
    let mut place = 0;
    for received in chf.get_custom()? {
        match known.find(received.get_id(), &mut place) {
            None => {}
            Some(Known::Slot(slot)) => application.take(slot, received)?,
            Some(Known::Column(column)) => read_column(column, received, record, application)?,
        }
    }
    // Other senders may say what does not apply.
    if !Group::Tunnel.applies(record) {
        record.tunnel = Tunnel::default();
    }
    if !Group::Tcp.applies(record) {
        record.tcp = TcpRecord::default();
    }
    if !Group::Application.applies(record) {
        record.transactions = 0;
    }
    Ok(())
}

fn read_column(
    column: &Column,
    received: custom::Reader<'_>,
    record: &mut FlowRecord,
    application: &mut ReceivedApplication,
) -> Result<(), Invalid> {
    match column.access {
        Access::Number { set, .. } => {
            let number = read_number(received).ok_or_else(|| not_a_number(column))?;
            set(record, number).ok_or_else(|| cannot_be(column, number))?;
        }
        Access::Address { set, .. } => {
            let address = read_custom_address(received)?
                .ok_or_else(|| Invalid(format!("{} is not an address", column.name)))?;
            set(record, address);
        }
        Access::ApplicationLatency => {
            let number = read_number(received).ok_or_else(|| not_a_number(column))?;
            application.latency_us = Some(number.try_into().map_err(|_| cannot_be(column, number))?);
        }
        // These follow from the record.
        Access::CommunityId | Access::ConnectionId | Access::Application => {}
    }
    Ok(())
}

#[cold]
fn not_a_number(column: &Column) -> Invalid {
    Invalid(format!("{} is not an unsigned number", column.name))
}

#[cold]
fn cannot_be(column: &Column, number: u64) -> Invalid {
    Invalid(format!("{} cannot be {number}", column.name))
}

/// The application of a record, slot by slot. Kept from record to record.
struct ReceivedApplication {
    protocol: Option<AppProtocol>,
    latency_us: Option<u32>,
    /// Has room for no more text than is written, so that what is read can be written again.
    draft: Draft,
}

impl ReceivedApplication {
    fn new() -> ReceivedApplication {
        ReceivedApplication { protocol: None, latency_us: None, draft: Draft::new(TEXT_BYTES_MAX) }
    }

    fn begin(&mut self, protocol: Option<AppProtocol>) {
        self.protocol = protocol;
        self.latency_us = None;
        if let Some(protocol) = protocol {
            self.draft.begin(protocol);
        }
    }

    /// Takes a value if the protocol has a use for it.
    fn take(&mut self, slot: Slot, received: custom::Reader<'_>) -> capnp::Result<()> {
        let Some(key) = self.protocol.and_then(|protocol| protocol.key_in(slot)) else {
            return Ok(());
        };
        match slot {
            Slot::Text(_) => {
                if let Ok(custom::value::StrVal(text)) = received.get_value().which() {
                    self.draft.text(key, text?.as_bytes());
                }
            }
            Slot::Number(_) | Slot::LargeNumber(_) => {
                if let Some(number) = read_number(received) {
                    self.draft.number(key, number);
                }
            }
            Slot::Address(_) => {
                if let Some(address) = read_custom_address(received)? {
                    self.draft.address(key, address);
                }
            }
        }
        Ok(())
    }

    /// `None` if nothing was said.
    fn finish(&self) -> Option<Application> {
        let says_something = self.latency_us.is_some() || !self.draft.is_empty();
        (self.protocol.is_some() && says_something).then(|| self.draft.to_application(self.latency_us))
    }
}

#[inline(always)]
fn read_number(received: custom::Reader<'_>) -> Option<u64> {
    match received.get_value().which() {
        Ok(custom::value::Uint8Val(value)) => Some(u64::from(value)),
        Ok(custom::value::Uint16Val(value)) => Some(u64::from(value)),
        Ok(custom::value::Uint32Val(value)) => Some(u64::from(value)),
        Ok(custom::value::Uint64Val(value)) => Some(value),
        _ => None,
    }
}

fn read_custom_address(received: custom::Reader<'_>) -> capnp::Result<Option<IpAddr>> {
    let Ok(custom::value::AddrVal(bytes)) = received.get_value().which() else {
        return Ok(None);
    };
    Ok(wire::address_of(bytes?))
}

fn fit<T: TryFrom<u32>>(number: u32, field: &str) -> Result<T, Invalid> {
    T::try_from(number).map_err(|_| Invalid(format!("{field} cannot be {number}")))
}
