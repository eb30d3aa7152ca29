//! What the XDP program costs a frame, by what is in it: the kernel runs it on one frame over and over
//! (`BPF_PROG_TEST_RUN`), so everything is in the cache and no frame is copied or moved.
//!
//! Every figure holds the cost of the call into the program and of a redirect to a worker that is not there; that of a
//! frame of ARP, of which the program only reads the EtherType, is beside it. Times are medians of the runs. Needs root.
//! Out: a JSON array on stdout.

use anyhow::{Context, Result};
use sensor_ebpf::{Settings, hash::HashKey};
use sensor_user::config::{FilterConfig, XdpModeChoice};
use sensor_user::program::{ProgramRequest, Trial, TunnelSteering};
use serde_json::{Value, json};
use traffic::frame::ip::{Ip, Ipv4, Ipv6};
use traffic::frame::transport::{Tcp, Transport, Udp, tcp_flags};
use traffic::frame::{Ethernet, Tag};

const RUNS: usize = 15;
const REPEAT: u32 = 300_000;
const HASH_KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };

fn main() -> Result<()> {
    let mut figures = Vec::new();
    for (name, workers, tunnels) in [
        ("one worker", 1, None),
        ("two workers", 2, None),
        ("two workers, inner flows", 2, Some(TunnelSteering::default())),
    ] {
        figures.extend(measure(name, workers, tunnels.as_ref())?);
    }
    println!("{:#}", Value::Array(figures));
    Ok(())
}

fn measure(name: &str, workers: u32, tunnels: Option<&TunnelSteering>) -> Result<Vec<Value>> {
    let request = ProgramRequest {
        interface: "",
        mode: XdpModeChoice::Auto,
        multi_buffer: false,
        settings: Settings { hash_key: HASH_KEY, sockets_per_queue: workers, ..Settings::default() },
        filter: &FilterConfig::default(),
        tunnels,
    };
    let trial = Trial::load(&request).context("load the program")?;
    let reference = median_ns(&trial, &Ethernet::default().arp_request([10, 0, 0, 1], [10, 0, 0, 2]))?;
    let figure = |(content, frame): (&str, Vec<u8>)| {
        let value = median_ns(&trial, &frame)?;
        Ok(json!({
            "name": format!("XDP program, {name}: {content}"),
            "value": value,
            "unit": "ns/frame",
            "reference": "the same program on ARP",
            "reference_value": reference,
            "ratio": value / reference,
        }))
    };
    frames().into_iter().map(figure).collect()
}

fn median_ns(trial: &Trial, frame: &[u8]) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(trial.time(frame, REPEAT).context("run the program")?.as_nanos() as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let v4 = Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]));
    let v6 = Ip::V6(Ipv6::between([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]));
    let tcp = Transport::Tcp(Tcp {
        source_port: 50000,
        destination_port: 443,
        sequence: 1,
        acknowledgement: 1,
        flags: tcp_flags::ACK,
        window: 1000,
        options: Vec::new(),
    });
    let udp = |destination_port| Transport::Udp(Udp { source_port: 50000, destination_port });
    let plain = Ethernet::default();
    let tagged = Ethernet { tags: vec![Tag::vlan(7)], ..Ethernet::default() };
    let packet = v4.packet(&tcp, b"");
    let labelled = plain.frame(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64], &packet.bytes[..]].concat());
    let session = plain.frame(0x8864, &[&[0x11, 0, 0, 7, 0, 42, 0, 0x21], &packet.bytes[..]].concat());
    // In this order: the later fragment finds what the first one left.
    let [first, later] = [0, 1].map(|index| v4.fragments(&udp(53), &[0; 200], 100, 7)[index].clone());
    vec![
        ("TCP over IPv4", plain.carry(&packet)),
        ("UDP over IPv4", plain.carry(&v4.packet(&udp(53), b""))),
        ("TCP over IPv6", plain.carry(&v6.packet(&tcp, b""))),
        ("TCP over IPv4 behind a VLAN tag", tagged.carry(&packet)),
        ("TCP over IPv4 behind two MPLS labels", labelled),
        ("TCP over IPv4 in a PPPoE session", session),
        ("first fragment of UDP over IPv4", plain.carry(&first)),
        ("later fragment of UDP over IPv4", plain.carry(&later)),
        ("VXLAN over IPv4", plain.carry(&v4.packet(&udp(4789), &[0; 50]))),
    ]
}
