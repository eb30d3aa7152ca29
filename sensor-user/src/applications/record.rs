//! Records that transactions have of their own.

use kflow::{Application, EndReason, FlowRecord};
use sensor_app::Transaction;

/// The record of a transaction: of the flow it has nothing but what tells it from others.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the record is made in the place of its identity, not copied"
)]
#[inline]
pub fn of_its_own(transaction: Transaction, identity: FlowRecord) -> FlowRecord {
    let Transaction { application, start_ns, end_ns } = transaction;
    FlowRecord {
        start_ns,
        end_ns,
        end_reason: EndReason::Transaction,
        app_protocol: Some(application.protocol()),
        // What must not leave the sensor may have been all.
        application: Some(application).filter(|application| !application.is_empty()),
        ..identity
    }
}

/// A record of nothing but what tells a flow from others.
pub fn identity(of: &FlowRecord) -> FlowRecord {
    FlowRecord {
        source: of.source,
        destination: of.destination,
        protocol: of.protocol,
        icmp: of.icmp,
        sample_rate: of.sample_rate,
        pppoe_session: of.pppoe_session,
        tunnel: of.tunnel,
        ..FlowRecord::default()
    }
}

/// The transaction that the record of a span would have had, if anything had been counted in it.
pub fn transaction_of(application: Application, of: &FlowRecord) -> Transaction {
    Transaction { application, start_ns: of.end_ns, end_ns: of.end_ns }
}
