//! Records in the numbers of a device, and batches that others were taken out of.

mod support;

use kflow::application::protocols::{dhcp, dns, http, quic, tls};
use kflow::application::{Draft, Key, Slot};
use kflow::codec::{Encoder, Limits, UNTHINNED, decode, decode_chf};
use kflow::{AppProtocol, Chf, Custom, CustomValue, DeviceColumns, FlowRecord};
use proptest::prelude::*;
use support::any_record;

/// Ids and types of a device that has slots.
const WITH_SLOTS: &[(u32, &str, &str)] = &[
    (1, "RETRANSMITTED_IN_PKTS", "uint32"),
    (2, "RETRANSMITTED_OUT_PKTS", "uint32"),
    (3, "OOORDER_IN_PKTS", "uint32"),
    (4, "OOORDER_OUT_PKTS", "uint32"),
    (5, "FRAGMENTS", "uint32"),
    (6, "CLIENT_NW_LATENCY_MS", "uint32"),
    (7, "SERVER_NW_LATENCY_MS", "uint32"),
    (8, "APPL_LATENCY_MS", "uint32"),
    (179, "KFLOW_DNS_QUERY", "string"),
    (2814, "REPEATED_RETRANSMITS", "uint32"),
    (2815, "RECEIVE_WINDOW", "uint32"),
    (2816, "ZERO_WINDOWS", "uint32"),
    (2817, "CONNECTION_ID", "uint32"),
    (2880, "APP_PROTOCOL", "uint32"),
    (2881, "INT00", "uint32"),
    (2882, "INT01", "uint32"),
    (2887, "STR00", "string"),
    (2888, "STR01", "string"),
    (3102, "FPEX_LATENCY_MS", "uint32"),
    (6498, "INET_00", "addr"),
    (6503, "INT64_00", "uint64"),
];

/// The same of one that has columns for single protocols.
const WITHOUT_SLOTS: &[(u32, &str, &str)] = &[
    (1, "RETRANSMITTED_IN_PKTS", "uint32"),
    (2, "RETRANSMITTED_OUT_PKTS", "uint32"),
    (3, "OOORDER_IN_PKTS", "uint32"),
    (4, "OOORDER_OUT_PKTS", "uint32"),
    (8, "APPL_LATENCY_MS", "uint32"),
    (175, "KFLOW_HTTP_URL", "string"),
    (176, "KFLOW_HTTP_STATUS", "uint32"),
    (177, "KFLOW_HTTP_UA", "string"),
    (178, "KFLOW_HTTP_REFERER", "string"),
    (179, "KFLOW_DNS_QUERY", "string"),
    (180, "KFLOW_DNS_QUERY_TYPE", "uint32"),
    (181, "KFLOW_DNS_RET_CODE", "uint32"),
    (192, "KFLOW_HTTP_HOST", "string"),
    (204, "KFLOW_DNS_RESPONSE", "string"),
];

const DEVICE_ID: u32 = 77_001;

fn device(columns: &[(u32, &str, &str)]) -> DeviceColumns {
    let mut device = DeviceColumns::new(DEVICE_ID);
    columns.iter().for_each(|(id, name, type_name)| device.add(*id, name, type_name));
    device
}

/// The only record as a receiver gets it.
fn sent(encoder: &mut Encoder, record: &FlowRecord) -> Chf {
    let message = encoder.encode(std::slice::from_ref(record)).unwrap();
    let mut records = decode_chf(message, &Limits::default()).unwrap();
    assert_eq!(records.len(), 1, "no record names columns");
    records.remove(0)
}

/// Its custom columns by id.
fn customs(columns: &[(u32, &str, &str)], record: &FlowRecord) -> Vec<(u32, CustomValue)> {
    let chf = sent(&mut Encoder::for_device(&device(columns)), record);
    assert!(chf.custom.iter().all(|custom| !custom.is_dimension));
    let mut customs: Vec<_> = chf.custom.into_iter().map(|Custom { id, value, .. }| (id, value)).collect();
    customs.sort_by_key(|(id, _)| *id);
    customs
}

fn number(number: u32) -> CustomValue {
    CustomValue::U32(number)
}

fn text(text: &str) -> CustomValue {
    CustomValue::Text(text.to_owned())
}

