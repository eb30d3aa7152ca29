//! IPv4 flows as a sensor exports most of them: answered, from a few packets to many, one in eight with losses.

use kflow::application::Draft;
use kflow::application::protocols::{dns, http};
use kflow::{
    AppProtocol, DirectionCounters, EndReason, Endpoint, FlowRecord, Latency, MacAddress, TcpDirection,
    TcpRecord, TcpState,
};
use std::net::Ipv4Addr;

/// So many of ten are UDP, the others TCP.
pub fn records(count: usize, udp_of_ten: u64) -> Vec<FlowRecord> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..count).map(|_| record(&mut random, udp_of_ten)).collect()
}

fn record(random: &mut Random, udp_of_ten: u64) -> FlowRecord {
    let is_udp = random.below(10) < udp_of_ten;
    let start_ns = 1_795_000_000_000_000_000 + random.below(60_000_000_000);
    let mean_us = 200 + random.below(100_000) as u32;
    FlowRecord {
        start_ns,
        end_ns: start_ns + random.below(30_000_000_000),
        source: endpoint(random, 2, 49_152),
        destination: endpoint(random, 1, 443),
        protocol: if is_udp { 17 } else { 6 },
        forward: counters(random, is_udp),
        reverse: counters(random, is_udp),
        end_reason: if is_udp { EndReason::IdleTimeout } else { EndReason::EndOfFlow },
        latency: Latency {
            first_response_us: Some(mean_us),
            response_min_us: Some(mean_us / 2),
            response_mean_us: Some(mean_us),
            response_max_us: Some(mean_us * 2),
            responses: 1 + random.below(8) as u32,
        },
        tcp: if is_udp { TcpRecord::default() } else { tcp(random) },
        ..FlowRecord::default()
    }
}

/// The same with an answered request each: of DNS over UDP, of HTTP over TCP.
pub fn with_applications(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut draft = Draft::new(1_000);
    for record in &mut records {
        let host = format!("host-{}.example.net", random.below(1_000));
        if record.protocol == 17 {
            draft.begin(AppProtocol::Dns);
            draft.text(dns::QUERY, host.as_bytes());
            draft.text(dns::ANSWERS, b"192.0.2.1/A");
            draft.text(dns::ANSWER_TTLS, b"300");
            draft.number(dns::QUERY_TYPE, 1u32);
            draft.number(dns::RCODE, 0u32);
        } else {
            draft.begin(AppProtocol::Http);
            draft.text(http::HOST, host.as_bytes());
            draft.text(http::URL, b"/index.html");
            draft.text(http::METHOD, b"GET");
            draft.text(http::VERSION, b"1.1");
            draft.text(http::USER_AGENT, b"curl/8.5.0");
            draft.number(http::STATUS, 200u32);
        }
        record.app_protocol = Some(draft.protocol());
        record.transactions = 1;
        record.application = Some(draft.to_application(Some(100 + random.below(90_000) as u32)));
    }
    records
}

fn endpoint(random: &mut Random, side: u8, port: u16) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::from_bits(0x0A00_0000 | random.below(1 << 24) as u32).into(),
        port: port + random.below(1000) as u16,
        mac: MacAddress([0x02, 0x42, 0xAC, 0x11, 0x00, side]),
    }
}

fn counters(random: &mut Random, is_udp: bool) -> DirectionCounters {
    let magnitude = 1 + random.below(10);
    let packets = 1 + random.below(1 << magnitude);
    let bytes = packets * (40 + random.below(1400));
    DirectionCounters {
        packets,
        bytes,
        frame_bytes: bytes + packets * 14,
        tcp_flags: if is_udp { 0 } else { 0x1B },
        ttl_min: 57,
        ttl_max: 57,
        ..DirectionCounters::default()
    }
}

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
