//! The metric families of what leaves by network: delivery over HTTP with its spool, collectors of IPFIX and NetFlow, and
//! Kafka.

use super::{
    Telemetry,
    page::{Labels, Page, label},
};
use kflow_delivery::{Standing, sender::Watch};
use kflow_ipfix::IpfixCounters;
use kflow_spool::{Reason, Stats, Tally};
use std::fmt;

pub fn delivery(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let watch = telemetry.delivery.as_ref();
    let counters = watch.map(|watch| &*watch.counters);
    let fates = counters.into_iter().flat_map(|counters| {
        [
            ("delivered", &counters.delivered),
            ("thinned", &counters.thinned),
            ("rejected", &counters.rejected),
            ("unpackable", &counters.unpackable),
            ("abandoned", &counters.abandoned),
        ]
        .map(|(fate, counter)| (label("fate", fate), counter.read()))
    });
    page.counters("delivery_records", "Records whose fate at the receiver is known, by fate", fates)?;
    let offered = counters.map(|counters| (vec![], counters.offered.read()));
    page.counters("delivery_offered_records", "Records handed over for delivery", offered)?;
    let spool = watch.and_then(|watch| watch.spool.as_ref()).map(|spool| spool.read());
    let waiting = counters.into_iter().flat_map(|counters| {
        let in_spool = spool.as_ref().map_or(0, |spool| spool.waiting.records);
        [("window", counters.in_window.read()), ("memory", counters.in_memory.read()), ("spool", in_spool)]
            .map(|(place, records)| (label("place", place), gauge(records)))
    });
    page.gauges("delivery_waiting_records", "Records that wait for the receiver, by place", waiting)?;
    let batches = counters.into_iter().flat_map(|counters| {
        [("delivered", &counters.batches_delivered), ("rejected", &counters.batches_rejected)]
            .map(|(result, counter)| (label("result", result), counter.read()))
    });
    page.counters("delivery_batches", "Batches whose fate is known, by result", batches)?;
    let bytes = counters.map(|counters| (vec![], counters.bytes_delivered.read()));
    page.counters("delivery_body_bytes", "Bytes of bodies that receivers accepted", bytes)?;
    let failed = counters.map(|counters| (vec![], counters.attempts_failed.read()));
    page.counters("delivery_failed_attempts", "Requests that failed and are repeated", failed)?;
    let factor = counters.map(|counters| (vec![], gauge(counters.factor_hundredths.read())));
    page.gauges(
        "delivery_thinning_percent",
        "Each record of the latest window stands for so many hundredths: 100 while nothing is thinned out",
        factor,
    )?;
    page.gauges(
        "delivery_working",
        "0 while requests to the receiver fail, else 1",
        watch.map(|watch| (vec![], i64::from(!matches!(watch.standing(), Standing::Failing { .. })))),
    )?;
    page.gauges(
        "delivery_device_known",
        "1 as soon as it is known as which device records are sent",
        watch.map(|watch| (vec![], i64::from(watch.device().0.is_some()))),
    )?;
    self::spool(page, watch, spool.as_ref())
}

fn spool(page: &mut Page<'_>, watch: Option<&Watch>, spool: Option<&Stats>) -> fmt::Result {
    let records = |tally: Tally| tally.records;
    let fates = spool.into_iter().flat_map(|spool| {
        let dropped = Reason::ALL.map(|reason| (reason.name(), spool.dropped(reason)));
        let fates = [("acknowledged", spool.acknowledged)].into_iter().chain(dropped);
        fates.map(|(fate, tally)| (label("fate", fate), records(tally)))
    });
    page.counters(
        "spool_records",
        "Records that left the spool since it was created: delivered, or dropped by which reason",
        fates,
    )?;
    page.counters(
        "spool_appended_records",
        "Records that became durable in the spool since it was created",
        spool.map(|spool| (vec![], records(spool.appended))),
    )?;
    page.gauges(
        "spool_file_bytes",
        "What the spool takes on the disk",
        spool.map(|spool| (vec![], gauge(spool.file_bytes))),
    )?;
    page.gauges(
        "spool_state_info",
        "Always 1; how the spool gets on with its disk is in the label",
        spool.map(|spool| (label("state", spool.state.name()), 1)),
    )?;
    let troubles = watch.filter(|watch| watch.spool.is_some()).into_iter().flat_map(|watch| {
        [("refusal", &watch.counters.spool_refusals), ("failure", &watch.counters.spool_failures)]
            .map(|(kind, counter)| (label("kind", kind), counter.read()))
    });
    page.counters(
        "spool_troubles",
        "Batches that the spool refused, which wait in memory, and operations of it that failed",
        troubles,
    )
}

pub fn collectors(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    type Read = fn(&IpfixCounters) -> u64;
    let by = |name: &'static str, of: &'static [(&'static str, Read)]| {
        let sinks = telemetry.ipfix.iter();
        sinks.flat_map(move |(sink, counters)| {
            of.iter().map(move |(value, read)| {
                let labels: Labels = vec![("sink", (*sink).to_owned()), (name, (*value).to_owned())];
                (labels, read(counters))
            })
        })
    };
    const RECORDS: &[(&str, Read)] = &[
        ("sent", |counters| counters.records_sent.read()),
        ("failed", |counters| counters.records_failed.read()),
        ("left_out", |counters| counters.records_left_out.read()),
    ];
    page.counters("collector_records", "Records by collector and result", by("result", RECORDS))?;
    const CHANGED: &[(&str, Read)] = &[
        ("text_cut", |counters| counters.records_cut.read()),
        ("start_clamped", |counters| counters.records_clamped.read()),
    ];
    page.counters(
        "collector_changed_records",
        "Records that were sent with less than they had, by what was changed",
        by("change", CHANGED),
    )?;
    const MESSAGES: &[(&str, Read)] = &[
        ("sent", |counters| counters.messages_sent.read()),
        ("failed", |counters| counters.messages_failed.read()),
    ];
    page.counters("collector_messages", "Messages by collector and result", by("result", MESSAGES))?;
    let bytes =
        telemetry.ipfix.iter().map(|(sink, counters)| (label("sink", sink), counters.bytes_sent.read()));
    page.counters("collector_bytes", "Bytes of messages sent, by collector", bytes)?;
    const CONNECTIONS: &[(&str, Read)] = &[
        ("connected", |counters| counters.connects.read()),
        ("refused", |counters| counters.connects_failed.read()),
        ("lost", |counters| counters.disconnects.read()),
    ];
    page.counters("collector_connections", "Connections to collectors, by event", by("event", CONNECTIONS))
}

pub fn kafka(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let counts = telemetry.kafka.as_ref().map(|kafka| kafka.read());
    let by_result = |delivered, failed| {
        [("delivered", delivered), ("failed", failed)].map(|(result, count)| (label("result", result), count))
    };
    let records =
        counts.into_iter().flat_map(|counts| by_result(counts.records_delivered, counts.records_failed));
    page.counters("kafka_records", "Records whose fate at Kafka is known, by result", records)?;
    let refused = counts.map(|counts| (vec![], counts.records_refused));
    page.counters("kafka_refused_records", "Failed records that found the queue to Kafka full", refused)?;
    let messages =
        counts.into_iter().flat_map(|counts| by_result(counts.messages_delivered, counts.messages_failed));
    page.counters("kafka_messages", "Messages whose fate at Kafka is known, by result", messages)?;
    let bytes = counts.map(|counts| (vec![], counts.bytes_delivered));
    page.counters("kafka_bytes", "Bytes of messages that Kafka has, before compression", bytes)
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
