//! The metric families of applications, summed over all inspectors.

use super::{
    Telemetry,
    page::{Labels, Page, label},
};
use crate::cells::{ApplicationCells, Cell, ProtocolCells, duration_histogram};
use kflow::AppProtocol;
use sensor_app::Failure;
use std::fmt;

pub fn applications(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let protocols = Protocols(telemetry);
    page.counters(
        "app_flows",
        "Flows whose application protocol was recognised",
        protocols.sums(|cells| &cells.flows),
    )?;
    let unknown = telemetry.sum_applications(|cells| &cells.flows_unknown);
    page.counters("app_unknown_flows", "Flows whose payload no parser knew", [(vec![], unknown)])?;
    page.counters(
        "app_transactions",
        "Requests with or without an answer, and sessions that stand",
        protocols.sums(|cells| &cells.transactions),
    )?;
    page.counters(
        "app_unanswered_transactions",
        "Of those, requests to which no answer was seen",
        protocols.sums(|cells| &cells.unanswered),
    )?;
    page.counters(
        "app_unexported_transactions",
        "Transactions beyond what a span of a flow exports, which are counted in its record",
        protocols.sums(|cells| &cells.unexported),
    )?;
    let failures = AppProtocol::ALL.into_iter().enumerate().flat_map(|(place, protocol)| {
        Failure::ALL.map(|failure| {
            let labels =
                vec![("protocol", protocol.name().to_owned()), ("reason", failure.name().to_owned())];
            let cell = |cells: &ApplicationCells| cells.protocols[place].failures[failure as usize].read();
            (labels, telemetry.applications.iter().map(|cells| cell(cells)).sum::<u64>())
        })
    });
    page.counters("app_failures", "Messages that could not be parsed, by reason", failures)?;
    page.counters(
        "app_over_budget_flows",
        "Flows that used up their budget of work and were only counted from then on",
        protocols.sums(|cells| &cells.over_budget),
    )?;
    page.counters(
        "app_cut_transactions",
        "Transactions of which a text was cut for want of room",
        protocols.sums(|cells| &cells.texts_cut),
    )?;
    page.counters(
        "app_shed_transactions",
        "Transactions and sessions that found no room to wait in",
        protocols.sums(|cells| &cells.shed_drafts),
    )?;
    let shed = [
        ("parsers", telemetry.sum_applications(|cells| &cells.shed_parsers)),
        ("buffers", telemetry.sum_applications(|cells| &cells.shed_buffers)),
        ("payloads", telemetry.sum_applications(|cells| &cells.shed_payloads)),
        ("annotations", telemetry.sum_applications(|cells| &cells.shed_annotations)),
    ];
    let shed = shed.map(|(what, count)| (label("what", what), count));
    page.counters(
        "app_shed",
        "Parsing that was not done for want of room, by what there was no room for",
        shed,
    )?;
    let latencies = AppProtocol::ALL.into_iter().enumerate().map(|(place, protocol)| {
        let mut sum = duration_histogram();
        for cells in &telemetry.applications {
            sum.add(cells.protocols[place].latency.read()).expect("both have the same bounds");
        }
        (label("protocol", protocol.name()), sum)
    });
    page.latencies("app_latency_seconds", "From the end of a request to the start of its answer", latencies)
}

/// Families with a number for each protocol.
struct Protocols<'a>(&'a Telemetry);

impl Protocols<'_> {
    fn sums(&self, cell: impl Fn(&ProtocolCells) -> &Cell) -> impl Iterator<Item = (Labels, u64)> {
        AppProtocol::ALL.into_iter().enumerate().map(move |(place, protocol)| {
            let inspectors = self.0.applications.iter();
            let sum = inspectors.map(|cells| cell(&cells.protocols[place]).read()).sum();
            (label("protocol", protocol.name()), sum)
        })
    }
}
