//! What the doors count, and how Prometheus reads it.

use crate::engine::EngineStats;
use crate::store::SeriesStats;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all doors. Every one has a line in [`Counters::text`].
#[derive(Debug, Default)]
pub struct Counters {
    pub http_connections: AtomicU64,
    pub postgres_connections: AtomicU64,
    pub connections_refused: AtomicU64,
    pub connections_evicted: AtomicU64,
    pub unauthorized: AtomicU64,
    pub ingest_taken: AtomicU64,
    pub ingest_repeated: AtomicU64,
    pub ingest_malformed: AtomicU64,
    pub ingest_busy: AtomicU64,
    pub ingest_failed: AtomicU64,
    pub ingest_rows: AtomicU64,
    pub ingest_bytes: AtomicU64,
    pub sink_dns_bytes: AtomicU64,
    pub sink_tsdb_points: AtomicU64,
    pub queries_running: AtomicU64,
    pub queries_done: AtomicU64,
    pub queries_failed: AtomicU64,
    pub queries_dropped: AtomicU64,
    pub queries_busy: AtomicU64,
    pub query_rows: AtomicU64,
}

/// One more while it lives.
#[derive(Debug)]
pub struct Gauge {
    counters: Arc<Counters>,
    of: fn(&Counters) -> &AtomicU64,
}

impl Gauge {
    pub fn enter(counters: &Arc<Counters>, of: fn(&Counters) -> &AtomicU64) -> Gauge {
        of(counters).fetch_add(1, Ordering::Relaxed);
        Gauge { counters: Arc::clone(counters), of }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.of)(&self.counters).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }

    /// Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, series: &[(&str, &AtomicU64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, counter) in series {
                let _ = writeln!(text, "{name}{labels} {}", counter.load(Ordering::Relaxed));
            }
        };
        family(
            "flowdb_connections",
            "gauge",
            "Open connections.",
            &[
                ("{door=\"http\"}", &self.http_connections),
                ("{door=\"postgres\"}", &self.postgres_connections),
            ],
        );
        family(
            "flowdb_connections_closed_total",
            "counter",
            "Connections closed because there were too many.",
            &[
                ("{reason=\"refused\"}", &self.connections_refused),
                ("{reason=\"idle\"}", &self.connections_evicted),
            ],
        );
        family(
            "flowdb_unauthorized_total",
            "counter",
            "Requests with a wrong token.",
            &[("", &self.unauthorized)],
        );
        family(
            "flowdb_ingest_bodies_total",
            "counter",
            "Bodies of flows, by what became of them.",
            &[
                ("{result=\"taken\"}", &self.ingest_taken),
                ("{result=\"repeated\"}", &self.ingest_repeated),
                ("{result=\"malformed\"}", &self.ingest_malformed),
                ("{result=\"busy\"}", &self.ingest_busy),
                ("{result=\"failed\"}", &self.ingest_failed),
            ],
        );
        family("flowdb_ingest_rows_total", "counter", "Rows taken.", &[("", &self.ingest_rows)]);
        family(
            "flowdb_ingest_bytes_total",
            "counter",
            "Bytes of bodies, as they came.",
            &[("", &self.ingest_bytes)],
        );
        family(
            "flowdb_sink_total",
            "counter",
            "What senders send beside flows, which is taken and not kept.",
            &[
                ("{what=\"dns_bytes\"}", &self.sink_dns_bytes),
                ("{what=\"tsdb_points\"}", &self.sink_tsdb_points),
            ],
        );
        family("flowdb_queries_running", "gauge", "Queries under way.", &[("", &self.queries_running)]);
        family(
            "flowdb_queries_total",
            "counter",
            "Queries, by how they ended.",
            &[
                ("{result=\"done\"}", &self.queries_done),
                ("{result=\"failed\"}", &self.queries_failed),
                ("{result=\"dropped\"}", &self.queries_dropped),
                ("{result=\"busy\"}", &self.queries_busy),
            ],
        );
        family("flowdb_query_rows_total", "counter", "Rows of answers.", &[("", &self.query_rows)]);
        text
    }

    /// The same of what the engine holds.
    pub fn engine_text(stats: &EngineStats) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, series: &[(&str, u64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in series {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let EngineStats { store, log_bytes, cache } = stats;
        family("flowdb_log_bytes", "gauge", "Bytes of the log.", &[("", *log_bytes)]);
        family("flowdb_open_rows", "gauge", "Rows whose minute is not sealed.", &[("", store.open_rows)]);
        family("flowdb_open_bytes", "gauge", "Memory of these rows.", &[("", store.open_bytes)]);
        let series = |of: fn(&SeriesStats) -> u64| {
            [("{series=\"full\"}", of(&store.full)), ("{series=\"fast\"}", of(&store.fast))]
        };
        family("flowdb_parts", "gauge", "Parts of sealed slices.", &series(|series| series.parts));
        family("flowdb_rows", "gauge", "Rows of sealed slices.", &series(|series| series.rows));
        family("flowdb_bytes", "gauge", "Bytes of sealed slices.", &series(|series| series.bytes));
        family(
            "flowdb_cache_bytes",
            "gauge",
            "Partial results that are kept.",
            &[("{in=\"memory\"}", cache.memory_bytes), ("{in=\"disk\"}", cache.disk_bytes)],
        );
        family(
            "flowdb_cache_lookups_total",
            "counter",
            "Partial results that were looked for, by where they were.",
            &[
                ("{in=\"memory\"}", cache.hits_in_memory),
                ("{in=\"disk\"}", cache.hits_on_disk),
                ("{in=\"nowhere\"}", cache.misses),
            ],
        );
        text
    }
}
