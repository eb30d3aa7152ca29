//! The flow table: fixed capacity, one owner, no allocation after construction.
//!
//! Life of a flow:
//!
//! 1. **Embryonic**: one direction only and fewer than [`EMBRYONIC_PACKETS`] packets. Spoofed floods and scans
//!    never leave this state, so these are evicted first and, under pressure, time out early.
//! 2. **Grown**: answered, or at least persistent.
//! 3. **Closing**: RST, or FIN from both sides. It lingers for trailing ACKs, then ends as `EndOfFlow`; so it
//!    does when a SYN without ACK reuses its ports.
//!
//! It ends by idle timeout, close, eviction or [`FlowTable::flush`]; the active timeout exports a record and
//! lets it live on with fresh counters, unless it is closing. Of several timeouts that have passed the earliest
//! counts: an active timeout before the idle one exports the record, and the flow then ends without another.
//! Timeouts are decided by the packet that comes too late as much as by the wheel. So while time stamps do not
//! run backwards and there is room, the records depend on time stamps alone, never on how often the wheel was
//! turned. Under pressure and at the limit they depend on what else the table holds.
//!
//! At the limit: the oldest embryonic flow is evicted; if there is none, the idlest of the flows that the wheel
//! would look at next.

use super::{
    entry::{self, Cold, Hot, HotCounters, Inspection, Parts, State, mark},
    index::{Index, Probe},
    list::{LinkStore, Links, List},
    response::Echo,
    tcp::{
        Connection, Events, Segment,
        flag::{ACK, FIN, RST, SYN},
    },
    wheel::Wheel,
};
use crate::{
    clock::Moment,
    huge,
    packet::{self, Fragment, Packet, Side, protocol},
    source::Frame,
};
use kflow::{EndReason, FlowRecord};
use std::time::Duration;

/// A flow with one direction only and fewer packets than this is embryonic.
pub const EMBRYONIC_PACKETS: u64 = 4;
/// The two bits of explicit congestion notification, and "congestion experienced" (RFC 3168 §5).
const ECN_MASK: u8 = 0b11;
const ECN_CE: u8 = 0b11;
/// Flows examined for the idlest at an eviction.
const EVICTION_CANDIDATES: usize = 8;

/// Bytes of one flow without its words of the index.
const FLOW_BYTES: usize = size_of::<Hot>()
    + size_of::<Connection>()
    + size_of::<Events>()
    + size_of::<Cold>()
    + size_of::<Links>()
    + size_of::<SlotId>();

/// Position of a flow in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// Flows held at once, at most 2³¹.
    pub capacity: usize,
    pub idle_timeout: Duration,
    pub active_timeout: Duration,
    /// How long a closed TCP flow waits for stragglers.
    pub close_linger: Duration,
    /// Idle timeout of embryonic flows while the table is under pressure.
    pub embryonic_timeout: Duration,
    /// Occupancy from which the table is under pressure, in flows.
    pub pressure: usize,
    /// Written into each record.
    pub sample_rate: u32,
}

/// One packet as the table wants it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    pub packet: &'a Packet,
    pub hash: u64,
    /// What the packet was decoded from.
    pub frame: &'a Frame<'a>,
    /// What to count: one packet with these frame bytes, but for fragments that were held back.
    pub amount: Amount,
    pub time: Moment,
}

/// Packets of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    pub packets: u64,
    pub bytes: u64,
    pub frame_bytes: u64,
    /// Of the packets, those marked "congestion experienced".
    pub ecn_ce_packets: u32,
    /// When the first of them came.
    pub first: Moment,
}

impl Amount {
    /// One packet and the frame it came in.
    #[inline(always)]
    pub fn one(packet: &Packet, frame: &Frame<'_>) -> Amount {
        Amount {
            packets: 1,
            bytes: u64::from(packet.network_bytes),
            frame_bytes: u64::from(frame.wire_bytes),
            ecn_ce_packets: u32::from(packet.tos & ECN_MASK == ECN_CE),
            first: frame.time,
        }
    }
}

/// Who takes the records of spans that ended.
pub trait Emit {
    fn emit(&mut self, record: FlowRecord, ending: Ending);
}

/// What the record does not say of a span that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub slot: SlotId,
    pub inspection: Inspection,
    /// The flow is over with the span.
    pub is_over: bool,
    /// Nothing was counted in it: there is no record to export, only the end of a flow whose payload was inspected.
    pub is_empty: bool,
}

