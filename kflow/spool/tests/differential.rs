//! A spool beside a list in memory that is meant to do the same.

mod support;

use kflow_spool::fs::model::ModelFs;
use kflow_spool::{Batch, Reader, Sequence, Tally, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use support::config;

#[derive(Clone, Debug)]
enum Step {
    Append { length: usize, records: u32, kind: u8 },
    Commit,
    Read { count: usize },
    Acknowledge { count: usize },
    Close,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..6000usize, 0..100_000u32, any::<u8>())
            .prop_map(|(length, records, kind)| Step::Append { length, records, kind }),
        3 => Just(Step::Commit),
        3 => (1..8usize).prop_map(|count| Step::Read { count }),
        2 => (1..8usize).prop_map(|count| Step::Acknowledge { count }),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ];
    vec(step, 1..60)
}

/// The list: what waits, how much of it was handed out, what was appended behind it.
#[derive(Default)]
struct Naive {
    waiting: VecDeque<Batch>,
    handed_out: usize,
    uncommitted: Vec<Batch>,
    /// Batches that were passed over because the spool has dropped them.
    dropped: Tally,
}

struct Spool {
    fs: ModelFs,
    segments_max: u64,
    writer: Writer,
    reader: Reader,
}

impl Spool {
    fn new(fs: ModelFs, segments_max: u64) -> Spool {
        let (writer, reader, _) = kflow_spool::open(Arc::new(fs.clone()), config(segments_max)).unwrap();
        Spool { fs, segments_max, writer, reader }
    }
}

impl Naive {
    fn read(&mut self, spool: &mut Spool) {
        let Some(batch) = spool.reader.next().unwrap() else {
            // Nothing is left, so all that waits was dropped.
            self.drop_until(|_| false);
            return;
        };
        self.drop_until(|waiting| waiting.sequence == batch.sequence);
        assert_eq!(self.waiting.get(self.handed_out), Some(&batch));
        self.handed_out += 1;
    }

    fn drop_until(&mut self, is_next: impl Fn(&Batch) -> bool) {
        while self.waiting.get(self.handed_out).is_some_and(|batch| !is_next(batch)) {
            let dropped = self.waiting.remove(self.handed_out).unwrap();
            self.dropped += tally(&dropped);
        }
    }

    fn acknowledge(&mut self, spool: &mut Spool, count: usize) {
        let count = count.min(self.handed_out);
        let Some(last) = count.checked_sub(1).map(|last| self.waiting[last].sequence) else { return };
        spool.reader.acknowledge(last).unwrap();
        self.waiting.drain(..count);
        self.handed_out -= count;
    }
}

fn tally(batch: &Batch) -> Tally {
    Tally { batches: 1, records: u64::from(batch.records), bytes: batch.payload.len() as u64 }
}

/// Takes a step on both.
fn take(step: &Step, mut spool: Spool, naive: &mut Naive) -> Spool {
    match *step {
        Step::Append { length, records, kind } => {
            let payload = vec![kind; length];
            let sequence = spool.writer.append(&payload, records, kind).unwrap();
            naive.uncommitted.push(Batch { sequence, records, kind, payload });
        }
        Step::Commit => {
            spool.writer.commit().unwrap();
            naive.waiting.extend(naive.uncommitted.drain(..));
        }
        Step::Read { count } => (0..count).for_each(|_| naive.read(&mut spool)),
        Step::Acknowledge { count } => naive.acknowledge(&mut spool, count),
        Step::Close | Step::Kill => {
            let Spool { fs, segments_max, writer, reader } = spool;
            let fs = if matches!(step, Step::Kill) {
                naive.uncommitted.clear();
                fs.kill()
            } else {
                naive.waiting.extend(naive.uncommitted.drain(..));
                fs
            };
            drop((writer, reader));
            naive.handed_out = 0;
            return Spool::new(fs, segments_max);
        }
    }
    spool
}

fn compare(steps: &[Step], segments_max: u64) {
    let mut spool = Spool::new(ModelFs::default(), segments_max);
    let mut naive = Naive::default();
    for step in steps {
        spool = take(step, spool, &mut naive);
    }
    spool = take(&Step::Commit, spool, &mut naive);
    // One more, to find that there are no more.
    for _ in 0..=naive.waiting.len() {
        naive.read(&mut spool);
    }
    naive.acknowledge(&mut spool, usize::MAX);
    let stats = spool.reader.stats().read();
    assert_eq!(stats.dropped_for_any_reason(), naive.dropped);
    assert_eq!(stats.waiting, Tally::default());
    assert_eq!(spool.reader.next().unwrap().map(|batch| batch.sequence), None::<Sequence>);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spool_does_what_a_list_does(steps in steps()) {
        compare(&steps, 1000);
    }

    #[test]
    fn at_the_cap_it_does_so_without_those_that_are_counted_as_dropped(steps in steps()) {
        compare(&steps, 4);
    }
}
