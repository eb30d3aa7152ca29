//! Writes the seeds of the fuzz targets into `FOLDER/TARGET/`, made by the project's own generators:
//! `cargo run --example seeds -- FOLDER`.

mod applications;
mod messages;
mod spools;

use hll::{Precision, Sketch, datasketches::Hll};
use kflow::{
    AppProtocol, EndReason, Endpoint, FlowRecord, IcmpKind, Latency, TcpDirection, TcpRecord, TcpState,
    Tunnel, TunnelKind,
    application::{
        Draft,
        protocols::{dhcp, dns},
    },
    codec::Encoder,
};
use sensor_user::{
    packet::{self, Side, protocol},
    source::{Frame, LinkType},
};
use std::{env, fs, io, path::PathBuf};
use traffic::{
    frame::{
        capture::CaptureLink,
        ether_type,
        ip::{Extension, Ip, Ipv4, Ipv6, Packet},
        transport::{Transport, Udp},
    },
    mix::{Mix, Options, TimedFrame, Traffic},
    pcap::{ByteOrder, Format, Writer},
};
use wireflow_fuzz::{flow, packets};

const FRAMES_PER_MIX: usize = 60;
/// Inputs are mutated fastest when they are short: one longer than this begins another.
const INPUT_BYTES_MAX: usize = 6_000;
/// Steps of one input of `flow`.
const STEPS_MAX: usize = 60;

struct Seeds(PathBuf);

impl Seeds {
    fn write(&self, target: &str, name: &str, input: &[u8]) -> io::Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), input)
    }
}

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).ok_or_else(|| io::Error::other("which folder? `seeds FOLDER`"))?;
    let seeds = Seeds(folder.into());
    for mix in Mix::ALL {
        write_decode(&seeds, mix)?;
        write_packets(&seeds, mix)?;
        write_pcap(&seeds, mix)?;
        write_flow(&seeds, mix)?;
    }
    applications::write_applications(&seeds)?;
    write_reassembly(&seeds)?;
    write_hll_deserialise(&seeds)?;
    messages::write_messages(&seeds)?;
    spools::write_spool_open(&seeds)?;
    write_kflow_decode(&seeds)
}

fn frames(mix: Mix) -> Vec<TimedFrame> {
    Traffic::new(Options { mix, seed: 1, conversations: 8 }).take(FRAMES_PER_MIX).collect()
}

/// What an untagged frame carries, if that is IP.
fn ip_packet(frame: &TimedFrame) -> Option<Packet> {
    let header = frame.bytes.first_chunk::<14>()?;
    let ether_type = u16::from_be_bytes([header[12], header[13]]);
    let is_ip = ether_type == ether_type::IPV4 || ether_type == ether_type::IPV6;
    is_ip.then(|| Packet { ether_type, bytes: frame.bytes[14..].to_vec() })
}

/// The frame on its own link and, if it carries IP, on one of the others.
fn on_links(n: usize, frame: &TimedFrame) -> Vec<(CaptureLink, Vec<u8>)> {
    let other = CaptureLink::OTHERS[n % CaptureLink::OTHERS.len()];
    let carried = ip_packet(frame).map(|packet| (other, other.carry(&packet)));
    [(CaptureLink::Ethernet, frame.bytes.clone())].into_iter().chain(carried).collect()
}

fn link_type(link: CaptureLink) -> LinkType {
    LinkType(u16::try_from(link.number()).expect("the numbers of the generator's links are small"))
}

/// Link type, bytes that were not captured, frame.
fn write_decode(seeds: &Seeds, mix: Mix) -> io::Result<()> {
    for (n, frame) in frames(mix).iter().enumerate() {
        for (link, bytes) in on_links(n, frame) {
            let input = [&link_type(link).0.to_le_bytes()[..], &[0, 0], &bytes].concat();
            seeds.write("decode", &format!("{}-{n}-{link:?}", mix.name()), &input)?;
        }
    }
    Ok(())
}

