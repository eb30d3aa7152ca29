//! Seeds of records of all fields, and of bodies of requests.

use crate::Seeds;
use kflow::body::{BodyWriter, ContentEncoding};
use kflow::codec::ChfEncoder;
use kflow::{Chf, Custom, CustomValue};
use std::{io, net::IpAddr};

pub fn write_messages(seeds: &Seeds) -> io::Result<()> {
    let kinds = [
        ("default", vec![]),
        ("one", vec![Chf::default()]),
        ("flow", vec![flow(), Chf::default(), flow()]),
        ("customs", vec![customs()]),
        ("texts", vec![texts(), flow()]),
    ];
    for (name, records) in kinds {
        let mut encoder = ChfEncoder::new();
        let message = encoder.encode(&records).expect("few records fit a message");
        seeds.write("chf_decode", name, message)?;
        for (number, encoding) in (0u8..).zip(ContentEncoding::ALL) {
            let mut writer = BodyWriter::new(encoding);
            let input = [&[number], writer.write(message)].concat();
            seeds.write("body", &format!("{name}-{}", encoding.name()), &input)?;
        }
    }
    Ok(())
}

fn flow() -> Chf {
    Chf {
        timestamp_nano: 1_700_000_000_000_000_000,
        in_bytes: 1_500,
        in_pkts: 3,
        ipv4_src_addr: 0xC000_0201,
        ipv4_dst_addr: 0xC633_6401,
        l4_src_port: 49_152,
        l4_dst_port: 443,
        protocol: 6,
        sample_rate: 100,
        sample_adj: true,
        ipv6_src_addr: Some([0xFD; 16]),
        ipv6_src_next_hop: Some([0xFE; 16]),
        src_eth_mac: 0x0242_AC11_0002,
        app_protocol: 0,
        ..Chf::default()
    }
}

fn customs() -> Chf {
    let values = [
        CustomValue::U8(1),
        CustomValue::U16(2),
        CustomValue::U32(3),
        CustomValue::U64(1 << 40),
        CustomValue::F32(0.5),
        CustomValue::Text("www.example.org".to_owned()),
        CustomValue::Address(IpAddr::from([192, 0, 2, 33])),
        CustomValue::Address(IpAddr::from([0xFD; 16])),
        CustomValue::Unknown,
    ];
    let custom = (2_880..).zip(values).map(|(id, value)| Custom { id, is_dimension: id % 2 == 0, value });
    Chf { custom: custom.collect(), ..Chf::default() }
}

fn texts() -> Chf {
    Chf {
        src_flow_tags: "a".to_owned(),
        dst_flow_tags: "eight of".to_owned(),
        dst_bgp_as_path: "64496 64497".to_owned(),
        src_bgp_community: "64496:1".repeat(20),
        ..Chf::default()
    }
}
