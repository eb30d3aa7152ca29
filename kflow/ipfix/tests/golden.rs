//! Messages of fixed records, byte for byte. Files are added, never edited: what collectors read today they read
//! tomorrow.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow-ipfix --test golden` writes those that are missing.

mod support;

use kflow::{EndReason, FlowRecord};
use kflow_ipfix::{Biflow, Delivery, Encoder, Format, IpfixConfig, Sampling, Times, Transactions};
use std::fs;
use std::path::Path;

/// A name, records and how they are sent.
type Case = (&'static str, Vec<FlowRecord>, fn(&mut IpfixConfig));

#[test]
fn messages_are_what_they_were() {
    let flows = support::flows(11, 40);
    let applications = support::with_applications(12, support::flows(12, 40));
    let transactions = support::with_transactions(applications.clone());
    let sampled = support::sampled(flows.clone());
    let cases: [Case; 7] = [
        ("netflow_v9", flows.clone(), |config| config.format = Format::NetflowV9),
        ("netflow_v9_sampled", sampled.clone(), |config| config.format = Format::NetflowV9),
        ("ipfix", flows.clone(), |_| {}),
        ("ipfix_sampled", sampled.clone(), |_| {}),
        ("ipfix_sampled_flows", sampled, |config| config.sampling = Sampling::Flows),
        ("ipfix_applications", transactions, |config| config.transactions = Transactions::Options),
        ("ipfix_biflow_nanoseconds", applications, |config| {
            config.biflow = Biflow::Rfc5103;
            config.times = Times::Nanoseconds;
        }),
    ];
    for (name, records, configure) in cases {
        compare(name, &messages(&records, configure));
    }
}

/// All messages, one behind the other.
fn messages(records: &[FlowRecord], configure: fn(&mut IpfixConfig)) -> Vec<u8> {
    let mut config = IpfixConfig::new(([127, 0, 0, 1], 4739).into());
    configure(&mut config);
    let mut encoder = Encoder::new(config);
    encoder.advance(1_795_000_100_000_000_000);
    let mut messages = Vec::new();
    for batch in records.chunks(16) {
        encoder.encode(batch, 0, |message| {
            messages.extend_from_slice(message.bytes);
            Delivery::Sent
        });
    }
    messages
}

fn compare(name: &str, found: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("bin");
    if std::env::var_os("KFLOW_UPDATE").is_some() && !path.exists() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{name}: the first byte that differs");
    assert_eq!(found.len(), expected.len(), "{name}");
}

/// A record with a value of its own in every field, and its message byte by byte as the RFCs have it.
fn plain_record() -> FlowRecord {
    let mut record = FlowRecord {
        start_ns: 1_795_000_000_123_000_000,
        end_ns: 1_795_000_001_456_000_000,
        protocol: 17,
        end_reason: EndReason::IdleTimeout,
        ..FlowRecord::default()
    };
    record.source.address = [10, 0, 0, 1].into();
    record.source.port = 0x1234;
    record.source.mac.0 = [2, 0, 0, 0, 0, 1];
    record.destination.address = [10, 0, 0, 2].into();
    record.destination.port = 53;
    record.destination.mac.0 = [2, 0, 0, 0, 0, 2];
    record.forward.packets = 3;
    record.forward.bytes = 0x0102_0304;
    record.forward.frame_bytes = 0x0102_0305;
    record.forward.tos = 0xB8;
    record.forward.ttl_min = 62;
    record.forward.ttl_max = 63;
    record.forward.vlan = 100;
    record
}

#[test]
fn a_message_of_ipfix_is_laid_out_as_in_rfc_7011() {
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 10, 0, 178, 0x6A, 0xFD, 0x86, 0xC1, 0, 0, 0, 0, 0, 0, 0, 1, // version, length, export time, sequence, domain
        0, 2, 0, 84, 1, 2, 0, 19,                                      // template set, template 258 of 19 fields
        0, 8, 0, 4, 0, 12, 0, 4, 0, 7, 0, 2, 0, 11, 0, 2, 0, 4, 0, 1,
        0, 152, 0, 8, 0, 153, 0, 8, 0, 1, 0, 8, 0, 2, 0, 8, 1, 96, 0, 8,
        0, 5, 0, 1, 0, 6, 0, 2, 0, 52, 0, 1, 0, 53, 0, 1, 0, 58, 0, 2,
        0, 136, 0, 1, 0, 239, 0, 1, 0, 56, 0, 6, 0, 80, 0, 6,
        1, 2, 0, 78,                                                   // data set
        10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 53, 17,
        0, 0, 1, 0xA1, 0xEE, 0x56, 0x5E, 0x7B, 0, 0, 1, 0xA1, 0xEE, 0x56, 0x63, 0xB0,
        0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 3, 5,
        0xB8, 0, 0, 62, 63, 0, 100, 1, 1, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2,
    ];
    let mut encoder = Encoder::new(IpfixConfig::new(([127, 0, 0, 1], 4739).into()));
    let mut found = Vec::new();
    encoder.encode(&[plain_record()], 0, |message| {
        found.extend_from_slice(message.bytes);
        Delivery::Sent
    });
    assert_eq!(found, expected);
}

#[test]
fn a_message_of_netflow_is_laid_out_as_in_rfc_3954() {
    // The start is an hour before the flow; the header's second is the one behind its end.
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 9, 0, 2, 0, 0x36, 0xF5, 0xD5, 0x6A, 0xFD, 0x86, 0xC2, 0, 0, 0, 0, 0, 0, 0, 1,
        0, 0, 0, 76, 1, 2, 0, 17,                                      // template set, template 258 of 17 fields
        0, 8, 0, 4, 0, 12, 0, 4, 0, 7, 0, 2, 0, 11, 0, 2, 0, 4, 0, 1,
        0, 22, 0, 4, 0, 21, 0, 4, 0, 1, 0, 8, 0, 2, 0, 8,
        0, 5, 0, 1, 0, 6, 0, 1, 0, 52, 0, 1, 0, 53, 0, 1, 0, 58, 0, 2,
        0, 136, 0, 1, 0, 56, 0, 6, 0, 80, 0, 6,
        1, 2, 0, 60,                                                   // data set
        10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 53, 17,
        0, 0x36, 0xEE, 0x80, 0, 0x36, 0xF3, 0xB5,
        0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 3,
        0xB8, 0, 62, 63, 0, 100, 1, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2,
    ];
    let config = IpfixConfig { format: Format::NetflowV9, ..IpfixConfig::new(([127, 0, 0, 1], 2055).into()) };
    let mut encoder = Encoder::new(config);
    let mut found = Vec::new();
    encoder.encode(&[plain_record()], 0, |message| {
        found.extend_from_slice(message.bytes);
        Delivery::Sent
    });
    assert_eq!(found, expected);
}