impl Ending {
    /// Payload of the flow was inspected.
    pub fn is_inspected(&self) -> bool {
        matches!(self.inspection, Inspection::Wanted | Inspection::Done)
    }
}

impl<F: FnMut(FlowRecord)> Emit for F {
    fn emit(&mut self, record: FlowRecord, ending: Ending) {
        if !ending.is_empty {
            self(record);
        }
    }
}

/// Why flows ended and what the table refused, since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    pub flows_created: u64,
    /// With or without a record: `flows_created` is always this plus those in the table.
    pub flows_ended: u64,
    /// Indexed by `EndReason as usize - 1`.
    pub records: [u64; 5],
    pub evicted_embryonic: u64,
    pub evicted_idlest: u64,
    /// Evicted because the neighbourhood of a hash was full although the table was not.
    pub evicted_crowded: u64,
}

#[derive(Debug)]
pub struct FlowTable {
    config: TableConfig,
    idle_ns: u64,
    active_ns: u64,
    linger_ns: u64,
    embryonic_ns: u64,
    index: Index,
    hot: HotSlab,
    cold: ColdSlab,
    connections: Vec<Connection>,
    events: Vec<Events>,
    wheel_links: WheelSlab,
    free: Vec<SlotId>,
    wheel: Wheel,
    embryonic: List,
    /// The latest moment seen: time stamps that run backwards do not turn the wheel back.
    now: Moment,
    counts: TableCounts,
}

#[derive(Debug)]
struct HotSlab(Vec<Hot>);
#[derive(Debug)]
struct ColdSlab(Vec<Cold>);
/// Neighbours on the timer wheel, which only expiry touches.
#[derive(Debug)]
struct WheelSlab(Vec<Links>);

impl LinkStore for WheelSlab {
    #[inline(always)]
    fn links_mut(&mut self, slot: SlotId) -> &mut Links {
        &mut self.0[slot.0 as usize]
    }
}

impl LinkStore for ColdSlab {
    #[inline(always)]
    fn links_mut(&mut self, slot: SlotId) -> &mut Links {
        &mut self.0[slot.0 as usize].embryonic
    }
}

impl FlowTable {
    pub fn new(config: TableConfig) -> FlowTable {
        assert!((1..1 << 31).contains(&config.capacity), "capacity was checked by the config");
        FlowTable {
            config,
            idle_ns: nanoseconds(config.idle_timeout),
            active_ns: nanoseconds(config.active_timeout),
            linger_ns: nanoseconds(config.close_linger),
            embryonic_ns: nanoseconds(config.embryonic_timeout),
            index: Index::new(config.capacity),
            hot: HotSlab(huge::reserved(config.capacity)),
            cold: ColdSlab(huge::reserved(config.capacity)),
            connections: huge::reserved(config.capacity),
            events: huge::reserved(config.capacity),
            wheel_links: WheelSlab(huge::reserved(config.capacity)),
            free: Vec::with_capacity(config.capacity),
            wheel: Wheel::new(),
            embryonic: List::EMPTY,
            now: Moment(0),
            counts: TableCounts::default(),
        }
    }

    /// Has all memory there now, so that no page fault comes later. For a table that is empty.
    pub fn touch(&mut self) {
        assert!(self.is_empty(), "touching would wipe the index");
        self.index.clear();
        huge::touch(&mut self.hot.0, Hot::FREE);
        huge::touch(&mut self.cold.0, Cold::FREE);
        huge::touch(&mut self.connections, Connection::NEW);
        huge::touch(&mut self.events, Events::NEW);
        huge::touch(&mut self.wheel_links.0, Links::UNLINKED);
        huge::touch(&mut self.free, SlotId(0));
    }

    /// Bytes that a table of this capacity occupies.
    pub fn predicted_bytes(capacity: usize) -> usize {
        capacity * FLOW_BYTES + Index::words_len(capacity) * size_of::<u64>() + Wheel::BYTES
    }

    pub fn len(&self) -> usize {
        self.hot.0.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn capacity(&self) -> usize {
        self.config.capacity
    }

    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// First of two steps that hide memory latency over a burst: ask for the index word of each hash …
    #[inline(always)]
    pub fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(Index::tag(hash));
    }