/// Over a connection of which both sides lost packets.
fn said(protocol: AppProtocol, texts: &[(Key, &str)], numbers: &[(Key, u64)]) -> FlowRecord {
    let mut draft = Draft::new(4096);
    draft.begin(protocol);
    texts.iter().for_each(|(key, text)| draft.text(*key, text.as_bytes()));
    numbers.iter().for_each(|(key, number)| draft.number(*key, *number));
    let mut record = FlowRecord {
        protocol: 6,
        app_protocol: Some(protocol),
        transactions: 3,
        application: Some(draft.to_application(Some(1_600))),
        ..FlowRecord::default()
    };
    record.tcp.forward.retransmitted_packets = 5;
    record.tcp.reverse.retransmitted_packets = 7;
    record.tcp.forward.out_of_order_packets = 1;
    record.tcp.reverse.out_of_order_packets = 2;
    record
}

fn query() -> FlowRecord {
    let texts = [(dns::QUERY, "www.example.org"), (dns::ANSWERS, "192.0.2.1/A"), (dns::ANSWER_TTLS, "60")];
    said(AppProtocol::Dns, &texts, &[(dns::QUERY_TYPE, 28), (dns::RCODE, 3), (dns::ID, 99)])
}

fn request() -> FlowRecord {
    let texts = [
        (http::URL, "/index.html"),
        (http::HOST, "example.org"),
        (http::REFERER, "https://example.net/"),
        (http::USER_AGENT, "curl/8"),
        (http::METHOD, "GET"),
    ];
    said(AppProtocol::Http, &texts, &[(http::STATUS, 404), (http::REQUEST_BODY_BYTES, 1 << 40)])
}

#[test]
fn a_device_with_slots_gets_what_it_has_columns_for_in_its_own_numbers() {
    let id = kflow::CommunityId::of(&query()).connection_id();
    // Both directions are added up, and of the fields those are there that have a slot.
    let expected = [
        (2, number(12)),
        (3, number(3)),
        (8, number(2)),
        (2817, number(id)),
        (2880, number(1)),
        (2881, number(28)),
        (2882, number(3)),
        (2887, text("www.example.org")),
        (2888, text("192.0.2.1/A")),
    ];
    assert_eq!(customs(WITH_SLOTS, &query()), expected);
}

#[test]
fn addresses_and_large_numbers_go_to_their_slots() {
    let columns = customs(WITH_SLOTS, &request());
    assert!(columns.contains(&(6503, CustomValue::U64(1 << 40))));
    let mut draft = Draft::new(0);
    draft.begin(AppProtocol::Dhcp);
    draft.address(dhcp::CLIENT_ADDRESS, [192, 0, 2, 9]);
    draft.address(dhcp::YOUR_ADDRESS, [192, 0, 2, 10]);
    let record = FlowRecord {
        protocol: 17,
        app_protocol: Some(AppProtocol::Dhcp),
        application: Some(draft.to_application(None)),
        ..FlowRecord::default()
    };
    let columns = customs(WITH_SLOTS, &record);
    assert_eq!(columns[0].0, 2817);
    assert_eq!(columns[1..], [(2880, number(4)), (6498, CustomValue::Address([192, 0, 2, 9].into())),]);
}

#[test]
fn a_device_without_slots_gets_dns_in_the_older_columns() {
    let expected = [
        (1, number(5)),
        (2, number(7)),
        (3, number(1)),
        (4, number(2)),
        (8, number(2)),
        (179, text("www.example.org")),
        (180, number(28)),
        (181, number(3)),
        (204, text("192.0.2.1/A")),
    ];
    assert_eq!(customs(WITHOUT_SLOTS, &query()), expected);
}

#[test]
fn a_device_without_slots_gets_http_and_server_names_in_the_older_columns() {
    let columns = customs(WITHOUT_SLOTS, &request());
    let of_http: Vec<_> = columns.into_iter().filter(|(id, _)| *id > 8).collect();
    let expected = [
        (175, text("/index.html")),
        (176, number(404)),
        (177, text("curl/8")),
        (178, text("https://example.net/")),
        (192, text("example.org")),
    ];
    assert_eq!(of_http, expected);
    for (protocol, key) in [(AppProtocol::Tls, tls::SERVER_NAME), (AppProtocol::Quic, quic::SERVER_NAME)] {
        let columns = customs(WITHOUT_SLOTS, &said(protocol, &[(key, "example.com")], &[]));
        assert_eq!(columns.last(), Some(&(192, text("example.com"))));
    }
    let other = said(AppProtocol::Mdns, &[(dns::QUERY, "printer.local")], &[]);
    assert!(customs(WITHOUT_SLOTS, &other).iter().all(|(id, _)| *id <= 8));
}