/// All frames of a mix, with each way to count tunnels, on their own link and on others.
fn write_packets(seeds: &Seeds, mix: Mix) -> io::Result<()> {
    let frames = frames(mix);
    for tunnels in 0..3 {
        let setup = packets::Setup { tunnels, screen: tunnels, ..packets::Setup::PLAIN };
        let mut input = Vec::new();
        setup.write(&mut input);
        let mut before = frames.first().map_or(0, |frame| frame.time_ns);
        for (n, frame) in frames.iter().enumerate() {
            // With each way to count, another frame of each few is on another link.
            let (link, bytes) = on_links(n, frame)
                .pop()
                .filter(|_| n % 3 == usize::from(tunnels))
                .unwrap_or_else(|| (CaptureLink::Ethernet, frame.bytes.clone()));
            let marks = match n % 8 {
                7 => packets::mark::EXPIRE,
                3 => packets::mark::BURST,
                _ => 0,
            };
            let time = packets::Step::of_ns(frame.time_ns - before);
            before = frame.time_ns;
            packets::Frame { link: link_type(link), time, marks, cut: 0, bytes: &bytes }.write(&mut input);
            if input.len() > INPUT_BYTES_MAX || n + 1 == frames.len() {
                seeds.write("packets", &format!("{}-{tunnels}-{n}", mix.name()), &input)?;
                input.clear();
                setup.write(&mut input);
            }
        }
    }
    Ok(())
}

/// Files of Ethernet in every format and byte order, and one of each other link.
fn write_pcap(seeds: &Seeds, mix: Mix) -> io::Result<()> {
    let frames = frames(mix);
    let few = |frames: &[TimedFrame]| {
        let mut bytes = 0;
        frames
            .iter()
            .take_while(|frame| {
                bytes += frame.bytes.len();
                bytes < INPUT_BYTES_MAX
            })
            .cloned()
            .collect::<Vec<_>>()
    };
    for format in Format::ALL {
        for order in ByteOrder::ALL {
            let mut writer = Writer::new(Vec::new(), format, order)?;
            for frame in few(&frames) {
                writer.write(frame.time_ns, &frame.bytes)?;
            }
            seeds.write("pcap", &format!("{}-{format:?}-{order:?}", mix.name()), &writer.finish()?)?;
        }
    }
    for link in CaptureLink::OTHERS {
        let mut writer = Writer::with_link(Vec::new(), Format::Pcapng, ByteOrder::Little, link)?;
        for frame in few(&frames) {
            if let Some(packet) = ip_packet(&frame) {
                writer.write(frame.time_ns, &link.carry(&packet))?;
            }
        }
        seeds.write("pcap", &format!("{}-{link:?}", mix.name()), &writer.finish()?)?;
    }
    Ok(())
}

/// What the table learns of the TCP segments and UDP datagrams of a mix.
fn write_flow(seeds: &Seeds, mix: Mix) -> io::Result<()> {
    let mut inputs = Vec::new();
    let mut steps = 0;
    let mut before = None;
    for timed in frames(mix) {
        let frame = Frame { bytes: &timed.bytes, wire_bytes: timed.bytes.len() as u32, ..Frame::EMPTY };
        let Ok(packet) = packet::decode(&frame) else { continue };
        let is_udp = packet.key.protocol() == protocol::UDP;
        if !is_udp && packet.tcp.header_bytes == 0 {
            continue;
        }
        if steps % STEPS_MAX == 0 {
            inputs.push(Vec::new());
            flow::Setup::PLAIN.write(inputs.last_mut().expect("one was just pushed"));
        }
        steps += 1;
        let input = inputs.last_mut().expect("the first packet begins an input");
        let elapsed_ns = timed.time_ns - before.replace(timed.time_ns).unwrap_or(timed.time_ns);
        flow::Step::Time(packets::Step::of_ns(elapsed_ns)).write(input);
        let from_low = if packet.sender == Side::Low { flow::mark::FROM_LOW } else { 0 };
        let udp = if is_udp { flow::mark::UDP } else { 0 };
        let step = flow::Step::Packet(flow::Packet {
            conversation: timed.conversation as u8,
            marks: from_low | udp,
            sequence: packet.tcp.sequence,
            acknowledgement: packet.tcp.acknowledgement,
            window: packet.tcp.window,
            flags: packet.tcp_flags,
            payload_bytes: packet.payload_wire_bytes as u16,
            options: packet::tcp_options(&frame, &packet),
        });
        step.write(input);
        if steps % 16 == 0 {
            flow::Step::Expire(4).write(input);
        }
    }
    for (n, input) in inputs.iter().enumerate() {
        seeds.write("flow", &format!("{}-{n}", mix.name()), input)?;
    }
    Ok(())
}

