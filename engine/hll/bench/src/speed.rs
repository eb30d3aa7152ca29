//! Time and bytes of each operation, beside other libraries in the same run.
//!
//! The libraries take turns, and of several rounds the least time counts, so that what else the machine does
//! weighs on all alike. Merges go from 32 sketches into one, which stay in the cache; "10080 sketches" do
//! not.

use std::hint::black_box;

use hll::{Sketch, SketchRef, hash};
use ultraloglog::UltraLogLog;

use crate::cpu_time::least_ns;
use crate::figure::Figure;
use crate::peers::{Cloudflare, DataSketches, Peer, PlusPlus};

const ROUNDS: usize = 5;
const RUNS: usize = 7;
/// Values of a dense sketch that is measured, and of a sparse one.
const DENSE: u64 = 50_000;
const SPARSE: u64 = 100;
/// Values that are added to measure how fast.
const ADDED: usize = 1_000_000;
const MERGED: u64 = 32;
/// One-minute sketches of a week.
const WEEK: usize = 10_080;

/// What one library takes, in nanoseconds and bytes.
#[derive(Clone, Copy)]
struct Measured {
    name: &'static str,
    add: f64,
    add_many: f64,
    merge_dense: f64,
    merge_sparse: f64,
    estimate: f64,
    serialise: f64,
    dense_bytes: f64,
    sparse_bytes: f64,
}

