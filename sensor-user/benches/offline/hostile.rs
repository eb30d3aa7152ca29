//! What attackers and broken senders make, beside clean traffic of 10 000 flows: frames a second through the whole
//! datapath.
//!
//! Every pass begins with a datapath that knows no flow, so that every flow of the attacks is a new one; clean traffic
//! is of flows that are there.

use crate::{
    callgrind, clean,
    figure::Figure,
    frames::{Frames, START},
    meter::{Work, side_by_side},
    whole::{datapath, work_off},
};
use sensor_user::{config::TunnelCount, datapath::Datapath};
use traffic::mix::stream::hostile;

const FRAMES: usize = 1 << 17;
const COUNTED_FRAMES: usize = 1 << 15;
const SEED: u64 = 7;
/// As the config has it by default.
const CAPACITY: usize = 1 << 18;
/// Of the throughput of clean traffic.
const SHARE_MIN: f64 = 0.25;

const MODES: [(&str, TunnelCount); 2] = [
    ("hostile frames, outer flows", TunnelCount::Outer),
    ("hostile frames, outer and inner flows", TunnelCount::Both),
];

struct Hostile {
    frames: Frames,
    count: TunnelCount,
    datapath: Datapath,
}

impl Hostile {
    fn new(frames: usize, count: TunnelCount) -> Hostile {
        let frames = hostile(SEED).take(frames).collect();
        Hostile { frames, count, datapath: datapath(CAPACITY, count) }
    }
}

impl Work for Hostile {
    fn packets(&self) -> usize {
        self.frames.len()
    }

    fn prepare(&mut self) {
        self.datapath = datapath(CAPACITY, self.count);
    }

    fn pass(&mut self) {
        let mut now = START;
        work_off(&mut self.datapath, &self.frames, &mut now);
    }
}

pub fn counted(name: &str) -> Option<Box<dyn Work>> {
    let (_, count) = MODES.into_iter().find(|(mode, _)| *mode == name)?;
    Some(Box::new(Hostile::new(COUNTED_FRAMES, count)))
}

pub fn measure() -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, count) in MODES {
        let mut works: Vec<Box<dyn Work>> = vec![Box::new(Hostile::new(FRAMES, count)), clean::whole(count)];
        let costs = side_by_side(&mut works);
        let [millions, clean_millions] = [costs[0], costs[1]].map(|cost| 1_000.0 / cost.time_ns);
        let throughput = Figure::new(format!("{name}, throughput"), millions, "Mframes/s")
            .against(&format!("clean, {} flows", clean::FEW_FLOWS), clean_millions);
        figures.push(throughput.with_ratio_at_least(SHARE_MIN));
        let allocations = costs[0].allocations;
        figures.push(
            Figure::new(format!("{name}, allocations"), allocations, "allocations/packet").at_most(0.0),
        );
    }
    figures.extend(callgrind::figures("whole", MODES.map(|(name, _)| (name, "whole"))));
    figures
}