#[test]
fn where_only_one_direction_has_a_column_it_gets_both() {
    let expected = [("RETRANSMITTED_IN_PKTS", 12), ("RETRANSMITTED_OUT_PKTS", 12), ("OOORDER_OUT_PKTS", 3)];
    for (name, sum) in expected {
        for slots in [&[][..], &[(2880, "APP_PROTOCOL", "string")]] {
            let columns = [&[(9, name, "uint64")], slots].concat();
            assert_eq!(customs(&columns, &query()), [(9, CustomValue::U64(sum))], "{name}");
        }
    }
    // A sum of zero is not said, and neither is one of another protocol than TCP.
    let columns = [(9, "OOORDER_OUT_PKTS", "uint32")];
    assert_eq!(customs(&columns, &FlowRecord { protocol: 6, ..FlowRecord::default() }), []);
    assert_eq!(customs(&columns, &FlowRecord { protocol: 17, ..query() }), []);
}

#[test]
fn a_value_that_the_type_cannot_hold_is_left_out_and_counted() {
    let record = |window| {
        let mut record = FlowRecord { protocol: 6, ..FlowRecord::default() };
        record.tcp.forward.receive_window = Some(window);
        record
    };
    let types = [
        ("byte", CustomValue::U8(255), 256),
        ("uint16", CustomValue::U16(65_535), 65_536),
        ("float32", CustomValue::F32(16_777_216.0), 16_777_217),
    ];
    for (type_name, value, too_large) in types {
        let mut encoder = Encoder::for_device(&device(&[(1, "RECEIVE_WINDOW", type_name)]));
        let chf = sent(&mut encoder, &record(too_large - 1));
        assert_eq!(chf.custom, [Custom { id: 1, is_dimension: false, value }]);
        assert_eq!(encoder.losses().values_left_out, 0);
        assert_eq!(sent(&mut encoder, &record(too_large)).custom, []);
        assert_eq!(encoder.losses().values_left_out, 1);
    }
    for type_name in ["string", "addr", "int32", "float64"] {
        assert_eq!(customs(&[(1, "RECEIVE_WINDOW", type_name)], &record(1)), [], "{type_name}");
    }
    assert_eq!(
        customs(&[(1, "KFLOW_DNS_QUERY", "uint32"), (2, "KFLOW_DNS_QUERY_TYPE", "addr")], &query()),
        []
    );
}

#[test]
fn ids_may_have_any_bytes() {
    let record = FlowRecord { protocol: 6, ..FlowRecord::default() };
    for id in [0, 1, 0x100, 0x0001_0001, 0xFF00_0000, u32::MAX] {
        for (type_name, value) in [("byte", CustomValue::U8(1)), ("uint64", CustomValue::U64(1))] {
            assert_eq!(customs(&[(id, "FLOW_END_REASON", type_name)], &record), [(id, value)], "{id}");
        }
    }
}

#[test]
fn texts_go_to_a_device_up_to_the_length_that_receivers_are_used_to() {
    let url = "é".repeat(300);
    let record = said(AppProtocol::Http, &[(http::URL, &url), (http::HOST, "short")], &[]);
    let mut encoder = Encoder::for_device(&device(WITH_SLOTS));
    let chf = sent(&mut encoder, &record);
    assert!(chf.custom.iter().any(|custom| custom.value == text(&"é".repeat(192))));
    assert!(chf.custom.iter().any(|custom| custom.value == text("short")));
    assert_eq!(encoder.losses().texts_cut, 1);
}