/// A column of the table: what it shows, and how to get it.
type Column = (&'static str, fn(&Measured) -> f64);

const COLUMNS: [Column; 8] = [
    ("add", |m| m.add),
    ("add, batch", |m| m.add_many),
    ("merge dense", |m| m.merge_dense),
    ("merge 100 values", |m| m.merge_sparse),
    ("estimate", |m| m.estimate),
    ("serialise", |m| m.serialise),
    ("dense bytes", |m| m.dense_bytes),
    ("100 values bytes", |m| m.sparse_bytes),
];

pub fn measure() -> Vec<Figure> {
    let mut figures = Vec::new();
    for precision in [12, 14] {
        let measured = measure_all(precision);
        print(precision, &measured);
        figures.extend(figures_of(precision, &measured));
    }
    figures.extend(forms());
    figures.extend(week());
    figures
}

fn hashes(seed: u64, count: u64) -> Vec<u64> {
    (0..count).map(|number| hash::of_u64(seed << 32 | number)).collect()
}

fn sketches<P: Peer>(precision: u8, values: u64) -> Vec<P> {
    let sketch = |seed| {
        let mut sketch = P::new(precision);
        sketch.add_all(&hashes(seed, values));
        sketch
    };
    (0..MERGED).map(sketch).collect()
}

fn measure_all(precision: u8) -> Vec<Measured> {
    let measure: [fn(u8) -> Measured; 5] =
        [peer::<Sketch>, peer::<DataSketches>, peer::<Cloudflare>, peer::<UltraLogLog>, peer::<PlusPlus>];
    let mut least: Vec<Measured> = measure.iter().map(|measure| measure(precision)).collect();
    for _ in 1..ROUNDS {
        for (least, measure) in least.iter_mut().zip(measure) {
            least.take_least(&measure(precision));
        }
    }
    least
}

impl Measured {
    fn take_least(&mut self, other: &Measured) {
        self.add = self.add.min(other.add);
        self.add_many = self.add_many.min(other.add_many);
        self.merge_dense = self.merge_dense.min(other.merge_dense);
        self.merge_sparse = self.merge_sparse.min(other.merge_sparse);
        self.estimate = self.estimate.min(other.estimate);
        self.serialise = self.serialise.min(other.serialise);
    }
}

fn peer<P: Peer>(precision: u8) -> Measured {
    let added = hashes(99, ADDED as u64);
    let mut full = P::new(precision);
    full.add_all(&added);
    let mut dense: Vec<P> = sketches(precision, DENSE);
    let sparse: Vec<P> = sketches(precision, SPARSE);
    let merge = |from: &[P]| {
        let mut into = full.copy();
        into.merge(&from[0]);
        least_ns(RUNS, from.len() * 8, || {
            for _ in 0..8 {
                from.iter().for_each(|sketch| into.merge(black_box(sketch)));
            }
        })
    };
    let (merge_dense, merge_sparse) = (merge(&dense), merge(&sparse));
    let bytes = |sketch: &P| {
        let serialised = sketch.serialised().map(|bytes| bytes.len());
        serialised.or_else(|| sketch.memory_bytes()).map_or(f64::NAN, |bytes| bytes as f64)
    };
    let (dense_bytes, sparse_bytes) = (bytes(&dense[0]), bytes(&sparse[0]));
    let serialise = if dense[0].serialised().is_some() {
        least_ns(RUNS, dense.len(), || dense.iter().for_each(|sketch| drop(black_box(sketch.serialised()))))
    } else {
        f64::NAN
    };
    Measured {
        name: P::NAME,
        add: least_ns(RUNS, ADDED, || {
            let mut sketch = P::new(precision);
            for hash in &added {
                black_box(&mut sketch).add(*hash);
            }
        }),
        add_many: least_ns(RUNS, ADDED, || {
            let mut sketch = P::new(precision);
            sketch.add_all(black_box(&added));
            black_box(sketch);
        }),
        merge_dense,
        merge_sparse,
        estimate: least_ns(RUNS, dense.len(), || {
            for sketch in &mut dense {
                black_box(sketch.estimate());
            }
        }),
        serialise,
        dense_bytes,
        sparse_bytes,
    }
}

fn print(precision: u8, measured: &[Measured]) {
    eprintln!("\nprecision {precision}, nanoseconds and bytes:");
    eprint!("{:22}", "");
    COLUMNS.iter().for_each(|(name, _)| eprint!("{name:>18}"));
    eprintln!();
    for peer in measured {
        eprint!("{:22}", peer.name);
        for (_, value) in COLUMNS {
            let value = value(peer);
            let decimals = if value < 100.0 { 2 } else { 0 };
            if value.is_nan() { eprint!("{:>18}", "-") } else { eprint!("{value:>18.decimals$}") }
        }
        eprintln!();
    }
}

/// Ours beside the best of the others.
fn figures_of(precision: u8, measured: &[Measured]) -> Vec<Figure> {
    let (ours, others) = measured.split_first().expect("ours comes first");
    let goals = match precision {
        12 => [3.5, 2.0, 300.0, 500.0, f64::NAN, f64::NAN, f64::NAN, 250.0],
        _ => [3.5, 2.0, 1200.0, 500.0, f64::NAN, f64::NAN, f64::NAN, 250.0],
    };
    let figure = |((name, value), goal): (Column, f64)| {
        let unit = if name.ends_with("bytes") { "bytes" } else { "ns" };
        let figure = Figure::new(format!("hll {name}, p={precision}"), value(ours), unit);
        let figure = if goal.is_nan() { figure } else { figure.at_most(goal) };
        let best =
            others.iter().filter(|peer| !value(peer).is_nan()).min_by(|a, b| value(a).total_cmp(&value(b)));
        match best {
            Some(best) => figure.against(best.name, value(best)),
            None => figure,
        }
    };
    COLUMNS.into_iter().zip(goals).map(figure).collect()
}

/// What is particular to this library: merging serialised sketches, hashing, overlaps.
fn forms() -> Vec<Figure> {
    let mut figures = Vec::new();
    for (what, values) in [("100 values", SPARSE), ("dense", DENSE)] {
        let serialised: Vec<Vec<u8>> = sketches::<Sketch>(12, values).iter().map(Sketch::to_bytes).collect();
        let views: Vec<SketchRef<'_>> =
            serialised.iter().map(|bytes| SketchRef::new(bytes).expect("just serialised")).collect();
        let mut into = sketches::<Sketch>(12, DENSE).swap_remove(0);
        let checked = least_ns(RUNS * ROUNDS, serialised.len(), || {
            for bytes in &serialised {
                into.merge_bytes(black_box(bytes)).expect("just serialised");
            }
        });
        let viewed = least_ns(RUNS * ROUNDS, views.len(), || {
            views.iter().for_each(|view| into.merge(black_box(*view)));
        });
        figures.push(Figure::new(format!("hll merge serialised {what}, p=12"), viewed, "ns"));
        figures.push(Figure::new(format!("hll check and merge serialised {what}, p=12"), checked, "ns"));
    }
    let numbers: Vec<u64> = (0..ADDED as u64).collect();
    let numbers_added = least_ns(RUNS * ROUNDS, ADDED, || {
        let mut sketch = <Sketch as Peer>::new(12);
        sketch.add_u64s(black_box(&numbers));
        black_box(sketch);
    });
    figures.push(Figure::new("hll hash and add u64, batch, p=12", numbers_added, "ns"));
    let pair = sketches::<Sketch>(12, DENSE);
    let overlap = least_ns(RUNS * ROUNDS, 1, || {
        black_box(pair[0].overlap(&pair[1]));
    });
    figures.push(Figure::new("hll overlap of two dense sketches, p=12", overlap / 1000.0, "us"));
    figures
}

/// A week of one-minute sketches at p=14, each dense, merged once; beside reading as many bytes.
fn week() -> [Figure; 1] {
    let dense = sketches::<Sketch>(14, DENSE);
    let minutes: Vec<Sketch> = dense.iter().cycle().take(WEEK).cloned().collect();
    let mut into = dense[0].clone();
    let merged =
        least_ns(RUNS * ROUNDS, 1, || minutes.iter().for_each(|minute| into.merge(black_box(minute))));
    let bytes: Vec<Vec<u64>> = minutes.iter().map(|_| vec![1; (1 << 14) / 8]).collect();
    let read = least_ns(RUNS * ROUNDS, 1, || {
        black_box(
            bytes
                .iter()
                .map(|minute| minute.iter().fold(0, |sum: u64, word| sum ^ word))
                .fold(0, |sum, x| sum ^ x),
        );
    });
    [Figure::new("hll merge 10080 sketches, p=14", merged / 1e6, "ms")
        .against("reading as many bytes from memory", read / 1e6)
        .at_most(15.0)]
}
