//! Works take turns, and what each costs a packet.

use crate::{allocator, cpu_time};

const RUNS: usize = 11;
/// A run is as many passes as this takes, or one.
const PACKETS_PER_RUN: usize = 1 << 18;

/// Something that is measured, over the same packets again and again.
pub trait Work {
    /// Of one pass.
    fn packets(&self) -> usize;

    /// What has to be done before each pass and does not count.
    fn prepare(&mut self) {}

    fn pass(&mut self);
}

/// Of one packet.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Median of the runs.
    pub time_ns: f64,
    pub allocations: f64,
}

/// Runs all works in turns, so that what else the machine does hits all alike. Each is run in before it counts.
pub fn side_by_side(works: &mut [Box<dyn Work>]) -> Vec<Cost> {
    let mut runs: Vec<Vec<Run>> = works.iter().map(|_| Vec::new()).collect();
    for number in 0..=RUNS {
        for (work, runs) in works.iter_mut().zip(&mut runs) {
            let run = run(&mut **work);
            if number > 0 {
                runs.push(run);
            }
        }
    }
    works.iter().zip(runs).map(|(work, runs)| cost(work.packets(), runs)).collect()
}

struct Run {
    passes: usize,
    time_ns: u64,
    allocations: u64,
}

fn run(work: &mut dyn Work) -> Run {
    let passes = (PACKETS_PER_RUN / work.packets()).max(1);
    let mut run = Run { passes, time_ns: 0, allocations: 0 };
    for _ in 0..passes {
        work.prepare();
        let allocations = allocator::allocations();
        let start_ns = cpu_time::now_ns();
        work.pass();
        run.time_ns += cpu_time::now_ns() - start_ns;
        run.allocations += allocator::allocations() - allocations;
    }
    run
}

fn cost(packets: usize, mut runs: Vec<Run>) -> Cost {
    let packets_per_run = (runs[0].passes * packets) as f64;
    let allocations: u64 = runs.iter().map(|run| run.allocations).sum();
    runs.sort_by_key(|run| run.time_ns);
    Cost {
        time_ns: runs[RUNS / 2].time_ns as f64 / packets_per_run,
        allocations: allocations as f64 / (RUNS as f64 * packets_per_run),
    }
}
