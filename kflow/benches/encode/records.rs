//! The records that are measured: the same in every run.

use crate::BATCH_RECORDS;
use kflow::application::Draft;
use kflow::application::protocols::{dns, http};
use kflow::{
    AppProtocol, DeviceColumns, DirectionCounters, EndReason, Endpoint, FlowRecord, Latency, MacAddress,
    TcpDirection, TcpRecord, TcpState,
};

/// IPv4 flows as a sensor exports them, so many of ten UDP and the others TCP, sizes from a few packets to
/// many.
pub fn typical_records(udp_of_ten: u64) -> Vec<FlowRecord> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..BATCH_RECORDS)
        .map(|_| {
            let is_udp = random.below(10) < udp_of_ten;
            let start_ns = 1_795_000_000_000_000_000 + random.below(60_000_000_000);
            FlowRecord {
                start_ns,
                end_ns: start_ns + random.below(30_000_000_000),
                source: endpoint(&mut random, [0x02, 0x42, 0xAC, 0x11, 0x00, 0x02], 49_152),
                destination: endpoint(&mut random, [0x02, 0x42, 0xAC, 0x11, 0x00, 0x01], 443),
                protocol: if is_udp { 17 } else { 6 },
                forward: counters(&mut random, if is_udp { 0 } else { 0x1B }),
                reverse: counters(&mut random, if is_udp { 0 } else { 0x1B }),
                end_reason: if is_udp { EndReason::IdleTimeout } else { EndReason::EndOfFlow },
                latency: latency(&mut random),
                tcp: if is_udp { TcpRecord::default() } else { tcp(&mut random) },
                ..FlowRecord::default()
            }
        })
        .collect()
}

/// The same with an answered request each: of DNS over UDP, of HTTP over TCP.
pub fn application_records() -> Vec<FlowRecord> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut draft = Draft::new(1_000);
    let mut records = typical_records(5);
    for record in &mut records {
        let host = random.below(1_000);
        if record.protocol == 17 {
            answered_query(&mut draft, host);
        } else {
            answered_request(&mut draft, host);
        }
        record.app_protocol = Some(draft.protocol());
        record.transactions = 1;
        let latency_us = 200 + random.below(100_000) as u32;
        record.application = Some(draft.to_application(Some(latency_us)));
    }
    records
}

fn answered_query(draft: &mut Draft, host: u64) {
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, format!("host{host}.example.org").as_bytes());
    draft.text(dns::ANSWERS, b"198.51.100.17/A;198.51.100.18/A");
    draft.text(dns::ANSWER_TTLS, b"300;300");
    let numbers = [
        (dns::QUERY_TYPE, 1u32),
        (dns::RCODE, 0),
        (dns::ID, 0x4000 + host as u32),
        (dns::FLAGS, 0x8180),
        (dns::ANSWER_COUNT, 2),
        (dns::QUERY_CLASS, 1),
        (dns::EDNS_UDP_BYTES, 1_232),
        (dns::EDNS_FLAGS, 0),
        (dns::QUESTION_COUNT, 1),
    ];
    numbers.into_iter().for_each(|(key, number)| draft.number(key, number));
}

