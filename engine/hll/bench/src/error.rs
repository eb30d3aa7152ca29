//! Bias and root mean square error of estimates, from one value to a thousand million.

use hll::{Precision, Sketch};
use ultraloglog::UltraLogLog;

use crate::figure::Figure;
use crate::peers::{Cloudflare, DataSketches, Peer, PlusPlus};
use crate::plot::{COLOURS, Chart, Line};
use crate::simulation::{self, Random};

/// Precisions of our own sketch, and how many sketches the errors are taken over.
const OWN: [(u8, u64); 3] = [(8, 2000), (12, 4000), (14, 400)];
/// Sketches of each of the other libraries, to which as many values are added one by one.
const PEER_TRIALS: u64 = 200;
const PEER_COUNT_MAX: u64 = 1_000_000;
const PEER_PRECISION: u8 = 12;
/// Sketches that are merged from two halves of so many values.
const MERGED_TRIALS: u64 = 300;
const MERGED_COUNT: u64 = 100_000;
const DECADES: u32 = 9;

#[derive(Clone, Copy)]
struct Point {
    count: f64,
    /// Both relative to the count.
    bias: f64,
    rmse: f64,
}

struct Series {
    name: String,
    points: Vec<Point>,
}

/// The error of sketches that were merged, and the bytes of one.
struct Merged {
    name: &'static str,
    bytes: f64,
    rmse: f64,
}

pub struct Errors {
    /// By precision.
    own: Vec<(u8, Series)>,
    peers: Vec<Series>,
    merged: Vec<Merged>,
}

/// Sums of errors at each of the counts.
struct Sums {
    counts: Vec<u64>,
    sums: Vec<(f64, f64)>,
}

impl Sums {
    fn new(counts: Vec<u64>) -> Sums {
        Sums { sums: vec![(0.0, 0.0); counts.len()], counts }
    }

    fn add(&mut self, index: usize, estimate: f64) {
        let error = estimate / self.counts[index] as f64 - 1.0;
        self.sums[index].0 += error;
        self.sums[index].1 += error * error;
    }

    fn series(self, name: String, trials: u64) -> Series {
        let point = |(count, (sum, squares)): (u64, (f64, f64))| Point {
            count: count as f64,
            bias: sum / trials as f64,
            rmse: (squares / trials as f64).sqrt(),
        };
        Series { name, points: self.counts.into_iter().zip(self.sums).map(point).collect() }
    }
}

/// Eight to a decade.
fn counts(max: u64) -> Vec<u64> {
    let mut counts: Vec<u64> =
        (0..=8 * DECADES).map(|n| 10_f64.powf(f64::from(n) / 8.0).round() as u64).collect();
    counts.dedup();
    counts.retain(|count| *count <= max);
    counts
}

pub fn measure() -> Errors {
    eprintln!("\nerrors of {OWN:?} (precision, sketches) up to 10^{DECADES} values");
    let own = OWN.map(|(bits, trials)| {
        let mut sums = Sums::new(counts(10_u64.pow(DECADES)));
        let counts = sums.counts.clone();
        for seed in 0..trials {
            let sketch = Sketch::new(Precision::new(bits).expect("a precision in range"));
            simulation::run(sketch, &counts, seed, |index, sketch| {
                sums.add(index, sketch.estimate().value());
            });
        }
        (bits, sums.series(format!("hll, {}", bytes(1 << bits)), trials))
    });
    let errors = Errors {
        own: own.into(),
        peers: vec![
            peer::<DataSketches>("datasketches Hll8, 4136 B"),
            peer::<UltraLogLog>("ultraloglog, 4096 B"),
            peer::<Cloudflare>("cardinality-estimator, 3092 B"),
            peer::<PlusPlus>("hyperloglogplus, 3072 B"),
        ],
        merged: vec![
            merged::<Sketch>(),
            merged::<DataSketches>(),
            merged::<UltraLogLog>(),
            merged::<Cloudflare>(),
            merged::<PlusPlus>(),
        ],
    };
    errors.print();
    errors
}

fn bytes(count: u64) -> String {
    if count < 1024 { format!("{count} B") } else { format!("{} KiB", count / 1024) }
}

fn peer<P: Peer>(name: &str) -> Series {
    let mut sums = Sums::new(counts(PEER_COUNT_MAX));
    for seed in 0..PEER_TRIALS {
        let (mut random, mut sketch, mut added) = (Random::new(seed), P::new(PEER_PRECISION), 0);
        for index in 0..sums.counts.len() {
            (added..sums.counts[index]).for_each(|_| sketch.add(random.number()));
            added = sums.counts[index];
            sums.add(index, sketch.estimate());
        }
    }
    sums.series(name.into(), PEER_TRIALS)
}

fn merged<P: Peer>() -> Merged {
    let mut sums = Sums::new(vec![MERGED_COUNT]);
    let mut bytes = 0.0;
    for seed in 0..MERGED_TRIALS {
        let mut random = Random::new(seed);
        let mut sketches = [P::new(PEER_PRECISION), P::new(PEER_PRECISION)];
        for sketch in &mut sketches {
            (0..MERGED_COUNT / 2).for_each(|_| sketch.add(random.number()));
        }
        let [mut into, other] = sketches;
        into.merge(&other);
        sums.add(0, into.estimate());
        let serialised = into.serialised().map(|bytes| bytes.len());
        // hyperloglogplus keeps six bits a register.
        bytes = serialised.or_else(|| into.memory_bytes()).unwrap_or(3072) as f64;
    }
    let rmse = sums.series(String::new(), MERGED_TRIALS).points[0].rmse;
    Merged { name: P::NAME, bytes, rmse }
}

