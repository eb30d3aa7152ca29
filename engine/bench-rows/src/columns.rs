//! Rows to columns: the names and types are those of a flow table.

use crate::row::{Addresses, Name, Row, write_name};
use arrow_array::builder::{
    FixedSizeBinaryBuilder, Int32Builder, Int64Builder, StringViewBuilder, TimestampMillisecondBuilder,
    UInt32Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

/// Columns in the making.
#[derive(Debug)]
pub struct Columns {
    start: TimestampMillisecondBuilder,
    arrival_s: Int64Builder,
    rate: Int64Builder,
    protocol: Int32Builder,
    ports: [Int32Builder; 2],
    v4: [UInt32Builder; 2],
    v6: [FixedSizeBinaryBuilder; 2],
    counters: [Int64Builder; 4],
    flags: Int32Builder,
    tos: Int32Builder,
    interfaces: [Int64Builder; 2],
    card: Int32Builder,
    systems: [Int64Builder; 2],
    retransmissions: Int64Builder,
    application: Int32Builder,
    round_trip: Int64Builder,
    names: [StringViewBuilder; 2],
}

const DNS: i32 = 1;
const HTTP: i32 = 2;
/// From the start of a flow to the arrival of its record.
const DELAY_MS: i64 = 2000;

pub fn schema() -> SchemaRef {
    let (small, large, text) = (DataType::Int32, DataType::Int64, DataType::Utf8View);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let inet = DataType::FixedSizeBinary(16);
    let ipv4 = |name: &str| {
        let mark = HashMap::from([("flow.type".to_owned(), "ipv4".to_owned())]);
        Field::new(name, DataType::UInt32, true).with_metadata(mark)
    };
    let plain = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), true);
    Arc::new(Schema::new(vec![
        plain("i_start_time", &time),
        plain("ctimestamp", &large),
        plain("sample_rate", &large),
        plain("protocol", &small),
        plain("l4_src_port", &small),
        plain("l4_dst_port", &small),
        ipv4("ipv4_src_addr"),
        ipv4("ipv4_dst_addr"),
        plain("ipv6_src_addr", &inet),
        plain("ipv6_dst_addr", &inet),
        plain("in_bytes", &large),
        plain("in_pkts", &large),
        plain("out_bytes", &large),
        plain("out_pkts", &large),
        plain("tcp_flags", &small),
        plain("tos", &small),
        plain("input_port", &large),
        plain("output_port", &large),
        plain("vlan_in", &small),
        plain("src_as", &large),
        plain("dst_as", &large),
        plain("tcp_retransmit", &large),
        plain("app_protocol", &small),
        plain("first_response_latency_us", &large),
        plain("str00", &text),
        plain("str01", &text),
    ]))
}

impl Columns {
    pub fn with_capacity(rows: usize) -> Columns {
        let small = || Int32Builder::with_capacity(rows);
        let large = || Int64Builder::with_capacity(rows);
        let v4 = || UInt32Builder::with_capacity(rows);
        let v6 = || FixedSizeBinaryBuilder::with_capacity(rows, 16);
        let text = || StringViewBuilder::with_capacity(rows);
        Columns {
            start: TimestampMillisecondBuilder::with_capacity(rows).with_timezone("UTC"),
            arrival_s: large(),
            rate: large(),
            protocol: small(),
            ports: [small(), small()],
            v4: [v4(), v4()],
            v6: [v6(), v6()],
            counters: [large(), large(), large(), large()],
            flags: small(),
            tos: small(),
            interfaces: [large(), large()],
            card: small(),
            systems: [large(), large()],
            retransmissions: large(),
            application: small(),
            round_trip: large(),
            names: [text(), text()],
        }
    }

