//! The page of metrics while it is written: one call a family.

use super::Telemetry;
use crate::cells::{Cell, WorkerCells};
use hdrhistogram::Histogram;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::fmt;

/// Upper bounds of the latency histograms, seconds.
const LATENCY_BOUNDS_S: [f64; 15] =
    [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 5.0];

pub type Labels = Vec<(&'static str, String)>;

pub struct Page<'a>(pub DescriptorEncoder<'a>);

impl Page<'_> {
    pub fn counters<N>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, N)>,
    ) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, i64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub fn worker_counters(
        &mut self,
        telemetry: &Telemetry,
        name: &str,
        help: &str,
        cell: impl Fn(&WorkerCells) -> &Cell,
    ) -> fmt::Result {
        let workers = telemetry.workers.iter().enumerate();
        self.counters(
            name,
            help,
            workers.map(|(worker, cells)| (label("worker", worker), cell(cells).read())),
        )
    }

    pub fn worker_gauges(
        &mut self,
        telemetry: &Telemetry,
        name: &str,
        help: &str,
        cell: impl Fn(&WorkerCells) -> &Cell,
    ) -> fmt::Result {
        let workers = telemetry.workers.iter().enumerate();
        let value = |cells: &WorkerCells| i64::try_from(cell(cells).read()).unwrap_or(i64::MAX);
        self.gauges(name, help, workers.map(|(worker, cells)| (label("worker", worker), value(cells))))
    }

    pub fn latencies(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, Histogram<u64>)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in series {
            let (sum, buckets) = buckets(&histogram);
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                sum,
                histogram.len(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

pub fn label(name: &'static str, value: impl fmt::Display) -> Labels {
    vec![(name, value.to_string())]
}

/// Sum in seconds, and counts between the bounds; the last bucket has no bound.
fn buckets(histogram: &Histogram<u64>) -> (f64, Vec<(f64, u64)>) {
    let mut counts = vec![0; LATENCY_BOUNDS_S.len() + 1];
    let mut sum = 0.0;
    for step in histogram.iter_recorded() {
        let seconds = step.value_iterated_to() as f64 / 1e9;
        sum += seconds * step.count_since_last_iteration() as f64;
        counts[LATENCY_BOUNDS_S.partition_point(|bound| *bound < seconds)] +=
            step.count_since_last_iteration();
    }
    let bounds = LATENCY_BOUNDS_S.into_iter().chain([f64::INFINITY]);
    (sum, bounds.zip(counts).collect())
}