fn answered_request(draft: &mut Draft, host: u64) {
    draft.begin(AppProtocol::Http);
    draft.text(http::URL, format!("/articles/{host}?session={:x}", host * 7_919).as_bytes());
    draft.text(http::HOST, format!("www{host}.example.org").as_bytes());
    draft.text(http::USER_AGENT, b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    draft.text(http::METHOD, b"GET");
    draft.text(http::VERSION, b"1.1");
    draft.text(http::CONTENT_TYPE, b"text/html; charset=utf-8");
    draft.text(http::SERVER, b"nginx/1.26.3");
    draft.number(http::STATUS, 200u32);
    draft.number(http::RESPONSE_BODY_BYTES, host * 100);
}

fn endpoint(random: &mut Random, mac: [u8; 6], port: u16) -> Endpoint {
    let address = 0x0A00_0000 | random.below(1 << 24) as u32;
    Endpoint {
        address: std::net::Ipv4Addr::from_bits(address).into(),
        port: port + random.below(1000) as u16,
        mac: MacAddress(mac),
    }
}

fn counters(random: &mut Random, tcp_flags: u8) -> DirectionCounters {
    let magnitude = 1 + random.below(10);
    let packets = 1 + random.below(1 << magnitude);
    let bytes = packets * (40 + random.below(1400));
    DirectionCounters {
        packets,
        bytes,
        frame_bytes: bytes + packets * 14,
        tcp_flags,
        ttl_min: 57,
        ttl_max: 57,
        ..DirectionCounters::default()
    }
}

fn latency(random: &mut Random) -> Latency {
    let mean_us = 200 + random.below(100_000) as u32;
    Latency {
        first_response_us: Some(mean_us),
        response_min_us: Some(mean_us / 2),
        response_mean_us: Some(mean_us),
        response_max_us: Some(mean_us * 2),
        responses: 1 + random.below(8) as u32,
    }
}

/// A whole connection of which one in eight lost packets.
fn tcp(random: &mut Random) -> TcpRecord {
    let (client_us, server_us) = (random.below(2_000) as u32, random.below(80_000) as u32);
    TcpRecord {
        state: TcpState::Closed,
        handshake: 7,
        client_network_us: Some(client_us),
        server_network_us: Some(server_us),
        total_network_us: Some(client_us + server_us),
        forward: tcp_direction(random, 0x02),
        reverse: tcp_direction(random, 0x12),
    }
}

fn tcp_direction(random: &mut Random, first_flags: u8) -> TcpDirection {
    let lost = if random.below(8) == 0 { 1 + random.below(20) as u32 } else { 0 };
    let rtt_us = 100 + random.below(80_000) as u32;
    TcpDirection {
        first_flags,
        mss: Some(1_460),
        window_scale: Some(7),
        sack_permitted: true,
        retransmitted_packets: lost,
        retransmitted_bytes: u64::from(lost) * 1_460,
        fast_retransmits: lost,
        duplicate_acks: lost * 3,
        lost_segments: lost,
        receive_window: Some(64_256 + random.below(1 << 20) as u32),
        receive_window_min: Some(64_256),
        rtt_min_us: Some(rtt_us),
        rtt_mean_us: Some(rtt_us + 300),
        rtt_max_us: Some(rtt_us * 2),
        rtt_jitter_us: Some(rtt_us / 10),
        rtt_samples: 1 + random.below(200) as u32,
        ..TcpDirection::default()
    }
}

/// A device with the columns that probes fill.
pub fn device() -> DeviceColumns {
    let mut device = DeviceColumns::new(77_001);
    for (id, name) in [
        (1, "RETRANSMITTED_IN_PKTS"),
        (2, "RETRANSMITTED_OUT_PKTS"),
        (3, "OOORDER_IN_PKTS"),
        (4, "OOORDER_OUT_PKTS"),
        (5, "FRAGMENTS"),
        (6, "CLIENT_NW_LATENCY_MS"),
        (7, "SERVER_NW_LATENCY_MS"),
        (8, "APPL_LATENCY_MS"),
        (2_814, "REPEATED_RETRANSMITS"),
        (2_815, "RECEIVE_WINDOW"),
        (2_816, "ZERO_WINDOWS"),
        (2_817, "CONNECTION_ID"),
        (2_880, "APP_PROTOCOL"),
        (2_881, "INT00"),
        (2_882, "INT01"),
        (3_102, "FPEX_LATENCY_MS"),
    ] {
        device.add(id, name, "uint32");
    }
    for (id, name) in [(2_887, "STR00"), (2_888, "STR01"), (2_889, "STR02"), (2_890, "STR03")] {
        device.add(id, name, "string");
    }
    device
}

/// A xorshift generator: the same records in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
