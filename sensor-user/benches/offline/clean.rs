//! Clean traffic: the whole datapath, the decoder alone and the flow table alone, beside the plain way to do each.
//!
//! Frames lie packed in a buffer larger than the caches, sizes and protocols mixed; every flow has the same share of
//! them, in random order, which is the worst case for the caches. They are worked off as a worker does it, in bursts.

use crate::{
    callgrind,
    figure::Figure,
    frames::Circuit,
    meter::{Cost, Work, side_by_side},
    plain,
    table::{Table, TcpAnalysis},
    whole::{Decode, Whole},
};
use sensor_user::config::TunnelCount;
use std::{
    cell::{Ref, RefCell},
    rc::Rc,
};

/// Flows, frames of a pass, and what a packet may cost as a whole.
const SIZES: [(u32, usize, f64); 2] = [(FEW_FLOWS, FEW_FRAMES, 100.0), (1_000_000, 2_000_000, 200.0)];
/// What other groups compare with.
pub const FEW_FLOWS: u32 = 10_000;
const FEW_FRAMES: usize = 1 << 18;
/// What callgrind gets through.
const COUNTED_FLOWS: u32 = 4_096;
const COUNTED_FRAMES: usize = 16_384;

/// Works that run beside each other on the same frames: one, the plain way to do it, and variants of the first.
const GROUPS: [&[&str]; 3] = [
    &["whole", "etherparse+HashMap", "whole, inner flows"],
    &["decode", "etherparse"],
    &["flow", "HashMap", "flow without TCP analysis"],
];

/// A work's place on a circuit that it shares with others.
#[derive(Clone)]
pub struct Track {
    circuit: Rc<RefCell<Circuit>>,
    lap: u32,
}

impl Track {
    fn new(circuit: &Rc<RefCell<Circuit>>) -> Track {
        Track { circuit: circuit.clone(), lap: circuit.borrow().laps() }
    }

    pub fn circuit(&self) -> Ref<'_, Circuit> {
        self.circuit.borrow()
    }

    pub fn packets(&self) -> usize {
        self.circuit().frames.len()
    }

    pub fn next_lap(&mut self) {
        self.lap += 1;
        self.circuit.borrow_mut().advance_to(self.lap);
    }
}

fn work(name: &str, circuit: &Rc<RefCell<Circuit>>, flows: u32) -> Option<Box<dyn Work>> {
    let capacity = flows.next_power_of_two() as usize;
    let track = Track::new(circuit);
    Some(match name {
        "whole" => Box::new(Whole::new(track, capacity, TunnelCount::Outer)),
        "whole, inner flows" => Box::new(Whole::new(track, capacity, TunnelCount::Inner)),
        "decode" => Box::new(Decode::new(track)),
        "flow" => Box::new(Table::new(track, capacity, TcpAnalysis::On)),
        "flow without TCP analysis" => Box::new(Table::new(track, capacity, TcpAnalysis::Off)),
        "etherparse+HashMap" => Box::new(plain::Whole::new(track, capacity)),
        "etherparse" => Box::new(plain::Decode::new(track)),
        "HashMap" => Box::new(plain::Table::new(&track, capacity)),
        _ => return None,
    })
}

/// The whole datapath on clean traffic of [`FEW_FLOWS`].
pub fn whole(count: TunnelCount) -> Box<dyn Work> {
    let circuit = Rc::new(RefCell::new(Circuit::new(FEW_FLOWS, FEW_FRAMES)));
    Box::new(Whole::new(Track::new(&circuit), FEW_FLOWS.next_power_of_two() as usize, count))
}

pub fn counted(name: &str) -> Option<Box<dyn Work>> {
    GROUPS.concat().contains(&name).then_some(())?;
    let circuit = Rc::new(RefCell::new(Circuit::new(COUNTED_FLOWS, COUNTED_FRAMES)));
    work(name, &circuit, COUNTED_FLOWS)
}

pub fn measure() -> Vec<Figure> {
    let mut figures = Vec::new();
    for (flows, frames, goal_ns) in SIZES {
        let circuit = Rc::new(RefCell::new(Circuit::new(flows, frames)));
        for names in GROUPS {
            let costs = costs(names, &circuit, flows);
            figures.extend(times(names, &costs, flows, goal_ns));
        }
    }
    let pairs =
        GROUPS.into_iter().flat_map(|names| references(names).map(|[work, to]| (names[work], names[to])));
    figures.extend(callgrind::figures("clean", pairs));
    figures
}

/// The works are gone when this returns, with the memory they took.
fn costs(names: &[&str], circuit: &Rc<RefCell<Circuit>>, flows: u32) -> Vec<Cost> {
    let works = names.iter().map(|name| work(name, circuit, flows).expect("a name of this module"));
    side_by_side(&mut works.collect::<Vec<_>>())
}

/// Which work of a group is compared with which: the first with the second, the plain way; all others with the first.
fn references(names: &[&str]) -> impl Iterator<Item = [usize; 2]> {
    [[0, 1]].into_iter().chain((2..names.len()).map(|other| [other, 0]))
}

fn times(names: &[&str], costs: &[Cost], flows: u32, goal_ns: f64) -> Vec<Figure> {
    let mut figures = Vec::new();
    for [work, reference] in references(names) {
        let (name, cost) = (names[work], costs[work]);
        let time = Figure::new(format!("{name}, {flows} flows"), cost.time_ns, "ns/packet")
            .against(names[reference], costs[reference].time_ns);
        figures.push(if name.starts_with("whole") { time.at_most(goal_ns) } else { time });
        let allocations = Figure::new(
            format!("{name}, {flows} flows, allocations"),
            cost.allocations,
            "allocations/packet",
        );
        figures.push(allocations.at_most(0.0));
    }
    figures
}
