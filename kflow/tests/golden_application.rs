//! Flow files with what applications said, which must stay readable, and whose bytes are where the wire format says.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow --test golden_application` writes files that do not exist yet; existing ones
//! never change.

mod words;

use kflow::application::protocols::{dhcp, dns, http};
use kflow::application::{Draft, TEXT_BYTES_MAX};
use kflow::{AppProtocol, EndReason, Endpoint, FlowRecord, Latency};
use words::golden_message;

#[test]
fn a_query_and_its_answer_are_where_the_format_says() {
    let message = golden_message("dns4_application.kflow", &dns4());
    let flow = message.flow(1);
    assert_eq!(flow.u64(0), 1_795_000_000_000_010_000, "timestampNano");
    assert_eq!(flow.u32(224) ^ 0xFFFF_FFFF, 1, "appProtocol");
    assert_eq!(flow.pointers_set(), [9], "only custom is there");
    flow.assert_zero_but(&[0..8, 48..72, 132..136, 172..173, 224..228]);
    let texts = [
        (1_000_011, "1:jBxrYPvG7PU1FQsPfAswVV6NNzg="),
        (2_887, "www.example.org"),
        (2_888, "192.0.2.80/A;2001:db8::80/AAAA"),
        (2_889, ""),
    ];
    assert_eq!(flow.custom_texts(), texts.map(|(id, text)| (id, text.to_owned())));
    assert_eq!(
        flow.customs(),
        [
            (1_000_001, 3, 1_795_000_000_000_020_000),
            (1_000_010, 6, 1),
            (1_000_031, 0, 90_000),
            (8, 0, 2),
            (2_817, 0, 0x5E8D_3738),
            (1_000_083, 0, 1),
            (1_000_084, 0, 1_500),
            (2_880, 0, 1),
            (2_881, 0, 28),
            (2_882, 0, 0),
            (10_434, 0, u64::from(u32::MAX)),
        ]
    );
}

#[test]
fn large_numbers_of_an_application_are_where_the_format_says() {
    let message = golden_message("http6_application.kflow", &http6());
    let flow = message.flow(1);
    assert_eq!(flow.u32(224) ^ 0xFFFF_FFFF, 2, "appProtocol");
    assert_eq!(flow.pointers_set(), [7, 8, 9]);
    let octets = |last| [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    assert_eq!([flow.bytes(7), flow.bytes(8)], [octets(2), octets(1)], "ipv6DstAddr, ipv6SrcAddr");
    let texts = [
        (1_000_011, "1:6IYvJQJE363ApvRDHWmeujis+nY="),
        (2_887, "/ä?q=\"x\"\n"),
        // As long as a word, so that the zero behind it takes another.
        (7_664, "nginx/12"),
    ];
    assert_eq!(flow.custom_texts(), texts.map(|(id, text)| (id, text.to_owned())));
    assert_eq!(
        flow.customs(),
        [
            (1_000_010, 6, 1),
            (2_817, 0, 0x38AC_FA76),
            (2_880, 0, 2),
            (2_881, 0, 404),
            (6_503, 3, 0),
            (6_504, 3, 1 << 40),
        ]
    );
}

#[test]
fn addresses_of_an_application_are_where_the_format_says() {
    let message = golden_message("dhcp4_application.kflow", &dhcp4());
    let flow = message.flow(1);
    assert_eq!(flow.u32(224) ^ 0xFFFF_FFFF, 4, "appProtocol");
    assert_eq!(flow.customs()[0], (1_000_010, 6, 128), "a transaction");
    let v4 = |a, b, c, d| vec![4, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(flow.custom_addresses(), [(6_499, v4(192, 0, 2, 33)), (6_502, v4(192, 0, 2, 1))]);
    assert_eq!(flow.custom_texts()[1..], [(2_887, "02:42:ac:11:00:02".to_owned())]);
}

#[test]
fn the_first_record_names_the_slots_if_an_application_is_known() {
    let record = FlowRecord { app_protocol: Some(AppProtocol::Quic), ..FlowRecord::default() };
    let message = golden_message("application_columns.kflow", &record);
    let names: Vec<String> =
        message.flow(0).custom_texts().into_iter().map(|(id, name)| format!("{id} {name}")).collect();
    let listed = concat!(include_str!("golden/columns.txt"), include_str!("golden/application_columns.txt"));
    assert_eq!(names, listed.lines().collect::<Vec<&str>>());
    assert_eq!(message.flow(1).u32(224) ^ 0xFFFF_FFFF, 1004, "appProtocol");
}

fn dns4() -> FlowRecord {
    let mut draft = Draft::new(TEXT_BYTES_MAX);
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, b"www.example.org");
    draft.text(dns::ANSWERS, b"192.0.2.80/A;2001:db8::80/AAAA");
    draft.text(dns::ANSWER_TTLS, b"");
    draft.number(dns::QUERY_TYPE, 28u32);
    draft.number(dns::RCODE, 0u32);
    draft.number(dns::EDNS_UDP_BYTES, u32::MAX);
    FlowRecord {
        start_ns: 1_795_000_000_000_010_000,
        end_ns: 1_795_000_000_000_020_000,
        source: Endpoint { address: [10, 0, 0, 1].into(), port: 49_153, ..Endpoint::default() },
        destination: Endpoint { address: [198, 51, 100, 53].into(), port: 53, ..Endpoint::default() },
        protocol: 17,
        latency: Latency { response_mean_us: Some(90_000), ..Latency::default() },
        app_protocol: Some(AppProtocol::Dns),
        transactions: 1,
        application: Some(draft.to_application(Some(1_500))),
        ..FlowRecord::default()
    }
}

/// Without a latency.
fn http6() -> FlowRecord {
    let mut draft = Draft::new(TEXT_BYTES_MAX);
    draft.begin(AppProtocol::Http);
    draft.text(http::URL, "/ä?q=\"x\"\n".as_bytes());
    draft.text(http::SERVER, b"nginx/12");
    draft.number(http::STATUS, 404u32);
    draft.number(http::REQUEST_BODY_BYTES, 0u32);
    draft.number(http::RESPONSE_BODY_BYTES, 1u64 << 40);
    let address = |last: u16| [0x2001, 0xDB8, 0, 0, 0, 0, 0, last].into();
    FlowRecord {
        source: Endpoint { address: address(1), port: 49_154, ..Endpoint::default() },
        destination: Endpoint { address: address(2), port: 80, ..Endpoint::default() },
        protocol: 6,
        app_protocol: Some(AppProtocol::Http),
        application: Some(draft.to_application(None)),
        ..FlowRecord::default()
    }
}

/// A transaction in a record of its own.
fn dhcp4() -> FlowRecord {
    let mut draft = Draft::new(TEXT_BYTES_MAX);
    draft.begin(AppProtocol::Dhcp);
    draft.text(dhcp::CLIENT_MAC, b"02:42:ac:11:00:02");
    draft.address(dhcp::YOUR_ADDRESS, [192, 0, 2, 33]);
    draft.address(dhcp::SERVER_ID, [192, 0, 2, 1]);
    FlowRecord {
        protocol: 17,
        end_reason: EndReason::Transaction,
        app_protocol: Some(AppProtocol::Dhcp),
        application: Some(draft.to_application(None)),
        ..FlowRecord::default()
    }
}