    /// Appends a row; the buffer for its name may have anything in it.
    pub fn push(&mut self, start_ms: i64, row: &Row, buffer: &mut String) {
        self.start.append_value(start_ms);
        self.arrival_s.append_value((start_ms + DELAY_MS).div_euclid(1000));
        self.rate.append_value(i64::from(row.rate) * 100);
        self.protocol.append_value(row.protocol.into());
        self.ports[0].append_value(row.source_port.into());
        self.ports[1].append_value(row.destination_port.into());
        self.push_addresses(row.addresses);
        let counters = [row.bytes, row.packets, row.bytes_back, row.packets_back];
        for (builder, counter) in self.counters.iter_mut().zip(counters) {
            builder.append_value(counter as i64);
        }
        self.flags.append_value(row.tcp_flags.into());
        self.tos.append_value(row.tos.into());
        self.interfaces[0].append_value(row.input.into());
        self.interfaces[1].append_value(row.output.into());
        self.card.append_option((row.card != 0).then_some(row.card.into()));
        self.systems[0].append_value(row.source_as.into());
        self.systems[1].append_value(row.destination_as.into());
        self.retransmissions.append_option((row.retransmissions != 0).then_some(row.retransmissions.into()));
        self.round_trip.append_option(row.round_trip_us.map(i64::from));
        self.push_name(row.name, buffer);
    }

    fn push_addresses(&mut self, addresses: Addresses) {
        let (v4, v6) = match addresses {
            Addresses::V4 { source, destination } => ([Some(source), Some(destination)], [None, None]),
            Addresses::V6 { source, destination } => ([None, None], [Some(source), Some(destination)]),
        };
        for side in 0..2 {
            self.v4[side].append_option(v4[side]);
            match v6[side] {
                Some(address) => {
                    self.v6[side].append_value(address.to_be_bytes()).expect("it is 16 bytes");
                }
                None => self.v6[side].append_null(),
            }
        }
    }

    fn push_name(&mut self, name: Option<Name>, buffer: &mut String) {
        let (application, place, number) = match name {
            Some(Name::Dns(number)) => (Some(DNS), 0, number),
            Some(Name::Http(number)) => (Some(HTTP), 1, number),
            None => (None, 2, 0),
        };
        self.application.append_option(application);
        for (index, builder) in self.names.iter_mut().enumerate() {
            if index == place {
                write_name(number, buffer);
                builder.append_value(&*buffer);
            } else {
                builder.append_null();
            }
        }
    }

    pub fn finish(mut self) -> RecordBatch {
        let [in_bytes, in_packets, out_bytes, out_packets] =
            self.counters.each_mut().map(Int64Builder::finish);
        let [source_port, destination_port] = self.ports.each_mut().map(Int32Builder::finish);
        let [source_v4, destination_v4] = self.v4.each_mut().map(UInt32Builder::finish);
        let [source_v6, destination_v6] = self.v6.each_mut().map(FixedSizeBinaryBuilder::finish);
        let [input, output] = self.interfaces.each_mut().map(Int64Builder::finish);
        let [source_as, destination_as] = self.systems.each_mut().map(Int64Builder::finish);
        let [dns, http] = self.names.each_mut().map(StringViewBuilder::finish);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.start.finish()),
            Arc::new(self.arrival_s.finish()),
            Arc::new(self.rate.finish()),
            Arc::new(self.protocol.finish()),
            Arc::new(source_port),
            Arc::new(destination_port),
            Arc::new(source_v4),
            Arc::new(destination_v4),
            Arc::new(source_v6),
            Arc::new(destination_v6),
            Arc::new(in_bytes),
            Arc::new(in_packets),
            Arc::new(out_bytes),
            Arc::new(out_packets),
            Arc::new(self.flags.finish()),
            Arc::new(self.tos.finish()),
            Arc::new(input),
            Arc::new(output),
            Arc::new(self.card.finish()),
            Arc::new(source_as),
            Arc::new(destination_as),
            Arc::new(self.retransmissions.finish()),
            Arc::new(self.application.finish()),
            Arc::new(self.round_trip.finish()),
            Arc::new(dns),
            Arc::new(http),
        ];
        RecordBatch::try_new(schema(), arrays).expect("all columns have as many rows")
    }
}
