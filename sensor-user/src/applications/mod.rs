//! What applications said, as the datapath sees it: payloads go in, records come out with more in them.
//!
//! Inline, the worker's own inspector looks at a payload right after its packet was counted. On parser threads
//! ([`threads`]) copies of payloads travel to the inspectors there, and so do records of flows whose payload was
//! inspected, behind them; both ways give the same records as long as nothing is shed.

mod record;
mod threads;

pub use threads::{ThreadParts, Threads};

use crate::{
    cells::{ApplicationCells, duration_histogram},
    clock::Moment,
    export::Outbox,
    flow::{Emit, Ending, FlowTable, Inspection, SlotId, tcp::flag},
    packet::{Packet, protocol},
};
use hdrhistogram::Histogram;
use kflow::{AppProtocol, FlowRecord};
use sensor_app::{Inspector, Interest, Limits, Payload, Privacy, Sender, Transport};
use std::sync::Arc;

/// Who looks at payloads.
#[derive(Debug)]
pub enum Applications {
    /// Nobody.
    Off,
    /// The worker.
    Inline(Box<Inspecting>),
    Threads(Threads),
}

/// What an inspector is made of.
#[derive(Clone, Debug)]
pub struct ApplicationParts {
    pub limits: Limits,
    pub privacy: Privacy,
    pub cells: Arc<ApplicationCells>,
}

/// An inspector, and the records and counts that come of it.
#[derive(Debug)]
pub struct Inspecting {
    inspector: Inspector,
    latencies: Latencies,
    cells: Arc<ApplicationCells>,
}

/// A packet that was counted, and what it carries.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    pub slot: SlotId,
    pub packet: &'a Packet,
    /// As far as it was captured; not empty.
    pub payload: &'a [u8],
    pub time: Moment,
}

/// Takes the records of spans that ended, has them annotated and hands them on.
#[derive(Debug)]
pub struct Annotating<'a> {
    pub applications: &'a mut Applications,
    pub outbox: &'a mut Outbox,
    pub now: Moment,
}

/// Histograms that wait to be published, by protocol.
#[derive(Debug)]
struct Latencies(Vec<Histogram<u64>>);

impl Applications {
    pub fn inline(parts: ApplicationParts) -> Applications {
        Applications::Inline(Box::new(Inspecting::new(parts)))
    }

    /// Has the memory there now, on the CPU that calls. Parser threads do so by themselves.
    pub fn touch(&mut self) {
        if let Applications::Inline(inspecting) = self {
            inspecting.inspector.touch();
        }
    }

    /// Looks at what a packet carries, if its flow's application is still of interest.
    #[inline(always)]
    pub fn inspect(&mut self, table: &mut FlowTable, carried: &Carried<'_>, outbox: &mut Outbox) {
        match table.inspection(carried.slot) {
            Inspection::Done | Inspection::Never => {}
            inspection @ (Inspection::Fresh | Inspection::Wanted) => {
                self.inspect_wanted(table, carried, inspection, outbox);
            }
        }
    }

    #[inline(never)]
    fn inspect_wanted(
        &mut self,
        table: &mut FlowTable,
        carried: &Carried<'_>,
        inspection: Inspection,
        outbox: &mut Outbox,
    ) {
        match self {
            Applications::Off => table.set_inspection(carried.slot, Inspection::Never),
            Applications::Inline(inspecting) => {
                let payload = payload(table, carried, inspection == Inspection::Fresh);
                let identity = || table.identity(carried.slot);
                let interest = inspecting.inspect(&payload, identity, outbox, carried.time);
                let inspection = match interest {
                    Interest::Wanted => Inspection::Wanted,
                    Interest::Done => Inspection::Done,
                };
                table.set_inspection(carried.slot, inspection);
            }
            Applications::Threads(threads) => threads.inspect(table, carried, inspection),
        }
    }

    /// After a burst: whoever waits for work is told.
    #[inline(always)]
    pub fn rouse(&mut self) {
        if let Applications::Threads(threads) = self {
            threads.rouse();
        }
    }

    /// Makes counts visible.
    pub fn publish(&mut self) {
        if let Applications::Inline(inspecting) = self {
            inspecting.publish();
        }
    }

    /// From now on nothing is shed.
    pub fn wait_when_full(&mut self) {
        if let Applications::Threads(threads) = self {
            threads.wait_when_full();
        }
    }

    /// All flows have ended: has everything worked off that is under way.
    pub fn finish(&mut self) {
        if let Applications::Threads(threads) = self {
            threads.finish();
        }
    }
}

