//! Records for the tests, and those who read what became of them.
#![expect(dead_code, reason = "every test uses a part of it")]

pub mod decoder;
pub mod nfcapd;
pub mod pcap;
pub mod records;

use kflow::application::Draft;
use kflow::{
    AppProtocol, DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, Latency, MacAddress,
    TcpDirection, TcpRecord, TcpState, Tunnel, TunnelKind,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A xorshift generator: the same records in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// Flows as a sensor may export them: both families, every kind of part now and then.
pub fn flows(seed: u64, count: usize) -> Vec<FlowRecord> {
    let mut random = Random(seed);
    (0..count).map(|number| flow(&mut random, number as u32)).collect()
}

fn flow(random: &mut Random, number: u32) -> FlowRecord {
    let is_ipv6 = random.is(3);
    let protocol = match random.below(10) {
        0..5 => 6,
        5..8 => 17,
        8 if is_ipv6 => 58,
        8 => 1,
        _ => 47,
    };
    let has_ports = protocol == 6 || protocol == 17;
    let is_icmp = protocol == 1 || protocol == 58;
    let start_ns = 1_795_000_000_000_000_000 + random.below(60_000_000_000);
    let mut endpoint = |side: u32| Endpoint {
        address: address(is_ipv6, side << 24 | number),
        port: if has_ports { 1 + random.below(65_535) as u16 } else { 0 },
        mac: MacAddress([2, side as u8, 0, 0, (number >> 8) as u8, number as u8]),
    };
    let (source, destination) = (endpoint(10), endpoint(192));
    let is_answered = !random.is(4);
    let forward = counters(random, protocol);
    FlowRecord {
        start_ns,
        end_ns: start_ns + random.below(30_000_000_000),
        source,
        destination,
        protocol,
        icmp: if is_icmp {
            IcmpKind { kind: 1 + random.below(200) as u8, code: random.below(16) as u8 }
        } else {
            IcmpKind::default()
        },
        forward,
        reverse: if is_answered { counters(random, protocol) } else { DirectionCounters::default() },
        end_reason: EndReason::ALL[random.below(5) as usize],
        latency: if is_answered { latency(random) } else { Latency::default() },
        tcp: if protocol == 6 { tcp(random, is_answered) } else { TcpRecord::default() },
        pppoe_session: if random.is(20) { 7 } else { 0 },
        tunnel: if random.is(10) { tunnel(random) } else { Tunnel::default() },
        ..FlowRecord::default()
    }
}

/// The same with what applications say: a request of DNS or HTTP each.
pub fn with_applications(seed: u64, mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    use kflow::application::protocols::{dns, http};
    let mut random = Random(seed);
    let mut draft = Draft::new(4096);
    for record in &mut records {
        let host = format!("host-{}.example.net", random.below(1000));
        match record.protocol {
            17 => {
                draft.begin(AppProtocol::Dns);
                draft.text(dns::QUERY, host.as_bytes());
                draft.number(dns::QUERY_TYPE, 28u32);
                draft.number(dns::RCODE, 0u32);
            }
            6 => {
                draft.begin(AppProtocol::Http);
                draft.text(http::HOST, host.as_bytes());
                draft.text(http::URL, b"/a/rather/long/path?with=query");
                draft.number(http::STATUS, 200u32);
                draft.number(http::RESPONSE_BODY_BYTES, random.below(1 << 40));
            }
            _ => continue,
        }
        record.app_protocol = Some(draft.protocol());
        record.transactions = 1 + random.below(3) as u32;
        if !random.is(5) {
            record.application = Some(draft.to_application(Some(1 + random.below(90_000) as u32)));
        }
    }
    records
}

/// One in two of these rates, some not at all.
pub fn sampled(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    for (number, record) in records.iter_mut().enumerate() {
        record.sample_rate = [1, 4, 100, 4][number % 4];
    }
    records
}

/// Behind each flow with an application a transaction of its own.
pub fn with_transactions(records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    let with_transaction = |flow: FlowRecord| {
        let transaction = flow.application.is_some().then(|| FlowRecord {
            start_ns: flow.start_ns,
            end_ns: flow.end_ns,
            source: flow.source,
            destination: flow.destination,
            protocol: flow.protocol,
            end_reason: EndReason::Transaction,
            sample_rate: flow.sample_rate,
            app_protocol: flow.app_protocol,
            application: flow.application.clone(),
            ..FlowRecord::default()
        });
        [Some(flow), transaction].into_iter().flatten()
    };
    records.into_iter().flat_map(with_transaction).collect()
}

fn address(is_ipv6: bool, number: u32) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::from_bits(0x2001_0DB8 << 96 | u128::from(number)).into()
    } else {
        Ipv4Addr::from_bits(number).into()
    }
}