    /// … then for the flow that the word most likely names.
    #[inline(always)]
    pub fn prefetch_flow(&self, hash: u64) {
        if let Some(slot) = self.index.first_candidate(Index::tag(hash)) {
            let hot = &self.hot.0[slot.0 as usize];
            crate::prefetch::prefetch(hot);
            crate::prefetch::prefetch(&hot.start);
            let connection = &self.connections[slot.0 as usize];
            crate::prefetch::prefetch(connection);
            crate::prefetch::prefetch(&connection.message_time);
            crate::prefetch::prefetch(&connection.round_trips);
            // Answers are timed there.
            crate::prefetch::prefetch(&self.cold.0[slot.0 as usize]);
        }
    }

    /// Adds a packet to its flow, which is created if need be. Records of whatever ends by this go to `emit`. Returns
    /// where the flow is.
    #[inline]
    pub fn observe(&mut self, observation: &Observation<'_>, emit: &mut impl Emit) -> SlotId {
        self.now = self.now.max(observation.time);
        let tag = Index::tag(observation.hash);
        let key = &observation.packet.key;
        let hot = &self.hot.0;
        match self.index.probe(tag, |slot| hot[slot.0 as usize].key == *key) {
            Probe::Found(slot) => {
                self.update(slot, observation, emit);
                slot
            }
            Probe::Vacant(position) => self.create(position, tag, observation, emit),
            Probe::Crowded => self.create_in_crowd(tag, observation, emit),
        }
    }

    /// How far the application of a flow is known.
    #[inline(always)]
    pub fn inspection(&self, slot: SlotId) -> Inspection {
        self.hot.0[slot.0 as usize].inspection
    }

    pub fn set_inspection(&mut self, slot: SlotId, inspection: Inspection) {
        self.hot.0[slot.0 as usize].inspection = inspection;
    }

    /// Which end of a flow is its source.
    pub fn source(&self, slot: SlotId) -> Side {
        self.hot.0[slot.0 as usize].source
    }

    /// Sequence number of the first byte that a side of a connection sent, if its SYN was seen.
    pub fn stream_start(&self, slot: SlotId, direction: usize) -> Option<u32> {
        let index = slot.0 as usize;
        self.connections[index].stream_start(direction, &self.events[index])
    }

    /// A record of nothing but what tells the flow from others.
    pub fn identity(&self, slot: SlotId) -> FlowRecord {
        let index = slot.0 as usize;
        entry::identity(&self.hot.0[index], &self.cold.0[index], self.config.sample_rate)
    }

    /// Ends flows whose time has come, looking at no more than `flows_max`.
    pub fn expire(&mut self, now: Moment, flows_max: usize, emit: &mut impl Emit) {
        self.now = self.now.max(now);
        for _ in 0..flows_max {
            if let Some(slot) = self.embryonic_too_old() {
                self.end(slot, EndReason::IdleTimeout, emit);
                continue;
            }
            let Some(slot) = self.wheel.due(self.now) else { return };
            self.prefetch_expiry(slot);
            match self.overdue(slot, self.now) {
                Some(EndReason::ActiveTimeout) => {
                    self.export(slot, EndReason::ActiveTimeout, emit);
                    self.restart_counters(slot, self.now);
                    self.rehang(slot);
                }
                Some(reason) => self.end(slot, reason, emit),
                None => self.rehang(slot),
            }
        }
    }

    /// Asks for what ending a flow will touch, and for the flow behind it on the wheel.
    #[inline(always)]
    fn prefetch_expiry(&self, slot: SlotId) {
        self.index.prefetch(self.hot.0[slot.0 as usize].tag);
        let next_slot = self.wheel_links.0[slot.0 as usize].next as usize;
        if let Some(next) = self.hot.0.get(next_slot) {
            crate::prefetch::prefetch(next);
            crate::prefetch::prefetch(&next.start);
            crate::prefetch::prefetch(&self.cold.0[next_slot]);
        }
    }

