//! Rows with few different values, so that queries find some.

use crate::queries::Random;
use kflow::chf::Chf;

pub const DEVICES: [&str; 2] = ["big_backbone_router", "edge_7"];
pub const MINUTES: i64 = 4;
pub const PROTOCOLS: [u32; 4] = [6, 17, 1, 50];
pub const PORTS: [u32; 8] = [443, 80, 53, 22, 25, 123, 8080, 0];
pub const TAGS: [&str; 5] = ["", "blue", "green", "Blue", "bl_e"];

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub device: usize,
    pub start_ms: i64,
    pub rate: u32,
    pub protocol: u32,
    pub source_port: u32,
    pub destination_port: u32,
    pub source: u32,
    pub destination: u32,
    pub in_bytes: i64,
    pub in_packets: i64,
    pub out_bytes: i64,
    pub out_packets: i64,
    pub tcp_flags: u32,
    pub tos: u32,
    pub input: u32,
    pub vlan: u32,
    pub source_as: u32,
    pub destination_as: u32,
    pub tags: &'static str,
}

pub fn draw(random: &mut Random, count: usize, base_ms: i64) -> Vec<Row> {
    (0..count).map(|_| row(random, base_ms)).collect()
}

fn row(random: &mut Random, base_ms: i64) -> Row {
    let magnitude = random.below(10);
    let packets = 1 + random.below(1 << magnitude) as i64;
    let back = if random.below(3) == 0 { packets / 2 } else { 0 };
    Row {
        device: usize::from(random.below(4) == 0),
        start_ms: base_ms + random.below(60_000 * MINUTES as u64) as i64,
        rate: [1, 1, 1, 1][random.below(4) as usize],
        protocol: *random.one_of(&PROTOCOLS),
        source_port: 1024 + random.below(300) as u32,
        destination_port: *random.one_of(&PORTS),
        source: 0x0A00_0000 + random.below(200) as u32,
        destination: 0xC0A8_0000 + random.below(20) as u32,
        in_bytes: packets * (40 + random.below(1400) as i64),
        in_packets: packets,
        out_bytes: back * 52,
        out_packets: back,
        tcp_flags: random.below(32) as u32,
        tos: random.below(8) as u32 * 4,
        input: random.below(6) as u32,
        vlan: random.below(4) as u32 * 100,
        source_as: random.below(12) as u32 * 64_500,
        destination_as: random.below(5) as u32,
        tags: TAGS[random.below(TAGS.len() as u64) as usize],
    }
}

impl Row {
    pub fn to_chf(self) -> Chf {
        Chf {
            timestamp_nano: self.start_ms * 1_000_000,
            sample_rate: self.rate,
            protocol: self.protocol,
            l4_src_port: self.source_port,
            l4_dst_port: self.destination_port,
            ipv4_src_addr: self.source,
            ipv4_dst_addr: self.destination,
            in_bytes: self.in_bytes.unsigned_abs(),
            in_pkts: self.in_packets.unsigned_abs(),
            out_bytes: self.out_bytes.unsigned_abs(),
            out_pkts: self.out_packets.unsigned_abs(),
            tcp_flags: self.tcp_flags,
            tos: self.tos,
            input_port: self.input,
            vlan_in: self.vlan,
            src_as: self.source_as,
            dst_as: self.destination_as,
            flow_tags: self.tags.to_owned(),
            ..Chf::default()
        }
    }
}