fn counters(random: &mut Random, protocol: u8) -> DirectionCounters {
    // Some beyond 32 bits.
    let magnitude = if random.is(8) { 38 } else { 12 };
    let packets = 1 + random.below(1 << magnitude);
    let bytes = packets * (40 + random.below(1400));
    DirectionCounters {
        packets,
        bytes,
        frame_bytes: bytes + packets * 14,
        fragments: if random.is(10) { random.below(100) as u32 } else { 0 },
        tcp_flags: if protocol == 6 { random.below(256) as u8 } else { 0 },
        tos: random.below(256) as u8,
        vlan: if random.is(3) { random.below(4096) as u16 } else { 0 },
        inner_vlan: if random.is(9) { random.below(4096) as u16 } else { 0 },
        mpls_label: random.is(6).then(|| random.below(1 << 20) as u32),
        ttl_min: 1 + random.below(60) as u8,
        ttl_max: 61 + random.below(60) as u8,
        ecn_ce_packets: if random.is(10) { random.below(100) as u32 } else { 0 },
    }
}

fn tunnel(random: &mut Random) -> Tunnel {
    let is_ipv6 = random.is(3);
    Tunnel {
        kind: TunnelKind::ALL[1 + random.below(13) as usize],
        depth: 1 + random.below(7) as u8,
        forward_id: random.below(1 << 24) as u32,
        reverse_id: random.below(1 << 24) as u32,
        source: address(is_ipv6, 0xC0A8_0001),
        destination: address(is_ipv6, 0xC0A8_0002),
    }
}

fn latency(random: &mut Random) -> Latency {
    let mean_us = 200 + random.below(100_000) as u32;
    Latency {
        first_response_us: (!random.is(3)).then_some(mean_us),
        response_min_us: Some(mean_us / 2),
        response_mean_us: Some(mean_us),
        response_max_us: Some(mean_us * 2),
        responses: 1 + random.below(8) as u32,
    }
}

fn tcp(random: &mut Random, is_answered: bool) -> TcpRecord {
    TcpRecord {
        state: TcpState::ALL[random.below(9) as usize],
        handshake: random.below(8) as u8,
        client_network_us: is_answered.then(|| random.below(2_000) as u32),
        server_network_us: is_answered.then(|| random.below(80_000) as u32),
        total_network_us: None,
        forward: tcp_direction(random),
        reverse: if is_answered { tcp_direction(random) } else { TcpDirection::default() },
    }
}

fn tcp_direction(random: &mut Random) -> TcpDirection {
    let lost = if random.is(4) { 1 + random.below(20) as u32 } else { 0 };
    let rtt_us = (!random.is(3)).then(|| 100 + random.below(80_000) as u32);
    TcpDirection {
        first_flags: random.below(256) as u8,
        mss: (!random.is(3)).then_some(1_460),
        window_scale: (!random.is(3)).then_some(7),
        sack_permitted: random.is(2),
        retransmitted_packets: lost,
        retransmitted_bytes: u64::from(lost) * 1_460,
        duplicate_acks: lost * 3,
        receive_window: (!random.is(3)).then(|| random.below(1 << 20) as u32),
        rtt_min_us: rtt_us,
        rtt_mean_us: rtt_us.map(|us| us + 300),
        rtt_max_us: rtt_us.map(|us| us * 2),
        rtt_samples: rtt_us.map_or(0, |_| 1 + random.below(200) as u32),
        ..TcpDirection::default()
    }
}