    /// Ends every flow: the sensor stops or the file is over. Those past their timeouts end by them. Records come in
    /// the order of the slab, and nothing is unlinked one by one: the table is empty afterwards as a whole.
    pub fn flush(&mut self, emit: &mut impl Emit) {
        self.counts.flows_ended += self.len() as u64;
        for slot in (0..self.hot.0.len() as u32).map(SlotId) {
            let at_rest = match self.hot.0[slot.0 as usize].state {
                State::Free => continue,
                State::Closing => EndReason::EndOfFlow,
                State::Embryonic | State::Grown => EndReason::ForcedEnd,
            };
            let reason = self.overdue(slot, self.now).unwrap_or(at_rest);
            self.export(slot, reason, emit);
        }
        self.hot.0.clear();
        self.cold.0.clear();
        self.connections.clear();
        self.events.clear();
        self.wheel_links.0.clear();
        self.free.clear();
        self.index.clear();
        self.wheel.clear();
        self.embryonic = List::EMPTY;
    }

    #[inline(always)]
    fn update(&mut self, slot: SlotId, observation: &Observation<'_>, emit: &mut impl Emit) {
        let now = observation.time;
        if self.may_be_over(slot, now) {
            self.renew(slot, observation, emit);
        }
        let hot = &mut self.hot.0[slot.0 as usize];
        let before = hot.last;
        hot.last = before.max(now);
        let first = observation.amount.first;
        hot.start = if hot.is_span_empty() { first } else { hot.start.min(first) };
        self.add(slot, observation, before);
        let hot = &mut self.hot.0[slot.0 as usize];
        if hot.state == State::Embryonic && hot.has_outgrown_embryo() {
            hot.state = State::Grown;
            self.embryonic.unlink(&mut self.cold, slot);
        }
    }

    /// Counts a packet to its flow. `before` is when the flow was last seen.
    #[inline(always)]
    fn add(&mut self, slot: SlotId, observation: &Observation<'_>, before: Moment) {
        let packet = observation.packet;
        let index = slot.0 as usize;
        let hot = &mut self.hot.0[index];
        let direction = usize::from(packet.sender != hot.source);
        let counters = &mut hot.counters[direction];
        let is_first_of_span = counters.packets == 0;
        counters.packets += observation.amount.packets;
        counters.bytes += observation.amount.bytes;
        counters.frame_bytes += observation.amount.frame_bytes;
        hot.tcp_flags[direction] |= packet.tcp_flags;
        hot.tos[direction] |= packet.tos;
        let is_odd = packet.ttl != hot.ttl[direction] || observation.amount.ecn_ce_packets > 0;
        if is_first_of_span || is_odd || packet.fragment != Fragment::Whole {
            self.note_rare(slot, direction, is_first_of_span, observation);
        }
        if packet.tcp.header_bytes > 0 {
            self.add_segment(slot, direction, observation);
        } else if packet.key.protocol() != protocol::TCP {
            self.add_message(slot, direction, observation, before);
        }
        if packet.tcp_flags & (FIN | RST) != 0 {
            self.note_close(slot, direction, packet.tcp_flags);
        }
    }

    #[inline(always)]
    fn add_segment(&mut self, slot: SlotId, direction: usize, observation: &Observation<'_>) {
        let Observation { packet, frame, time, .. } = *observation;
        let index = slot.0 as usize;
        let connection = &mut self.connections[index];
        let segment = Segment {
            sequence: packet.tcp.sequence,
            acknowledgement: packet.tcp.acknowledgement,
            window: packet.tcp.window,
            flags: packet.tcp_flags,
            payload_bytes: packet.payload_wire_bytes,
            options: packet::tcp_options(frame, packet),
            time,
        };
        if connection.observe(direction, &segment, &mut self.events[index]) {
            let asked = std::mem::replace(&mut connection.message_time, time);
            self.note_message(slot, direction, asked, time);
        }
    }

    /// A packet of a protocol in which every packet asks or answers.
    #[inline(always)]
    fn add_message(&mut self, slot: SlotId, direction: usize, observation: &Observation<'_>, before: Moment) {
        if observation.packet.key.protocol() == protocol::UDP {
            return self.note_message(slot, direction, before, observation.time);
        }
        if let Some(echo) = Echo::of(observation.packet, observation.frame) {
            self.cold.0[slot.0 as usize].responses.note_echo(echo, observation.time);
        }
    }

