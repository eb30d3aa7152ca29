//! A program on a bench, and the frames that it is tried with.

use sensor_ebpf::{
    Class, Settings, Stamp, Verdict,
    hash::{self, HashKey},
};
use sensor_user::config::{FilterConfig, XdpModeChoice};
use sensor_user::packet;
use sensor_user::program::{ProgramRequest, Trial, TunnelSteering};
use sensor_user::source::Frame;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use traffic::frame::ip::{Ip, Packet};
use traffic::frame::transport::{Transport, Udp};

pub const HASH_KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };
/// Both sides of most conversations here.
pub const V4: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))];
pub const V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 7)),
];

/// What to load; two workers by default, so that the program hashes and stamps.
#[derive(Debug)]
pub struct Bench {
    pub workers: u32,
    pub sample_rate: u32,
    pub filter: FilterConfig,
    pub tunnels: Option<TunnelSteering>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench { workers: 2, sample_rate: 1, filter: FilterConfig::default(), tunnels: None }
    }
}

/// A loaded program, seen by what it says of frames.
#[derive(Debug)]
pub struct Bed(Trial);

impl Bench {
    /// `None`, said on stderr, where no program can be loaded.
    pub fn load(&self) -> Option<Bed> {
        let settings = Settings {
            hash_key: HASH_KEY,
            sockets_per_queue: self.workers,
            sample_rate: self.sample_rate,
            ..Settings::default()
        };
        let request = ProgramRequest {
            interface: "",
            mode: XdpModeChoice::Auto,
            multi_buffer: false,
            settings,
            filter: &self.filter,
            tunnels: self.tunnels.as_ref(),
        };
        match Trial::load(&request) {
            Ok(trial) => Some(Bed(trial)),
            Err(error) if netns::is_root() => panic!("{error}: {:?}", std::error::Error::source(&error)),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }
}

impl Bed {
    pub fn stamp(&self, frame: &[u8]) -> Option<Stamp> {
        self.0.run(frame).expect("the program runs").stamp
    }

    /// Of a frame that is neither filtered nor sampled out.
    pub fn class_and_hash(&self, frame: &[u8]) -> (Class, u64) {
        let stamp = self.stamp(frame).unwrap_or_else(|| panic!("no stamp on {frame:02x?}"));
        let class = Class::ALL.into_iter().find(|class| *class as u16 == stamp.class);
        (class.expect("a class of the contract"), stamp.hash)
    }

    /// What the program decides: `NoSocket` stands for a frame that would be redirected.
    pub fn verdict(&self, frame: &[u8]) -> Verdict {
        let before = self.0.counts().expect("the counters are there");
        self.stamp(frame);
        let after = self.0.counts().expect("the counters are there");
        let mut rose = Verdict::ALL.into_iter().filter(|each| after.packets(*each) > before.packets(*each));
        let verdict = rose.next().expect("every frame is counted");
        assert_eq!(rose.next(), None, "a frame is counted once");
        verdict
    }
}

/// The hash of the flow as the decoder names it from the frame alone.
pub fn decoded_hash(frame: &[u8]) -> Option<u64> {
    let frame = Frame { bytes: frame, wire_bytes: frame.len() as u32, ..Frame::EMPTY };
    packet::decode(&frame).ok().map(|packet| packet.key.hash(HASH_KEY))
}

/// What is steered by its addresses alone.
pub fn addresses_hash(addresses: [IpAddr; 2]) -> u64 {
    match addresses {
        [IpAddr::V4(source), IpAddr::V4(destination)] => {
            hash::flow_v4(HASH_KEY, (source.to_bits(), 0), (destination.to_bits(), 0), 0)
        }
        [IpAddr::V6(source), IpAddr::V6(destination)] => {
            let end = |address: Ipv6Addr| {
                let bits = address.to_bits();
                ((bits >> 64) as u64, bits as u64, 0)
            };
            hash::flow_v6(HASH_KEY, end(source), end(destination), 0)
        }
        _ => panic!("addresses of two families"),
    }
}

pub fn udp(ports: [u16; 2]) -> Transport {
    Transport::Udp(Udp { source_port: ports[0], destination_port: ports[1] })
}

/// A whole datagram between two addresses.
pub fn datagram([source, destination]: [IpAddr; 2], ports: [u16; 2]) -> Packet {
    Ip::between(source, destination).packet(&udp(ports), &[0x5a; 64])
}

/// A datagram in four fragments.
pub fn fragments([source, destination]: [IpAddr; 2], ports: [u16; 2], identification: u32) -> Vec<Packet> {
    let fragments =
        Ip::between(source, destination).fragments(&udp(ports), &[0x5a; 1500], 400, identification);
    assert_eq!(fragments.len(), 4);
    fragments
}

pub fn reversed<T: Copy>([one, other]: [T; 2]) -> [T; 2] {
    [other, one]
}
