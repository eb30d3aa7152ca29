//! A corpus of real captures: what the sensor says of them is what other programs say, but for what is explained.
//!
//! `CORPUS_DIR` names a folder as `cargo xtask compare` takes it; without it the tests say that they are skipped.

use compare::corpus::{self, Capture};
use compare::facts::Facts;
use compare::field::OUTER;
use compare::tshark::{self, View};
use compare::{FactsFrom, Options};
use std::env;
use std::path::PathBuf;
use std::time::Duration;
use system_tests::sensor_program;

/// How long one program may take over one small capture on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Every so many captures tshark is asked itself; it takes its time to start.
const ASKED_EVERY: usize = 50;

fn corpus_folder() -> Option<PathBuf> {
    let folder = env::var_os("CORPUS_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: CORPUS_DIR names no folder of captures");
    }
    folder
}

#[test]
fn every_capture_of_the_corpus_is_counted_as_by_other_programs() {
    let Some(corpus) = corpus_folder() else { return };
    let options = Options {
        corpus,
        sensor: sensor_program(),
        view: View::Outermost,
        facts: FactsFrom::Record,
        filter: None,
        limit: LIMIT,
    };
    let report = compare::run(&options).expect("the corpus can be read");
    assert!(report.is_met(), "{}", report.text(50));
}

#[test]
fn facts_made_on_the_spot_are_those_on_record() {
    let Some(corpus) = corpus_folder() else { return };
    if tshark::version().is_none() {
        eprintln!("skipped: tshark is not installed");
        return;
    }
    let captures = corpus::captures(&corpus).expect("the corpus can be read");
    for Capture { file, path, expected } in captures.into_iter().step_by(ASKED_EVERY) {
        let Some(expected) = expected else { continue };
        let made =
            tshark::facts(&path, View::Outermost, LIMIT).unwrap_or_else(|error| panic!("{file}: {error:#}"));
        let read = |line| Facts::read(line, &OUTER).unwrap_or_else(|error| panic!("{file}: {error:#}"));
        let (made, expected) = (read(&made), read(&expected));
        assert_eq!(made.error.is_some(), expected.error.is_some(), "{file}");
        assert_eq!(Facts { error: None, ..made }, Facts { error: None, ..expected }, "{file}");
    }
}