#[test]
fn a_thinned_batch_has_its_rate_to_the_hundredth() {
    let record = FlowRecord { sample_rate: 16, ..FlowRecord::default() };
    let mut encoder = Encoder::new();
    let message = encoder.encode_thinned(std::slice::from_ref(&record), 237).unwrap();
    let chf = &decode_chf(message, &Limits::default()).unwrap()[1];
    assert_eq!((chf.sample_rate, chf.sample_adj), (3_792, true));
    assert_eq!(decode(message).unwrap()[0].sample_rate, 38);
    assert_eq!(encoder.losses().rates_inexact, 0);
    // Half of one rounds up, no factor makes a rate smaller, and one that is not told is told once records are left out.
    for (rate, factor, rounded) in [(1, 149, 1), (1, 150, 2), (1, 0, 1), (3, 50, 3), (0, 100, 0), (0, 300, 3)]
    {
        let record = FlowRecord { sample_rate: rate, ..FlowRecord::default() };
        let message = encoder.encode_thinned(&[record], factor).unwrap();
        assert_eq!(decode(message).unwrap()[0].sample_rate, rounded);
    }
}

#[test]
fn a_rate_without_room_is_counted() {
    let mut own = Encoder::new();
    let mut of_device = Encoder::for_device(&device(&[]));
    let mut rates = |rate, factor| {
        let record = FlowRecord { sample_rate: rate, ..FlowRecord::default() };
        [(&mut own, 1), (&mut of_device, 0)].map(|(encoder, place)| {
            let before = encoder.losses().rates_inexact;
            let message = encoder.encode_thinned(std::slice::from_ref(&record), factor).unwrap();
            let chf = &decode_chf(message, &Limits::default()).unwrap()[place];
            let (rate, is_scaled) = (chf.sample_rate, chf.sample_adj);
            (rate, is_scaled, encoder.losses().rates_inexact - before)
        })
    };
    let max = u32::MAX;
    assert_eq!(rates(42_949_672, UNTHINNED), [(4_294_967_200, true, 0); 2]);
    assert_eq!(rates(42_949_673, UNTHINNED), [(42_949_673, false, 0), (max, true, 1)]);
    assert_eq!(rates(30_000_001, 150), [(45_000_002, false, 1), (max, true, 1)]);
    assert_eq!(rates(max, 200), [(max, false, 1), (max, true, 1)]);
    assert_eq!(rates(1, max), [(max, true, 0); 2]);
}

const TYPES: &[&str] = &["string", "byte", "uint16", "uint32", "uint64", "float32", "addr", "int8"];

/// A device that has any of the columns that there are, of any types.
fn any_device() -> impl Strategy<Value = DeviceColumns> {
    let names: Vec<&str> = kflow::columns::customs()
        .map(|(_, custom)| custom.name)
        .chain(Slot::all().map(Slot::name))
        .chain(WITHOUT_SLOTS.iter().map(|(_, name, _)| *name))
        .collect();
    let type_name = prop_oneof![2 => Just(None), 1 => prop::sample::select(TYPES).prop_map(Some)];
    (any::<u32>(), prop::collection::vec(type_name, names.len())).prop_map(move |(device_id, types)| {
        let mut device = DeviceColumns::new(device_id);
        for ((id, name), type_name) in (0..).zip(&names).zip(types) {
            if let Some(type_name) = type_name {
                device.add(id, name, type_name);
            }
        }
        device
    })
}

proptest! {
    #[test]
    fn what_the_schema_has_fields_for_goes_to_any_device_alike(
        record in any_record(),
        device in any_device(),
        factor in UNTHINNED..1_000,
    ) {
        let records = std::slice::from_ref(&record);
        let received = |encoder: &mut Encoder| {
            let message = encoder.encode_thinned(records, factor).unwrap();
            decode_chf(message, &Limits::default()).unwrap().pop().unwrap()
        };
        let of_device = received(&mut Encoder::for_device(&device));
        prop_assert_eq!(of_device.device_id, device.device_id());
        let own = received(&mut Encoder::new());
        let rate = record.sample_rate.max(u32::from(factor > UNTHINNED));
        let hundredths = u64::from(rate) * u64::from(factor);
        prop_assert_eq!(of_device.sample_rate_hundredths(), hundredths.min(u32::MAX.into()));
        prop_assert_eq!(
            Chf { custom: Vec::new(), device_id: 0, sample_rate: 0, sample_adj: true, ..of_device },
            Chf { custom: Vec::new(), sample_rate: 0, sample_adj: true, ..own }
        );
    }
}