    /// Something that asks or answers; `asked` is when the latest before it was sent.
    #[inline(always)]
    fn note_message(&mut self, slot: SlotId, direction: usize, asked: Moment, now: Moment) {
        let hot = &mut self.hot.0[slot.0 as usize];
        let is_first = hot.marks & (mark::MESSAGE << direction) == 0;
        let is_turn = (hot.marks & mark::ANSWERED != 0) != (direction == 1);
        if !is_first && !is_turn {
            return;
        }
        let source_asked = hot.marks & mark::MESSAGE != 0;
        let was_answered = hot.marks & (mark::MESSAGE << 1) != 0;
        hot.marks |= mark::MESSAGE << direction;
        let responses = &mut self.cold.0[slot.0 as usize].responses;
        if direction == 0 {
            hot.marks &= !mark::ANSWERED;
            if !source_asked && !was_answered {
                responses.ask_first(now);
            }
            return;
        }
        hot.marks |= mark::ANSWERED;
        if source_asked && asked != Moment(0) {
            responses.answer(asked, now);
        }
    }

    /// Whether [`FlowTable::overdue`] or a reused port is worth a look: never wrong when it says no.
    #[inline(always)]
    fn may_be_over(&self, slot: SlotId, now: Moment) -> bool {
        let hot = &self.hot.0[slot.0 as usize];
        now.since(hot.last) >= self.idle_ns
            || now.since(hot.start) >= self.active_ns
            || hot.state == State::Closing
    }

    /// Why a flow is over at `now`, if it is: by the earliest of its timeouts.
    fn overdue(&self, slot: SlotId, now: Moment) -> Option<EndReason> {
        let (end, reason) = self.next_end(slot);
        (now >= end).then_some(reason)
    }

    /// When the flow is over if no packet comes, and why. The active timeout of a span without packets exports
    /// nothing and moves the start of the span.
    fn next_end(&self, slot: SlotId) -> (Moment, EndReason) {
        let hot = &self.hot.0[slot.0 as usize];
        let active = hot.start.0.saturating_add(self.active_ns);
        if hot.state == State::Closing {
            let idle = hot.last.0.saturating_add(self.linger_ns.min(self.idle_ns));
            return (Moment(idle.min(active)), EndReason::EndOfFlow);
        }
        let idle = hot.last.0.saturating_add(self.idle_ns);
        if active < idle {
            return (Moment(active), EndReason::ActiveTimeout);
        }
        (Moment(idle), EndReason::IdleTimeout)
    }

    /// The oldest embryonic flow, if the table is under pressure and the flow idle for too long then.
    fn embryonic_too_old(&self) -> Option<SlotId> {
        if self.len() < self.config.pressure {
            return None;
        }
        let oldest = self.embryonic.first()?;
        let idle_ns = self.now.since(self.hot.0[oldest.0 as usize].last);
        (idle_ns >= self.embryonic_ns).then_some(oldest)
    }

    /// Exports what is over of a flow whose next packet is at hand, and starts it anew in place.
    #[cold]
    #[inline(never)]
    fn renew(&mut self, slot: SlotId, observation: &Observation<'_>, emit: &mut impl Emit) {
        let mut reason = self.overdue_at_packet(slot, observation);
        if reason == Some(EndReason::ActiveTimeout) {
            self.export(slot, EndReason::ActiveTimeout, emit);
            self.restart_counters(slot, observation.time);
            // The new span starts now, but the flow may have been idle for too long besides.
            reason = self.overdue_at_packet(slot, observation);
        }
        let Some(reason @ (EndReason::IdleTimeout | EndReason::EndOfFlow)) = reason else { return };
        self.export(slot, reason, emit);
        self.counts.flows_ended += 1;
        let tag = self.hot.0[slot.0 as usize].tag;
        self.unhang(slot);
        self.start(slot, tag, observation);
        self.hang(slot);
    }

    /// As [`FlowTable::overdue`] for the flow's own next packet, which also tells a reused port.
    fn overdue_at_packet(&self, slot: SlotId, observation: &Observation<'_>) -> Option<EndReason> {
        let index = slot.0 as usize;
        let hot = &self.hot.0[index];
        let packet = observation.packet;
        // The same SYN again tries the same connection: refused ones are.
        if hot.state == State::Closing && packet.tcp_flags & (SYN | ACK) == SYN && packet.tcp.header_bytes > 0
        {
            let direction = usize::from(packet.sender != hot.source);
            let (connection, events) = (&self.connections[index], &self.events[index]);
            if connection.is_another(direction, packet.tcp.sequence, events) {
                return Some(EndReason::EndOfFlow);
            }
        }
        self.overdue(slot, observation.time)
    }

