//! Traffic of applications, from the first frame to the records of all flows: with payloads inspected and without, as a
//! mix that is about what an office sends and protocol by protocol.
//!
//! Every pass ends all flows, so that the next one, hours later, begins with new ones.

use crate::{
    callgrind,
    figure::Figure,
    frames::{Frames, START},
    meter::{Cost, Work, side_by_side},
    whole::{Payloads, datapath_with, work_off},
};
use sensor_user::{clock::Moment, config::TunnelCount, datapath::Datapath};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use traffic::mix::{Mix, Options, Traffic, stream::StreamFrame};

const SEED: u64 = 11;
const CONVERSATIONS: u32 = 6_000;
const COUNTED_CONVERSATIONS: u32 = 600;
const CAPACITY: usize = 1 << 14;
/// Behind all timeouts.
const AFTER_ALL_NS: u64 = 2 * 3600 * 1_000_000_000;
/// As often as expiry has to be asked until it has ended a full table.
const EXPIRIES: usize = CAPACITY / 256 + 1;
/// What a packet of the mix may cost as a whole.
const GOAL_NS: f64 = 200.0;

const MIX: &str = "applications, payloads inspected";
const MIX_LEFT_ALONE: &str = "applications, payloads left alone";
/// Before the name of a protocol: its conversations alone, with payloads inspected and without.
const OF_PROTOCOL: &str = "applications: ";
const OF_PROTOCOL_LEFT_ALONE: &str = "applications left alone: ";

struct Conversations {
    frames: Rc<Frames>,
    datapath: Datapath,
    now: Moment,
}

impl Conversations {
    fn new(frames: &Rc<Frames>, payloads: Payloads) -> Conversations {
        let datapath = datapath_with(CAPACITY, TunnelCount::Outer, payloads);
        Conversations { frames: frames.clone(), datapath, now: START }
    }

    /// With payloads inspected, then without.
    fn both(frames: &Rc<Frames>) -> Vec<Box<dyn Work>> {
        [Payloads::Inspected, Payloads::LeftAlone]
            .map(|payloads| Box::new(Conversations::new(frames, payloads)) as Box<dyn Work>)
            .into()
    }
}

impl Work for Conversations {
    fn packets(&self) -> usize {
        self.frames.len()
    }

    fn pass(&mut self) {
        work_off(&mut self.datapath, &self.frames, &mut self.now);
        self.now.0 += AFTER_ALL_NS;
        for _ in 0..EXPIRIES {
            self.datapath.expire(self.now);
        }
    }
}

/// The mix, and the frames of each protocol's conversations.
struct Recorded {
    all: Rc<Frames>,
    by_protocol: BTreeMap<String, Rc<Frames>>,
    transactions: usize,
}

fn record(conversations: u32) -> Recorded {
    let mut traffic = Traffic::new(Options { mix: Mix::Applications, seed: SEED, conversations });
    let mut frames = Vec::new();
    // What a conversation said is known when it is over.
    let mut protocols: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut said = 0;
    while let Some(frame) = traffic.next() {
        let new = &traffic.expected().applications[said..];
        protocols
            .entry(frame.conversation)
            .or_default()
            .extend(new.iter().map(|each| each.said.application.clone()));
        said = traffic.expected().applications.len();
        frames.push(StreamFrame { flow: frame.conversation, bytes: frame.bytes });
    }
    let mut by_protocol: BTreeMap<String, Vec<StreamFrame>> = BTreeMap::new();
    for frame in &frames {
        let protocol = protocols.get(&frame.flow).and_then(|protocols| protocols.first());
        let protocol = protocol.map_or("unknown protocols", |protocol| protocol);
        by_protocol.entry(protocol.to_owned()).or_default().push(frame.clone());
    }
    let packed = |frames: Vec<StreamFrame>| Rc::new(frames.into_iter().collect::<Frames>());
    Recorded {
        all: packed(frames),
        by_protocol: by_protocol.into_iter().map(|(name, frames)| (name, packed(frames))).collect(),
        transactions: said,
    }
}

pub fn counted(name: &str) -> Option<Box<dyn Work>> {
    let whole = |payloads| Some((payloads, record(COUNTED_CONVERSATIONS).all));
    let of = |payloads, protocol| {
        let frames = record(COUNTED_CONVERSATIONS).by_protocol.remove(protocol)?;
        Some((payloads, frames))
    };
    let (payloads, frames) = match name {
        MIX => whole(Payloads::Inspected),
        MIX_LEFT_ALONE => whole(Payloads::LeftAlone),
        _ => match (name.strip_prefix(OF_PROTOCOL), name.strip_prefix(OF_PROTOCOL_LEFT_ALONE)) {
            (Some(protocol), _) => of(Payloads::Inspected, protocol),
            (_, Some(protocol)) => of(Payloads::LeftAlone, protocol),
            (None, None) => None,
        },
    }?;
    Some(Box::new(Conversations::new(&frames, payloads)))
}

pub fn measure() -> Vec<Figure> {
    let Recorded { all, by_protocol, transactions } = record(CONVERSATIONS);
    let mut figures = Vec::new();
    let costs = side_by_side(&mut Conversations::both(&all));
    let [inspected, left_alone] = pair(&costs);
    figures.push(
        Figure::new(MIX.to_owned(), inspected.time_ns, "ns/packet")
            .against(MIX_LEFT_ALONE, left_alone.time_ns)
            .at_most(GOAL_NS),
    );
    let allocations = (inspected.allocations - left_alone.allocations) * all.len() as f64;
    figures.push(Figure::new(
        format!("{MIX}, allocations"),
        allocations / transactions as f64,
        "allocations/transaction",
    ));
    for (protocol, frames) in by_protocol {
        let costs = side_by_side(&mut Conversations::both(&frames));
        let [inspected, left_alone] = pair(&costs);
        let name = format!("… {protocol}");
        figures.push(
            Figure::new(name, inspected.time_ns, "ns/packet")
                .against("payloads left alone", left_alone.time_ns),
        );
    }
    figures.extend(callgrind::figures(MIX, [(MIX, MIX_LEFT_ALONE)]));
    figures
}

fn pair(costs: &[Cost]) -> [Cost; 2] {
    [costs[0], costs[1]]
}