/// Fragments in and out of order, which the target reads behind the number of datagrams and of blocks.
fn write_reassembly(seeds: &Seeds) -> io::Result<()> {
    let options = vec![Extension::DestinationOptions(vec![1, 2, 0, 0])];
    let v6 = Ipv6 { extensions: options, ..Ipv6::between(1u128.to_be_bytes(), 2u128.to_be_bytes()) };
    let headers = [("v4", Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]))), ("v6", Ip::V6(v6))];
    let transport = Transport::Udp(Udp { source_port: 4000, destination_port: 53 });
    for (name, ip) in headers {
        for (bytes, fragment_bytes) in [(40, 16), (5000, 1480)] {
            let mut packets = ip.fragments(&transport, &vec![7; bytes], fragment_bytes, 7);
            for order in ["forward", "reverse"] {
                let mut input = vec![4, 8];
                packets.iter().for_each(|packet| push_fragment(&mut input, &packet.bytes));
                seeds.write("reassembly", &format!("{name}-{bytes}-{order}"), &input)?;
                packets.reverse();
            }
        }
    }
    for mix in [Mix::Fragments, Mix::Hostile] {
        let packets: Vec<Packet> = frames(mix).iter().filter_map(ip_packet).collect();
        for (n, some) in packets.chunks(8).enumerate() {
            let mut input = vec![4, 8];
            some.iter().for_each(|packet| push_fragment(&mut input, &packet.bytes));
            seeds.write("reassembly", &format!("{}-{n}", mix.name()), &input)?;
        }
    }
    Ok(())
}

/// A step without flags.
fn push_fragment(input: &mut Vec<u8>, packet: &[u8]) {
    input.push(0);
    input.extend_from_slice(&(packet.len() as u16).to_le_bytes());
    input.extend_from_slice(packet);
}

fn write_kflow_decode(seeds: &Seeds) -> io::Result<()> {
    let mut encoder = Encoder::new();
    let kinds = [
        ("tcp", tcp_record()),
        ("tunnel", tunnel_record()),
        ("icmp", icmp_record()),
        ("dns", dns_record()),
        ("dhcp", dhcp_record()),
    ];
    for (name, record) in &kinds {
        let message = encoder.encode(std::slice::from_ref(record)).expect("one record fits a message");
        seeds.write("kflow_decode", name, message)?;
    }
    for count in 0..=kinds.len() {
        let records: Vec<FlowRecord> = kinds.iter().map(|(_, record)| record.clone()).take(count).collect();
        let message = encoder.encode(&records).expect("few records fit a message");
        seeds.write("kflow_decode", &format!("{count}-records"), message)?;
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
}

fn dns_record() -> FlowRecord {
    let mut draft = Draft::new(100);
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, b"www.example.org");
    draft.number(dns::QUERY_TYPE, 1u32);
    FlowRecord {
        protocol: 17,
        app_protocol: Some(AppProtocol::Dns),
        transactions: 1,
        application: Some(draft.to_application(Some(1_500))),
        ..FlowRecord::default()
    }
}

fn dhcp_record() -> FlowRecord {
    let mut draft = Draft::new(100);
    draft.begin(AppProtocol::Dhcp);
    draft.text(dhcp::CLIENT_MAC, b"02:42:ac:11:00:02");
    draft.address(dhcp::YOUR_ADDRESS, [192, 0, 2, 33]);
    FlowRecord {
        protocol: 17,
        end_reason: EndReason::Transaction,
        app_protocol: Some(AppProtocol::Dhcp),
        application: Some(draft.to_application(None)),
        ..FlowRecord::default()
    }
}

/// Sketches that are empty, sparse and dense, in both forms.
fn write_hll_deserialise(seeds: &Seeds) -> io::Result<()> {
    for (bits, count) in [(4, 0), (4, 3), (4, 100), (10, 1), (10, 100), (10, 256), (10, 1000), (14, 1000)] {
        let mut sketch = Sketch::new(Precision::new(bits).expect("a precision in range"));
        (0..count).for_each(|number| sketch.add_u64(number));
        seeds.write("hll_deserialise", &format!("{bits}-{count}"), &sketch.to_bytes())?;
        let foreign = Hll::from(&sketch).to_bytes();
        seeds.write("hll_deserialise", &format!("{bits}-{count}-datasketches"), &foreign)?;
    }
    Ok(())
}
