//! Writes the seeds of the fuzz targets into `corpus/TARGET/`, made by the project's own generators.
//!
//! `flow` has none: its input is drawn from bytes by `arbitrary`.

use kflow::{
    Endpoint, FlowRecord, IcmpKind, Latency, TcpDirection, TcpRecord, TcpState, Tunnel, TunnelKind,
    codec::Encoder,
};
use hll::{Precision, Sketch, datasketches::Hll};
use kflow::{Endpoint, FlowRecord, codec::Encoder};
use sensor_user::source::LinkType;
use std::{fs, io, path::Path};
use traffic::{
    frame::{
        ip::{Extension, Ip, Ipv4, Ipv6},
        transport::{Transport, Udp},
    },
    mix::{Mix, Options, Traffic},
    pcap::{ByteOrder, Format, Writer},
};

const FRAMES_PER_MIX: usize = 12;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["decode", "flow", "hll_deserialise", "kflow_decode", "pcap", "reassembly"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    for mix in Mix::ALL {
        let traffic = || Traffic::new(Options { mix, seed: 1, conversations: 4 });
        for (n, frame) in traffic().take(FRAMES_PER_MIX).enumerate() {
            let ethernet = [&LinkType::ETHERNET.0.to_le_bytes()[..], &[0, 0], &frame.bytes].concat();
            fs::write(corpus.join(format!("decode/{}-{n}", mix.name())), ethernet)?;
            let packet = frame.bytes.get(14..).unwrap_or_default();
            let raw = [&LinkType::RAW.0.to_le_bytes()[..], &[0, 0], packet].concat();
            fs::write(corpus.join(format!("decode/{}-{n}-raw", mix.name())), raw)?;
        }
        for format in Format::ALL {
            for order in ByteOrder::ALL {
                let mut writer = Writer::new(Vec::new(), format, order)?;
                for frame in traffic().take(FRAMES_PER_MIX) {
                    writer.write(frame.time_ns, &frame.bytes)?;
                }
                let name = format!("pcap/{}-{format:?}-{order:?}", mix.name());
                fs::write(corpus.join(name), writer.finish()?)?;
            }
        }
    }
    for (name, input) in fragment_seeds() {
        fs::write(corpus.join(format!("reassembly/{name}")), input)?;
    }
    let mut encoder = Encoder::new();
    let kinds = [("tcp", tcp_record()), ("tunnel", tunnel_record()), ("icmp", icmp_record())];
    for (name, record) in &kinds {
        let message = encoder.encode(std::slice::from_ref(record)).expect("one record fits a message");
        fs::write(corpus.join(format!("kflow_decode/{name}")), message)?;
    }
    for count in 0..=kinds.len() {
        let records: Vec<FlowRecord> = kinds.iter().map(|(_, record)| record.clone()).take(count).collect();
        let message = encoder.encode(&records).expect("few records fit a message");
        fs::write(corpus.join(format!("kflow_decode/{count}-records")), message)?;
    }
    for (bits, count) in [(4, 0), (4, 3), (4, 100), (10, 1), (10, 100), (10, 256), (10, 1000), (14, 1000)] {
        let mut sketch = Sketch::new(Precision::new(bits).expect("a precision in range"));
        (0..count).for_each(|number| sketch.add_u64(number));
        fs::write(corpus.join(format!("hll_deserialise/{bits}-{count}")), sketch.to_bytes())?;
        let foreign = Hll::from(&sketch).to_bytes();
        fs::write(corpus.join(format!("hll_deserialise/{bits}-{count}-datasketches")), foreign)?;
    }
    Ok(())
}

fn tcp_record() -> FlowRecord {
    let side = TcpDirection {
        first_flags: 0x02,
        mss: Some(1_460),
        window_scale: Some(7),
        sack_permitted: true,
        retransmitted_packets: 2,
        retransmitted_bytes: 2_920,
        capture_gaps: 1,
        capture_gap_bytes: 1_460,
        receive_window: Some(0),
        rtt_mean_us: Some(20_000),
        rtt_samples: 9,
        ..TcpDirection::default()
    };
    FlowRecord {
        start_ns: 1_700_000_000_000_000_000,
        end_ns: 1_700_000_001_000_000_000,
        source: Endpoint { port: 49_152, ..Endpoint::default() },
        destination: Endpoint { port: 443, ..Endpoint::default() },
        protocol: 6,
        latency: Latency { first_response_us: Some(300), responses: 1, ..Latency::default() },
        tcp: TcpRecord {
            state: TcpState::Closed,
            handshake: 7,
            client_network_us: Some(0),
            forward: side,
            reverse: side,
            ..TcpRecord::default()
        },
        ..FlowRecord::default()
    }
}

fn tunnel_record() -> FlowRecord {
    FlowRecord {
        source: Endpoint { address: [0xFD; 16].into(), port: 5_353, ..Endpoint::default() },
        destination: Endpoint { address: [0xFE; 16].into(), port: 5_353, ..Endpoint::default() },
        protocol: 17,
        pppoe_session: 1,
        tunnel: Tunnel {
            kind: TunnelKind::Vxlan,
            depth: 1,
            forward_id: 5_001,
            reverse_id: 5_001,
            source: [192, 0, 2, 1].into(),
            destination: [0xFD; 16].into(),
        },
        ..FlowRecord::default()
    }
}

fn icmp_record() -> FlowRecord {
    FlowRecord { protocol: 1, icmp: IcmpKind { kind: 8, code: 0 }, ..FlowRecord::default() }
/// Fragments in and out of order, with names: settings, then steps, as the target reads them.
fn fragment_seeds() -> Vec<(String, Vec<u8>)> {
    let options = vec![Extension::DestinationOptions(vec![1, 2, 0, 0])];
    let v6 = Ipv6 { extensions: options, ..Ipv6::between(1u128.to_be_bytes(), 2u128.to_be_bytes()) };
    let headers = [("v4", Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]))), ("v6", Ip::V6(v6))];
    let transport = Transport::Udp(Udp { source_port: 4000, destination_port: 53 });
    let mut seeds = Vec::new();
    for (name, ip) in headers {
        for (bytes, fragment_bytes) in [(40, 16), (5000, 1480)] {
            let mut packets = ip.fragments(&transport, &vec![7; bytes], fragment_bytes, 7);
            for order in ["forward", "reverse"] {
                // Four datagrams, eight blocks; each packet is a step without flags.
                let mut input = vec![4, 8];
                for packet in &packets {
                    input.push(0);
                    input.extend_from_slice(&(packet.bytes.len() as u16).to_le_bytes());
                    input.extend_from_slice(&packet.bytes);
                }
                seeds.push((format!("{name}-{bytes}-{order}"), input));
                packets.reverse();
            }
        }
    }
    seeds
}
