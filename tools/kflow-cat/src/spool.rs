//! `kflow spool`: what waits on disk, whether it is damaged, and what opening it would repair.

use anyhow::{Context, Error, ensure};
use clap::Subcommand;
use kflow_spool::fs::RealFs;
use kflow_spool::inspect::{BatchState, Depth, Inspection, SegmentReport};
use kflow_spool::{Config, Recovery, Tally};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the segments of a spool with what is in them
    ///
    /// Changes nothing; the spool may be in use.
    #[command(after_help = EXAMPLES)]
    Ls {
        /// Lists every batch
        #[arg(long)]
        batches: bool,

        /// Directory of the spool
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Checks all checksums of a spool
    ///
    /// Changes nothing; the spool may be in use. The exit code is 1 if anything is damaged. What was being written when
    /// power failed is not.
    #[command(after_help = EXAMPLES)]
    Verify {
        /// Directory of the spool
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Does what the next process that opens the spool would do, and tells
    ///
    /// Cuts off a torn end, writes anew what is not known to be on the disk, removes segments in which nothing can be read.
    /// Damaged places stay: whoever reads the spool passes over them and counts what they cost. Refused while the spool is
    /// in use. A spool never needs it; it is for those who want to know before.
    #[command(after_help = EXAMPLES)]
    Repair {
        /// Directory of the spool
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

pub const EXAMPLES: &str = "\
Examples:
  kflow spool ls /var/lib/sensor/spool              what waits to be delivered
  kflow spool ls --batches /var/lib/sensor/spool    batch by batch
  kflow spool verify /var/lib/sensor/spool          whether any of it is damaged
  kflow spool repair /var/lib/sensor/spool          what the sensor's next start would do";

pub fn run(command: &Command) -> ExitCode {
    let mut output = io::stdout().lock();
    let result = match command {
        Command::Ls { batches, directory } => list(directory, *batches, &mut output),
        Command::Verify { directory } => verify(directory, &mut output),
        Command::Repair { directory } => repair(directory, &mut output),
    };
    match result {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged) => ExitCode::FAILURE,
        // Whoever read the output has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kflow spool: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Sound,
    Damaged,
}

fn is_closed_pipe(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn open(directory: &Path) -> Result<RealFs, Error> {
    RealFs::open(directory).with_context(|| format!("cannot open {}", directory.display()))
}

/// Looks at a directory that has a spool in it.
fn inspect<'a>(directory: &Path, fs: &'a RealFs) -> Result<Inspection<'a>, Error> {
    let inspection = Inspection::begin(fs).with_context(|| directory.display().to_string())?;
    ensure!(!inspection.is_empty(), "there is no spool in {}", directory.display());
    Ok(inspection)
}

fn list(directory: &Path, batches: bool, output: &mut impl Write) -> Result<Verdict, Error> {
    let fs = open(directory)?;
    let inspection = inspect(directory, &fs)?;
    writeln!(
        output,
        "{:>9} {:>31} {:>9} {:>12} {:>14}  {:<9} {:>8} {:>8} {:>8}",
        "SEGMENT", "SEQUENCES", "BATCHES", "RECORDS", "BYTES", "", "DONE", "WAITING", "IN DOUBT"
    )?;
    let mut waiting = Tally::default();
    for segment in inspection.segments(Depth::Headers) {
        let segment = segment.with_context(|| directory.display().to_string())?;
        print_segment(&segment, output)?;
        if batches {
            print_batches(&segment, output)?;
        }
        waiting += segment.tally(BatchState::Waiting) + segment.tally(BatchState::InDoubt);
    }
    let Tally { batches, records, bytes } = waiting;
    writeln!(output, "{batches} batches wait, {records} records in {bytes} bytes")?;
    Ok(Verdict::Sound)
}

fn print_segment(segment: &SegmentReport, output: &mut impl Write) -> io::Result<()> {
    let sequences = match (segment.batches.first(), segment.batches.last()) {
        (Some(first), Some(last)) => format!("{}-{}", first.sequence.0, last.sequence.0),
        _ => String::from("-"),
    };
    let Tally { batches, records, bytes } = segment.batches.iter().map(|batch| batch.tally()).sum();
    let note = match segment {
        _ if segment.is_damaged() => "damaged",
        _ if segment.is_closed => "closed",
        _ => "",
    };
    let [done, waiting, in_doubt] = [BatchState::Done, BatchState::Waiting, BatchState::InDoubt]
        .map(|state| segment.tally(state).batches);
    writeln!(
        output,
        "{:>9} {sequences:>31} {batches:>9} {records:>12} {bytes:>14}  {note:<9} {done:>8} {waiting:>8} {in_doubt:>8}",
        segment.number
    )
}

fn print_batches(segment: &SegmentReport, output: &mut impl Write) -> io::Result<()> {
    for batch in &segment.batches {
        let state = match batch.state {
            BatchState::Done => "done",
            BatchState::Waiting => "waiting",
            BatchState::InDoubt => "in doubt",
        };
        writeln!(
            output,
            "{:>41} {:>9} {:>12} {:>14}  {state:<9} kind {}, at byte {}",
            batch.sequence.0, "", batch.records, batch.bytes, batch.kind, batch.offset
        )?;
    }
    Ok(())
}

fn verify(directory: &Path, output: &mut impl Write) -> Result<Verdict, Error> {
    let fs = open(directory)?;
    let inspection = inspect(directory, &fs)?;
    let mut checked = Tally::default();
    let mut complaints = 0;
    let mut complain = |output: &mut dyn Write, complaint: String| {
        complaints += 1;
        writeln!(output, "{complaint}")
    };
    for segment in inspection.segments(Depth::Payloads) {
        let segment = segment.with_context(|| directory.display().to_string())?;
        checked += segment.batches.iter().map(|batch| batch.tally()).sum();
        for complaint in complaints_about(&segment) {
            complain(output, complaint)?;
        }
    }
    for (number, bytes) in inspection.unreadable() {
        complain(output, format!("segment {number}: nothing in its {bytes} bytes can be read"))?;
    }
    let slots = inspection.cursor_slots();
    if slots < 2 {
        complain(output, format!("cursor: {} of its 2 slots damaged", 2 - slots))?;
    }
    let Tally { batches, records, bytes } = checked;
    writeln!(output, "{batches} batches are whole, {records} records in {bytes} bytes")?;
    Ok(if complaints == 0 { Verdict::Sound } else { Verdict::Damaged })
}

fn complaints_about(segment: &SegmentReport) -> Vec<String> {
    let mut complaints = Vec::new();
    let number = segment.number;
    if segment.is_header_damaged {
        complaints.push(format!("segment {number}: its header is damaged"));
    }
    for damage in &segment.damage {
        complaints
            .push(format!("segment {number}: {} bytes damaged at byte {}", damage.bytes, damage.offset));
    }
    let Tally { batches, records, .. } = segment.lost;
    if batches > 0 {
        complaints.push(format!("segment {number}: {batches} batches lost, {records} records"));
    }
    complaints
}

fn repair(directory: &Path, output: &mut impl Write) -> Result<Verdict, Error> {
    let fs = open(directory)?;
    inspect(directory, &fs)?;
    let opened =
        kflow_spool::open(Arc::new(fs), config()).with_context(|| directory.display().to_string())?;
    let (writer, reader, recovery) = opened;
    let state = writer.stats().read().state;
    writer.close().with_context(|| format!("{} is {}", directory.display(), state.name()))?;
    drop(reader);
    print_recovery(&recovery, output)?;
    verify(directory, output)
}

/// Nothing is dropped, and nothing large is allocated.
fn config() -> Config {
    Config { bytes_max: u64::MAX / 2, segment_bytes: 64 << 10, disk_free_min: 0, ..Config::default() }
}

fn print_recovery(recovery: &Recovery, output: &mut impl Write) -> io::Result<()> {
    let Recovery { rewritten, torn_bytes, missing, unreadable_segments, unreadable_bytes, .. } = recovery;
    if recovery.is_new {
        writeln!(output, "nothing told which spool it was: a new one was begun")?;
    }
    if recovery.was_closed {
        writeln!(output, "the spool had been closed")?;
    }
    if recovery.is_cursor_lost {
        writeln!(output, "the cursor was lost: batches that were acknowledged may be delivered again")?;
    }
    if *torn_bytes > 0 {
        writeln!(output, "{torn_bytes} bytes of a torn end were cut off")?;
    }
    if rewritten.batches > 0 {
        writeln!(output, "{} batches in doubt were written anew", rewritten.batches)?;
    }
    if missing.batches > 0 {
        writeln!(output, "{} batches are missing, {} records", missing.batches, missing.records)?;
    }
    if *unreadable_segments > 0 {
        writeln!(output, "{unreadable_segments} segments of {unreadable_bytes} bytes could not be read")?;
    }
    Ok(())
}
