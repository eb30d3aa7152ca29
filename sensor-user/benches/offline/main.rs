//! What one packet costs one core, with the frames already in memory.
//!
//! ```text
//! clean     whole datapath, decoder alone, flow table alone, with TCP analysis and without   10 000 and 1 000 000 flows
//! layers    decoding by what is in a frame                                                   in the cache
//! segments  TCP analysis by what is the matter with a segment                                in the cache
//! applications  with payloads inspected and without, by protocol                              from first frame to record
//! hostile   whole datapath on what attackers and broken senders make, beside clean traffic
//! ```
//!
//! Arguments name groups; all run if none is named. Beside each figure stands a reference from the same run, and
//! `ratio` is value by reference value. Times are CPU times, each the median of runs in which works take turns.
//! Instructions are counted by callgrind where it is installed: `--count WORK PASSES` is what it runs, and may be run
//! under it by hand to see where they go.
//! Out: a JSON array on stdout, a table on stderr.

mod allocator;
mod applications;
mod callgrind;
mod clean;
mod cpu_time;
mod figure;
mod frames;
mod hostile;
mod layers;
mod meter;
mod plain;
mod segments;
mod table;
mod whole;

use figure::Figure;
use meter::Work;

type Measure = fn() -> Vec<Figure>;

const GROUPS: [(&str, Measure); 5] = [
    ("clean", clean::measure),
    ("layers", layers::measure),
    ("segments", segments::measure),
    ("hostile", hostile::measure),
    ("applications", applications::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, name, passes] = &arguments[..]
        && verb == "--count"
    {
        let mut work = counted(name).expect("a work of this program");
        return callgrind::count(&mut *work, passes.parse().expect("a number of passes"));
    }
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let runs_all = !GROUPS.iter().any(|(name, _)| is_named(name));
    let mut figures = Vec::new();
    for (name, measure) in GROUPS {
        if runs_all || is_named(name) {
            eprintln!("measuring {name}");
            figures.extend(measure());
        }
    }
    figure::print_table(&figures);
    println!("{}", serde_json::to_string_pretty(&figures).expect("figures are plain data"));
}

/// The work of this name, of a size that callgrind gets through.
fn counted(name: &str) -> Option<Box<dyn Work>> {
    clean::counted(name)
        .or_else(|| layers::counted(name))
        .or_else(|| segments::counted(name))
        .or_else(|| hostile::counted(name))
        .or_else(|| applications::counted(name))
}
