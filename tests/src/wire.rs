//! Two namespaces on a veth cable: one sends, the sensor listens in the other.

use netns::{Namespace, VethEnd, VethOptions, veth_pair};
use std::time::Duration;
use traffic::blast::{self, Directions, Family, Size, blast};
use traffic::mix::{Expected, Mix, Options, Traffic};
use traffic::send::{self, Limits};

/// The end that sends.
pub const NEAR: &str = "near0";
/// The end at which the sensor listens.
pub const TAP: &str = "tap0";

/// Frames per second at which nothing is lost on a busy machine.
const LOW_RATE: u64 = 20_000;
const SEND_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Wire {
    pub near: Namespace,
    pub far: Namespace,
}

impl Wire {
    pub fn lay(options: VethOptions) -> Wire {
        let near = Namespace::create("sensor-near").expect("a namespace for the sender");
        let far = Namespace::create("sensor-far").expect("a namespace for the sensor");
        let wire = Wire { near, far };
        wire.connect(options);
        wire
    }

    /// Makes the cable; for one that was unplugged, a new one with the same names.
    pub fn connect(&self, options: VethOptions) {
        veth_pair(&VethEnd::new(&self.near, NEAR), &VethEnd::new(&self.far, TAP), options)
            .expect("a veth pair between the namespaces");
    }

    /// Removes the cable with both ends.
    pub fn unplug(&self) {
        self.near.ip(["link", "delete", NEAR]).expect("the cable is there");
    }

    /// Sends frames, each exactly once, and returns how many the wire took.
    pub fn send(&self, frames: &[Vec<u8>]) -> u64 {
        let limits = Limits { count: frames.len() as u64, duration: SEND_LIMIT, rate: Some(LOW_RATE) };
        let report = self.near.enter(|| send::send(NEAR, frames, limits)).expect("the namespace is there");
        let report = report.expect("frames can be sent");
        assert_eq!(report.sent + report.skipped, frames.len() as u64, "the time was up");
        report.sent
    }

    /// Sends a mix; every frame of it goes out.
    pub fn send_mix(&self, mix: Mix, seed: u64, conversations: u32) -> Expected {
        let mut traffic = Traffic::new(Options { mix, seed, conversations });
        let frames: Vec<_> = traffic.by_ref().map(|frame| frame.bytes).collect();
        let expected = traffic.into_expected();
        assert_eq!(self.send(&frames), frames.len() as u64, "every frame fits the wire");
        expected
    }

    /// Blocks until the blast is over.
    pub fn blast(&self, options: &blast::Options) -> blast::Report {
        self.near.enter(|| blast(options)).expect("the namespace is there").expect("the generator runs")
    }

    /// Whether an XDP program is on the sensor's end.
    pub fn has_program(&self) -> bool {
        let shown = self.far.ip(["-d", "link", "show", "dev", TAP]).expect("the device is there");
        shown.contains("prog/xdp")
    }
}

/// A blast of small IPv4 frames from the sending end.
pub fn blast_options(flows: u32, duration: Duration) -> blast::Options {
    blast::Options {
        interface: NEAR.into(),
        size: Size::Bytes(64),
        flows,
        duration,
        count: None,
        rate: None,
        cpu: None,
        family: Family::V4,
        directions: Directions::One,
    }
}