    #[inline(never)]
    fn create(
        &mut self,
        position: usize,
        tag: u32,
        observation: &Observation<'_>,
        emit: &mut impl Emit,
    ) -> SlotId {
        let Some(slot) = self.free_slot() else {
            self.evict(emit);
            // Removing the evicted flow may have moved the words of the index.
            return self.observe(observation, emit);
        };
        self.index.insert(position, tag, slot);
        self.start(slot, tag, observation);
        self.hang(slot);
        self.add(slot, observation, observation.time);
        slot
    }

    /// A slot that was freed, else one that was never used; `None` at the capacity.
    fn free_slot(&mut self) -> Option<SlotId> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let unused = self.hot.0.len();
        if unused == self.config.capacity {
            return None;
        }
        self.hot.0.push(Hot::FREE);
        self.cold.0.push(Cold::FREE);
        self.connections.push(Connection::NEW);
        self.events.push(Events::NEW);
        self.wheel_links.0.push(Links::UNLINKED);
        Some(SlotId(unused as u32))
    }

    #[cold]
    fn create_in_crowd(&mut self, tag: u32, observation: &Observation<'_>, emit: &mut impl Emit) -> SlotId {
        let idlest = self
            .index
            .neighbours(tag)
            .min_by_key(|slot| {
                let hot = &self.hot.0[slot.0 as usize];
                (hot.state != State::Embryonic, hot.last)
            })
            .expect("a crowded neighbourhood has flows");
        self.counts.evicted_crowded += 1;
        self.end(idlest, EndReason::LackOfResources, emit);
        // A word from behind the neighbourhood may have moved into the vacancy: then another flow has to go.
        self.observe(observation, emit)
    }

    fn start(&mut self, slot: SlotId, tag: u32, observation: &Observation<'_>) {
        self.counts.flows_created += 1;
        let index = slot.0 as usize;
        self.hot.0[index] = Hot::begin(tag, observation);
        self.cold.0[index] = Cold::begin(observation);
        if observation.packet.key.protocol() == protocol::TCP {
            self.connections[index] = Connection::NEW;
            self.events[index] = Events::NEW;
        }
    }

    /// Counters of a new span; what the flow learned of itself stays.
    fn restart_counters(&mut self, slot: SlotId, start: Moment) {
        let index = slot.0 as usize;
        let hot = &mut self.hot.0[index];
        hot.start = start;
        hot.counters = [HotCounters::default(); 2];
        hot.tcp_flags = [0; 2];
        hot.tos = [0; 2];
        let is_tcp = hot.key.protocol() == protocol::TCP;
        let cold = &mut self.cold.0[index];
        cold.fragments = [0; 2];
        cold.ecn_ce_packets = [0; 2];
        cold.responses.restart_span();
        if is_tcp {
            self.connections[index].restart_span();
            self.events[index].restart_span(start);
        }
    }

    fn note_rare(
        &mut self,
        slot: SlotId,
        direction: usize,
        is_first_of_span: bool,
        observation: &Observation<'_>,
    ) {
        let Observation { packet, frame, amount, .. } = *observation;
        let hot = &mut self.hot.0[slot.0 as usize];
        let cold = &mut self.cold.0[slot.0 as usize];
        hot.ttl[direction] = packet.ttl;
        cold.ttl[direction].extend(packet.ttl, is_first_of_span);
        let packets = u32::try_from(amount.packets).unwrap_or(u32::MAX);
        if packet.fragment != Fragment::Whole {
            cold.fragments[direction] = cold.fragments[direction].saturating_add(packets);
        }
        cold.ecn_ce_packets[direction] = cold.ecn_ce_packets[direction].saturating_add(amount.ecn_ce_packets);
        if is_first_of_span {
            cold.note_first(direction, observation);
        }
        if hot.marks & mark::HAS_MACS == 0 {
            hot.marks |= mark::HAS_MACS;
            let (destination, source) = packet::mac_addresses(frame);
            cold.macs = if direction == 0 { [source, destination] } else { [destination, source] };
        }
    }

    fn note_close(&mut self, slot: SlotId, direction: usize, tcp_flags: u8) {
        let hot = &mut self.hot.0[slot.0 as usize];
        if tcp_flags & FIN != 0 {
            hot.marks |= mark::FIN << direction;
        }
        // Who resets first ends it.
        if tcp_flags & RST != 0 && hot.marks & mark::BOTH_RESETS == 0 {
            hot.marks |= mark::RESET << direction;
        }
        let is_over = tcp_flags & RST != 0 || hot.marks & mark::BOTH_FINS == mark::BOTH_FINS;
        if !is_over || hot.state == State::Closing {
            return;
        }
        self.unhang(slot);
        self.hot.0[slot.0 as usize].state = State::Closing;
        self.hang(slot);
    }

    /// Puts a flow on the wheel, and among the embryonic if it is one.
    fn hang(&mut self, slot: SlotId) {
        let deadline = self.deadline(slot);
        let tick = self.wheel.push(&mut self.wheel_links, slot, deadline);
        let hot = &mut self.hot.0[slot.0 as usize];
        hot.tick = tick;
        if hot.state == State::Embryonic {
            self.embryonic.push_back(&mut self.cold, slot);
        }
    }

    fn unhang(&mut self, slot: SlotId) {
        let Hot { tick, state, .. } = self.hot.0[slot.0 as usize];
        self.wheel.unlink(&mut self.wheel_links, slot, tick);
        if state == State::Embryonic {
            self.embryonic.unlink(&mut self.cold, slot);
        }
    }

    /// Moves a flow to its deadline without touching its age among the embryonic.
    fn rehang(&mut self, slot: SlotId) {
        let tick = self.hot.0[slot.0 as usize].tick;
        self.wheel.unlink(&mut self.wheel_links, slot, tick);
        let deadline = self.deadline(slot);
        self.hot.0[slot.0 as usize].tick = self.wheel.push(&mut self.wheel_links, slot, deadline);
    }

    /// When to look at a flow next. Never before the tick after `now`, or the wheel would not move on.
    fn deadline(&self, slot: SlotId) -> Moment {
        let (end, _) = self.next_end(slot);
        end.max(Moment(self.now.0.saturating_add(1)))
    }

    #[cold]
    fn evict(&mut self, emit: &mut impl Emit) {
        if let Some(oldest) = self.embryonic.first() {
            self.counts.evicted_embryonic += 1;
            return self.end(oldest, EndReason::LackOfResources, emit);
        }
        self.counts.evicted_idlest += 1;
        let mut idlest = self.wheel.earliest().expect("a full table has flows");
        for _ in 1..EVICTION_CANDIDATES {
            // Hung at its true deadline, an active flow makes way for the next candidate.
            self.rehang(self.wheel.earliest().expect("a full table has flows"));
            let candidate = self.wheel.earliest().expect("a full table has flows");
            if self.hot.0[candidate.0 as usize].last < self.hot.0[idlest.0 as usize].last {
                idlest = candidate;
            }
        }
        self.end(idlest, EndReason::LackOfResources, emit);
    }

    fn end(&mut self, slot: SlotId, reason: EndReason, emit: &mut impl Emit) {
        self.export(slot, reason, emit);
        self.counts.flows_ended += 1;
        self.unhang(slot);
        let hot = &mut self.hot.0[slot.0 as usize];
        hot.state = State::Free;
        self.index.remove(hot.tag, slot);
        self.free.push(slot);
    }

    /// Emits the record of the current span, unless nothing happened in it.
    fn export(&mut self, slot: SlotId, reason: EndReason, emit: &mut impl Emit) {
        let index = slot.0 as usize;
        let hot = &self.hot.0[index];
        let is_over = reason != EndReason::ActiveTimeout;
        let is_empty = hot.is_span_empty();
        let is_inspected = matches!(hot.inspection, Inspection::Wanted | Inspection::Done);
        if is_empty && !(is_over && is_inspected) {
            return;
        }
        if !is_empty {
            self.counts.records[reason as usize - 1] += 1;
        }
        let (connection, events) = (&self.connections[index], &self.events[index]);
        let parts = Parts { hot, cold: &self.cold.0[index], connection, events };
        let ending = Ending { slot, inspection: hot.inspection, is_over, is_empty };
        emit.emit(parts.record(reason, self.config.sample_rate), ending);
    }
}

impl Hot {
    fn has_outgrown_embryo(&self) -> bool {
        let [forward, reverse] = [self.counters[0].packets, self.counters[1].packets];
        (forward > 0 && reverse > 0) || forward + reverse >= EMBRYONIC_PACKETS
    }
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
