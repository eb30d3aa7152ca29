//! Instructions per packet, which are the same however busy the machine is.

use crate::{figure::Figure, meter::Work};
use std::{collections::HashMap, process::Command};

/// What runs under callgrind: the same preparation for one pass and for two.
pub fn count(work: &mut dyn Work, passes: usize) {
    for pass in 0..=passes.max(2) {
        work.prepare();
        // The first one runs the work in.
        if pass <= passes {
            work.pass();
        }
    }
    println!("{}", work.packets());
}

/// The instructions of works, each beside those of the reference that it names. Without callgrind there are none.
pub fn figures<'a>(group: &str, works: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Figure> {
    let mut known = HashMap::new();
    let mut per_packet = |work: &'a str| *known.entry(work).or_insert_with(|| per_packet(work));
    let figures = works.into_iter().filter_map(|(work, reference)| {
        let name = format!("{group}: {work}, instructions");
        let figure = Figure::new(name, per_packet(work)?, "instructions/packet");
        Some(figure.against(reference, per_packet(reference)?))
    });
    figures.collect()
}

/// The difference between two runs of this program, which leaves only the passes.
fn per_packet(work: &str) -> Option<f64> {
    let [once, twice] = [1, 2].map(|passes| collected(work, passes));
    let (once, packets) = once?;
    let (twice, _) = twice?;
    Some((twice - once) as f64 / packets as f64)
}

/// Instructions of a run, and packets of a pass.
fn collected(work: &str, passes: usize) -> Option<(u64, u64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--count", work, &passes.to_string()])
        .output()
        .ok()?;
    let stderr = String::from_utf8(output.stderr).ok()?;
    let line = stderr.lines().find(|line| line.contains("Collected :"))?;
    let packets = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Some((line.rsplit(' ').next()?.parse().ok()?, packets))
}
