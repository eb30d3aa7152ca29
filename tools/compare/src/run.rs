//! The comparison of a whole folder, on all CPUs.

use crate::corpus::{self, Capture};
use crate::explained::Explanations;
use crate::facts::Facts;
use crate::field::{Field, INNER, OUTER};
use crate::judged::{Context, Judged};
use crate::matching;
use crate::message;
use crate::ndpi;
use crate::report::{Report, Results};
use crate::sensor;
use crate::tshark::{self, View};
use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    pub corpus: PathBuf,
    /// The program.
    pub sensor: PathBuf,
    pub view: View,
    pub facts: FactsFrom,
    /// Only captures with this in their name.
    pub filter: Option<String>,
    /// How long one program may take over one capture.
    pub limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactsFrom {
    /// The record of the corpus, and tshark for captures that are not on it.
    Record,
    /// tshark, whatever is on record.
    Tshark,
}

/// One capture judged, and what the sensor's records had.
struct Outcome {
    judged: Judged,
    /// Each of the fields.
    reported: Vec<bool>,
    /// What messages say.
    has_messages: bool,
}

/// What nDPI says of all captures.
#[derive(Default)]
struct Ndpi {
    flows: ndpi::Flows,
    messages: message::ndpi::Flows,
}

struct Run<'a> {
    options: &'a Options,
    fields: &'static [Field],
    explanations: &'a Explanations,
    ndpi: Ndpi,
    has_tshark: bool,
}

pub fn run(options: &Options) -> anyhow::Result<Report> {
    let mut captures = corpus::captures(&options.corpus)?;
    if let Some(filter) = &options.filter {
        captures.retain(|capture| capture.file.contains(filter));
    }
    ensure!(!captures.is_empty(), "no captures to compare in {}", options.corpus.display());
    let explanations = Explanations::of_the_project()?;
    let run = Run {
        options,
        fields: if options.view == View::Outermost { &OUTER } else { &INNER },
        explanations: &explanations,
        ndpi: options.ndpi()?,
        has_tshark: tshark::version().is_some(),
    };
    let outcomes = on_all_cpus(&captures, |capture| run.judge(capture));
    let mut results = Results { reported: vec![false; run.fields.len()], ..Results::default() };
    for (capture, outcome) in captures.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => {
                results.judged.push(outcome.judged);
                results.has_messages |= outcome.has_messages;
                for (any, one) in results.reported.iter_mut().zip(outcome.reported) {
                    *any |= one;
                }
            }
            Err(error) => results.failed.push((capture.file.clone(), format!("{error:#}"))),
        }
        results.captures.push(capture.file);
    }
    let fields = run.fields;
    Ok(Report::new(results, fields, explanations))
}

impl Options {
    fn ndpi(&self) -> anyhow::Result<Ndpi> {
        let list = self.corpus.join(ndpi::FLOWS);
        if self.view == View::Innermost || !list.is_file() {
            return Ok(Ndpi::default());
        }
        let text = fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
        let words = ndpi::List::parse(&text);
        let flows = ndpi::parse(&words).with_context(|| format!("{}", list.display()))?;
        Ok(Ndpi { flows, messages: message::ndpi::parse(&words) })
    }
}

impl Run<'_> {
    fn judge(&self, capture: &Capture) -> anyhow::Result<Outcome> {
        let Options { sensor, view, limit, .. } = self.options;
        let ndpi_messages = self.ndpi.messages.get(&capture.file).map(Vec::as_slice).unwrap_or_default();
        let mut theirs = self.facts(capture)?;
        message::ndpi::add_fingerprints(&mut theirs, ndpi_messages);
        let ours = sensor::observe(sensor, &capture.path, *view, self.fields, *limit)?;
        let context =
            Context { capture: &capture.file, explanations: self.explanations, accounts: &ours.not_flow };
        let mut judged = matching::compare(context, self.fields, &ours, &theirs);
        if let Some(flows) = self.ndpi.flows.get(&capture.file) {
            ndpi::compare(context, flows, &ours, &theirs, &mut judged);
        }
        message::ndpi::compare_hosts(context, ndpi_messages, &ours, &theirs, &mut judged);
        Ok(Outcome { judged, reported: ours.reported, has_messages: ours.has_messages })
    }

    fn facts(&self, capture: &Capture) -> anyhow::Result<Facts> {
        let Options { view, facts, limit, .. } = self.options;
        let is_on_record = *facts == FactsFrom::Record && *view == View::Outermost;
        if let Some(expected) = capture.expected.as_ref().filter(|_| is_on_record) {
            return Facts::read(expected, self.fields).context(corpus::EXPECTED);
        }
        if !self.has_tshark {
            bail!("not in {}, and tshark is not installed", corpus::EXPECTED);
        }
        Facts::read(&tshark::facts(&capture.path, *view, *limit)?, self.fields).context("facts of tshark")
    }
}

/// One result for each item, in their order.
fn on_all_cpus<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    results.lock().expect("nobody panics with the lock").push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("nobody panics with the lock");
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        let results = on_all_cpus(&items, |item| item * 2);
        assert!(results.iter().zip(&items).all(|(result, item)| *result == item * 2));
        assert_eq!(results.len(), items.len());
    }
}