impl Emit for Annotating<'_> {
    fn emit(&mut self, record: FlowRecord, ending: Ending) {
        let Annotating { applications, outbox, now } = self;
        let record = match applications {
            Applications::Inline(inspecting) => return inspecting.export(record, ending, outbox, *now),
            Applications::Threads(threads) if ending.is_inspected() => {
                match threads.annotate(record, ending, *now) {
                    Ok(()) => return,
                    // Without what its parser thread knows.
                    Err(record) => *record,
                }
            }
            Applications::Threads(_) | Applications::Off => record,
        };
        if !ending.is_empty {
            outbox.push(record, *now);
        }
    }
}

impl Inspecting {
    fn new(parts: ApplicationParts) -> Inspecting {
        let ApplicationParts { limits, privacy, cells } = parts;
        Inspecting { inspector: Inspector::new(limits, privacy), latencies: Latencies::new(), cells }
    }

    fn inspect(
        &mut self,
        payload: &Payload<'_>,
        identity: impl Fn() -> FlowRecord,
        outbox: &mut Outbox,
        now: Moment,
    ) -> Interest {
        let cells = &self.cells;
        let interest = self.inspector.inspect(payload, &mut |transaction| {
            cells.transaction_records.add(1);
            outbox.push(record::of_its_own(transaction, identity()), now);
        });
        self.latencies.take(&mut self.inspector);
        interest
    }

    /// Sends a record on its way, with what is known of its flow.
    fn export(&mut self, mut record: FlowRecord, ending: Ending, outbox: &mut Outbox, now: Moment) {
        if ending.is_inspected() {
            self.annotate(&mut record, ending, outbox, now);
        }
        if !ending.is_empty {
            outbox.push(record, now);
        }
    }

    fn annotate(&mut self, record: &mut FlowRecord, ending: Ending, outbox: &mut Outbox, now: Moment) {
        let cells = &self.cells;
        let mut push = |transaction| {
            cells.transaction_records.add(1);
            outbox.push(record::of_its_own(transaction, record::identity(record)), now);
        };
        let annotation = self.inspector.annotate(ending.slot.0, ending.is_over, record, &mut push);
        self.latencies.take(&mut self.inspector);
        match annotation.application {
            // There is no record that the transaction could be in.
            Some(application) if ending.is_empty && annotation.transactions > 0 => {
                push(record::transaction_of(application, record));
            }
            // What must not leave the sensor may have been all.
            application => record.application = application.filter(|application| !application.is_empty()),
        }
        record.app_protocol = annotation.app_protocol;
        record.transactions = annotation.transactions;
    }

    fn publish(&mut self) {
        self.cells.publish(self.inspector.counts());
        self.latencies.publish(&self.cells);
    }
}

impl Latencies {
    fn new() -> Latencies {
        Latencies(AppProtocol::ALL.iter().map(|_| duration_histogram()).collect())
    }

    #[inline]
    fn take(&mut self, inspector: &mut Inspector) {
        if inspector.counts().has_latencies() {
            self.take_all(inspector);
        }
    }

    #[inline(never)]
    fn take_all(&mut self, inspector: &mut Inspector) {
        for (protocol, latency_us) in inspector.counts().drain_latencies() {
            let place = AppProtocol::ALL.iter().position(|other| *other == protocol);
            if let Some(histogram) = place.and_then(|place| self.0.get_mut(place)) {
                histogram.saturating_record(u64::from(latency_us) * 1000);
            }
        }
    }

    fn publish(&mut self, cells: &ApplicationCells) {
        for (histogram, cells) in self.0.iter_mut().zip(&cells.protocols) {
            if !histogram.is_empty() {
                cells.latency.publish(histogram);
            }
        }
    }
}

/// A packet's payload as an inspector wants it.
#[inline]
fn payload<'a>(table: &FlowTable, carried: &Carried<'a>, is_fresh: bool) -> Payload<'a> {
    let Carried { slot, packet, payload, time } = *carried;
    let (sender, direction) =
        if packet.sender == table.source(slot) { (Sender::Source, 0) } else { (Sender::Destination, 1) };
    let [sender_port, receiver_port] =
        [packet.sender, packet.sender.other()].map(|side| packet.key.port(side));
    let is_tcp = packet.key.protocol() == protocol::TCP;
    // The SYN takes the first sequence number (TCP Fast Open carries data behind it).
    let is_syn = packet.tcp_flags & flag::SYN != 0;
    Payload {
        slot: slot.0,
        is_fresh,
        transport: if is_tcp { Transport::Tcp } else { Transport::Udp },
        sender,
        sender_port,
        receiver_port,
        bytes: payload,
        wire_bytes: packet.payload_wire_bytes,
        sequence: packet.tcp.sequence.wrapping_add(u32::from(is_syn)),
        acknowledged: (packet.tcp_flags & flag::ACK != 0).then_some(packet.tcp.acknowledgement),
        start: if is_tcp { table.stream_start(slot, direction) } else { None },
        time_ns: time.0,
    }
}
