//! What a run of libFuzzer came to, from what it printed.

use std::fmt;
use std::path::Path;
use std::process::ExitStatus;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub runs: u64,
    /// Edges of the program that some input went along.
    pub coverage: u64,
    /// Inputs that each reach something of their own.
    pub corpus: u64,
    pub memory_mb: u64,
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was said of it.
    pub reason: String,
    /// The input, if one was to blame.
    pub input: Option<String>,
    pub log: String,
}

impl Outcome {
    pub fn read(text: &str, status: ExitStatus, log: &Path) -> Outcome {
        let mut outcome = Outcome::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // `#2097152  pulse  cov: 412 ft: 1583 corp: 204/31Kb lim: 4096 exec/s: 69905 rss: 81Mb`
            if let [count, _, "cov:", ..] = words[..] {
                let number = |name| number_after(&words, name);
                outcome.runs = leading_number(count.trim_start_matches('#'));
                outcome.coverage = number("cov:");
                outcome.corpus = number("corp:");
                outcome.memory_mb = number("rss:");
            }
        }
        if !status.success() {
            outcome.failure = Some(Failure {
                reason: reason(text).unwrap_or_else(|| status.to_string()),
                input: text
                    .lines()
                    .rev()
                    .find_map(|line| Some(line.split_once("Test unit written to ")?.1.into())),
                log: log.display().to_string(),
            });
        }
        outcome
    }
}

/// The message of a panic with its place, else what libFuzzer says itself.
fn reason(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panicked at "));
    if let Some(at) = panic {
        let place = lines[at].split_once("panicked at ")?.1.trim_end_matches(':');
        return Some(format!("{}, at {place}", lines.get(at + 1)?));
    }
    let error = lines.iter().find_map(|line| line.split_once("ERROR: libFuzzer: "))?;
    Some(error.1.to_owned())
}

fn number_after(words: &[&str], name: &str) -> u64 {
    let at = words.iter().position(|word| *word == name);
    at.and_then(|at| words.get(at + 1)).map_or(0, |word| leading_number(word))
}

/// 204 of `204/31Kb`.
fn leading_number(word: &str) -> u64 {
    let end = word.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(word.len());
    word[..end].parse().unwrap_or(0)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { runs, coverage, corpus, memory_mb, failure } = self;
        let verdict = if failure.is_some() { "FAILED" } else { "ok" };
        write!(f, "{verdict:<7}{runs:>11} runs {coverage:>7} edges {corpus:>6} inputs {memory_mb:>5} MB")?;
        let Some(failure) = failure else { return Ok(()) };
        write!(f, "\n  {}", failure.reason)?;
        if let Some(input) = &failure.input {
            write!(f, "\n  input: {input}")?;
        }
        write!(f, "\n  log: {}", failure.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const RUNNING: &str = "INFO: seed corpus: files: 23 min: 1b max: 90b total: 1Kb rss: 40Mb\n\
        #24\tINITED cov: 91 ft: 92 corp: 20/1Kb exec/s: 0 rss: 41Mb\n\
        #2097152\tpulse  cov: 412 ft: 1583 corp: 204/31Kb lim: 4096 exec/s: 69905 rss: 81Mb\n";

    fn outcome(text: &str, status: i32) -> Outcome {
        Outcome::read(text, ExitStatus::from_raw(status << 8), Path::new("/logs/flow.log"))
    }

    #[test]
    fn latest_numbers_count() {
        let text = format!(
            "{RUNNING}#2100000\tDONE   cov: 413 ft: 1590 corp: 205/32Kb lim: 4096 exec/s: 70000 rss: 82Mb\n"
        );
        let expected = Outcome { runs: 2_100_000, coverage: 413, corpus: 205, memory_mb: 82, failure: None };
        assert_eq!(outcome(&text, 0), expected);
    }

    #[test]
    fn panic_is_told_with_its_place_and_input() {
        let text = format!(
            "{RUNNING}\nthread '<unnamed>' (7) panicked at fuzz_targets/flow.rs:70:5:\nassertion failed: sums\n\
             note: run with `RUST_BACKTRACE=1`\n==9== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='/artifacts/flow/'; Test unit written to /artifacts/flow/crash-1\n"
        );
        let failure = outcome(&text, 77).failure.unwrap();
        assert_eq!(failure.reason, "assertion failed: sums, at fuzz_targets/flow.rs:70:5");
        assert_eq!(failure.input.as_deref(), Some("/artifacts/flow/crash-1"));
        assert_eq!(failure.log, "/logs/flow.log");
    }

    #[test]
    fn failure_without_a_panic_is_told_by_what_libfuzzer_says() {
        let text = format!("{RUNNING}==9== ERROR: libFuzzer: out-of-memory (used: 1025Mb; limit: 1024Mb)\n");
        let failure = outcome(&text, 71).failure.unwrap();
        assert_eq!(failure.reason, "out-of-memory (used: 1025Mb; limit: 1024Mb)");
        assert_eq!(outcome("", 1).failure.unwrap().reason, "exit status: 1");
    }
}
