//! The outputs that a config names, opened.

mod http;
mod ipfix;
#[cfg(feature = "kafka")]
mod kafka;

use crate::{accounts::KafkaWatch, cells::SinkCells, config::Config, export::NamedSink};
use anyhow::{Context, Result};
use kflow::{
    Sink,
    sink::{DirectoryConfig, DirectorySink, JsonSink},
};
use kflow_delivery::sender::Watch;
use kflow_ipfix::IpfixCounters;
use std::{fs::File, io, path::Path, sync::Arc, time::Duration};

/// Sinks, and what tells of those that have accounts of their own.
#[derive(Debug, Default)]
pub struct Sinks {
    pub named: Vec<NamedSink>,
    pub delivery: Option<Watch>,
    /// By the sink's name.
    pub ipfix: Vec<(&'static str, Arc<IpfixCounters>)>,
    pub kafka: Option<KafkaWatch>,
}

/// Opens all outputs. Nothing is sent yet, and receivers may be away.
pub fn open(config: &Config) -> Result<Sinks> {
    let export = &config.export;
    let mut sinks = Sinks::default();
    if let Some(path) = &export.json {
        sinks.add(json(path)?);
    }
    if let Some(kflow) = &export.kflow {
        let sink = DirectorySink::open(DirectoryConfig {
            directory: kflow.directory.clone(),
            file_bytes_max: kflow.rotate_bytes,
            file_age_max: Duration::from_secs(kflow.rotate_s),
            files_kept_max: None,
            bytes_kept_max: (kflow.keep_bytes > 0).then_some(kflow.keep_bytes),
        })
        .with_context(|| format!("open {} for kflow files", kflow.directory.display()))?;
        sinks.add(Box::new(sink));
    }
    if let Some(http) = &export.http {
        let (sink, watch) = http::open(http, config.capture.sample_rate).context("open export.http")?;
        sinks.add(Box::new(sink));
        sinks.delivery = Some(watch);
    }
    for (key, format, collector) in ipfix::collectors(export) {
        let sink = ipfix::open(format, collector).with_context(|| format!("open {key}"))?;
        sinks.ipfix.push((sink.name(), sink.counters()));
        sinks.add(Box::new(sink));
    }
    #[cfg(feature = "kafka")]
    if let Some(config) = &export.kafka {
        let sink = kafka::open(config).context("open export.kafka")?;
        let counters = sink.counters();
        sinks.kafka = Some(KafkaWatch::new(move || kafka::counts(&counters)));
        sinks.add(Box::new(sink));
    }
    Ok(sinks)
}

impl Sinks {
    fn add(&mut self, sink: Box<dyn Sink + Send>) {
        self.named.push(NamedSink { sink, cells: Arc::new(SinkCells::default()) });
    }
}

fn json(path: &Path) -> Result<Box<dyn Sink + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(JsonSink::new(io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    Ok(Box::new(JsonSink::new(file)))
}
