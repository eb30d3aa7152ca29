//! `cargo xtask compare`: what the sensor says of capture files beside what tshark and nDPI say of them.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ::compare::tshark::View;
use ::compare::{FactsFrom, Options as Comparison};
use anyhow::{Context, ensure};
use clap::Args;

use crate::compile::{self, Profile};
use crate::shell;

/// Compares the sensor with tshark and nDPI over a folder of capture files
///
/// Each conversation's packets, bytes and TCP metrics are compared in both directions, and what its messages of DNS,
/// TLS, QUIC, HTTP and DHCP say. What tshark says is taken from `expected.jsonl` in the folder, or from tshark itself
/// for captures that are not in it; what nDPI says from `ndpi_flows.tsv`, if it is there. Prints a line a field and the
/// differences with their reasons. Fails if a capture could not be judged, or if differences remain that nothing
/// explains and a field's share of equal conversations, of all of them or of those in which the field is not zero, is
/// below its goal; what messages say has to be equal or explained.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The folder of captures.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// Also writes everything to this file as a JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Asks tshark about every capture, whatever is on record.
    #[arg(long)]
    tshark: bool,
    /// Compares the innermost conversations of tunnels instead of the outermost; asks tshark.
    #[arg(long)]
    inner: bool,
    /// Only captures with this in their path.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many differences of each sort are printed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    details: usize,
    /// Seconds that one program may take over one capture.
    #[arg(long, value_name = "N", default_value_t = 300)]
    limit_s: u64,
    /// Compares this program instead of the sensor that is built from the tree.
    #[arg(long, value_name = "PROGRAM")]
    sensor: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask compare --corpus captures
  cargo xtask compare --corpus captures --tshark --json compared.json
  cargo xtask compare --corpus captures --filter vxlan --inner --details 100
  jq '.differences[] | select(.field == \"packets\" and .reason == null)' compared.json

The JSON object:
  captures, met       how many captures, whether all goals are met
  fields[]            field, reported (by the sensor), compared, equal, different, explained, equal_percent,
                      nonzero, nonzero_equal, nonzero_equal_percent, goal_percent, met (null: no goal)
  messages[]          field, reported (by tshark or nDPI), equal, different, explained, equal_percent, ours_alone,
                      goal_percent, met
  differences[]       capture, conversation (null: the capture itself), field, ours, theirs, missing (values of theirs
                      that ours lacks; 0: ours only says more), reason (null: none)
  not_judged[]        capture, reason
  unused_explanations[]  entries of the list that explained nothing: capture, conversation, reason

A conversation is `PROTOCOL ADDRESS PORT ADDRESS PORT`, the lower side first; counts are `there/back`.
Reasons are kept in tools/compare/explained.toml.";

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(options.corpus.is_dir(), "{} is not a folder", options.corpus.display());
    let sensor = match &options.sensor {
        Some(program) => program.clone(),
        None => {
            compile::build(Profile::Release)?;
            shell::built("sensor")?
        }
    };
    let report = ::compare::run(&Comparison {
        corpus: options.corpus.clone(),
        sensor,
        view: if options.inner { View::Innermost } else { View::Outermost },
        facts: if options.tshark { FactsFrom::Tshark } else { FactsFrom::Record },
        filter: options.filter.clone(),
        limit: Duration::from_secs(options.limit_s),
    })?;
    print!("{}", report.text(options.details));
    if let Some(file) = &options.json {
        let json = format!("{:#}\n", report.json());
        fs::write(file, json).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(if report.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