impl Merged {
    /// Bytes that would make the error 1 %, which falls with their root.
    fn bytes_for_one_percent(&self) -> f64 {
        self.bytes * (self.rmse / 0.01).powi(2)
    }
}

impl Series {
    fn worst(&self, between: std::ops::RangeInclusive<f64>, value: fn(&Point) -> f64) -> f64 {
        let points = self.points.iter().filter(|point| between.contains(&point.count));
        points.map(|point| value(point).abs()).fold(0.0, f64::max)
    }
}

impl Errors {
    fn print(&self) {
        eprintln!(
            "\nerror in % of merged sketches of {MERGED_COUNT} values, and bytes that would make it 1 %:"
        );
        for merged in &self.merged {
            let bytes = merged.bytes_for_one_percent();
            eprintln!("{:22}{:>8.3}{:>8.0}{bytes:>8.0}", merged.name, merged.rmse * 100.0, merged.bytes);
        }
        for series in self.own.iter().map(|(_, series)| series).chain(&self.peers) {
            eprintln!("\n{}: values, bias %, error %", series.name);
            for point in series.points.iter().step_by(4) {
                eprintln!("{:>12}{:>9.3}{:>9.3}", point.count, point.bias * 100.0, point.rmse * 100.0);
            }
        }
    }

    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (bits, series) in &self.own {
            let m = f64::from(1 << bits);
            let hyperloglog = 1.04 / m.sqrt();
            let worst = series.worst(1.0..=1e9, |point| point.rmse);
            let figure =
                Figure::new(format!("hll worst error from 1 to 1e9 values, p={bits}"), worst * 100.0, "%");
            let figure = if *bits == 12 { figure.at_most(1.1) } else { figure };
            figures.push(figure.against("1.04/sqrt(m)", hyperloglog * 100.0));
            let worst = series.worst(m..=5.0 * m, |point| point.rmse);
            let figure =
                Figure::new(format!("hll worst error from m to 5 m values, p={bits}"), worst * 100.0, "%");
            figures.push(figure.against("1.04/sqrt(m)", hyperloglog * 100.0).at_most(hyperloglog * 100.0));
            let worst = series.worst(1.0..=1e9, |point| point.bias);
            figures.push(Figure::new(
                format!("hll worst bias from 1 to 1e9 values, p={bits}"),
                worst * 100.0,
                "%",
            ));
        }
        let (ours, others) = self.merged.split_first().expect("ours comes first");
        for other in others {
            let figure =
                Figure::new("hll bytes for 1 % error after a merge", ours.bytes_for_one_percent(), "bytes");
            figures.push(figure.against(other.name, other.bytes_for_one_percent()));
        }
        figures
    }

    /// Names of files and what is in them.
    pub fn pictures(&self) -> [(&'static str, String); 3] {
        let percent = |series: &Series, value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
            series.points.iter().map(|point| (point.count, value(point) * 100.0)).collect()
        };
        let twelve = self.own.iter().find(|(bits, _)| *bits == 12).map(|(_, series)| series);
        let compared: Vec<&Series> = twelve.into_iter().chain(&self.peers).collect();
        let lines = |value: fn(&Point) -> f64| -> Vec<Line> {
            let line = |(series, colour): (&&Series, &'static str)| Line {
                name: series.name.clone(),
                colour,
                is_dashed: false,
                points: percent(series, value),
            };
            compared.iter().zip(COLOURS).map(line).collect()
        };
        let flat = |name: &str, value: f64| Line {
            name: name.into(),
            colour: COLOURS[5],
            is_dashed: true,
            points: vec![(1.0, value), (1e9, value)],
        };
        let mut compared_errors = lines(|point| point.rmse);
        compared_errors.push(flat("1.04 / √4096", 104.0 / 64.0));
        let mut own_errors: Vec<Line> = self
            .own
            .iter()
            .zip(COLOURS)
            .map(|((bits, series), colour)| {
                let root = f64::from(1 << bits).sqrt();
                let points = series.points.iter().map(|point| (point.count, point.rmse * root)).collect();
                Line { name: series.name.clone(), colour, is_dashed: false, points }
            })
            .collect();
        own_errors.push(flat("HyperLogLog: 1.04", 1.04));
        let chart = |title: &str, y_label: &str, y_range, y_step, lines| {
            let (title, y_label) = (title.into(), y_label.into());
            Chart { title, y_label, y_range, y_step, decades: DECADES, lines }.draw()
        };
        let errors =
            chart("Error at precision 12", "root mean square error, %", (0.0, 2.5), 0.5, compared_errors);
        let bias =
            chart("Bias at precision 12", "mean error, %", (-1.0, 1.0), 0.25, lines(|point| point.bias));
        let sizes = chart(
            "Error times √bytes, by size of the sketch",
            "error · √bytes",
            (0.0, 1.25),
            0.25,
            own_errors,
        );
        [("error.svg", errors), ("bias.svg", bias), ("sizes.svg", sizes)]
    }
}
