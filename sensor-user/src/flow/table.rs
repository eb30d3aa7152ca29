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
    FlowKey,
    index::{Index, Probe},
    list::{LinkStore, Links, List},
    wheel::Wheel,
};
use crate::{
    clock::Moment,
    huge,
    packet::{Fragment, Packet, Side},
};
use kflow::{DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, MacAddress};
use std::time::Duration;

/// A flow with one direction only and fewer packets than this is embryonic.
pub const EMBRYONIC_PACKETS: u64 = 4;
/// Flows examined for the idlest at an eviction.
const EVICTION_CANDIDATES: usize = 8;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

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
    /// Destination and source MAC address.
    pub mac_addresses: (MacAddress, MacAddress),
    pub frame_bytes: u32,
    pub time: Moment,
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

/// What every packet of a flow touches: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Hot {
    key: FlowKey,
    last: Moment,
    tag: u32,
    tick: u16,
    state: State,
    /// Which end of the key is the source.
    source: Side,
    // Second line.
    start: Moment,
    counters: [HotCounters; 2],
    tcp_flags: [u8; 2],
    tos: [u8; 2],
    /// FINs seen, kept over active timeouts: bit 0 forward, bit 1 reverse.
    fins: u8,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct HotCounters {
    packets: u64,
    bytes: u64,
    frame_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Free,
    Embryonic,
    Grown,
    Closing,
}

const _: () = assert!(size_of::<Hot>() == 128);

/// What only the first packet, fragments and the export touch.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Cold {
    embryonic: Links,
    macs: [MacAddress; 2],
    vlans: [u16; 2],
    fragments: [u32; 2],
    icmp: IcmpKind,
    has_macs: bool,
}

const _: () = assert!(size_of::<Cold>() == 64);

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
        huge::touch(&mut self.wheel_links.0, Links::UNLINKED);
        huge::touch(&mut self.free, SlotId(0));
    }

    /// Bytes that a table of this capacity occupies.
    pub fn predicted_bytes(capacity: usize) -> usize {
        capacity * (size_of::<Hot>() + size_of::<Cold>() + size_of::<Links>() + size_of::<SlotId>())
            + Index::words_len(capacity) * size_of::<u64>()
            + Wheel::BYTES
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
            crate::prefetch::prefetch(&self.hot.0[slot.0 as usize]);
            crate::prefetch::prefetch(&self.hot.0[slot.0 as usize].start);
        }
    }

    /// Adds a packet to its flow, which is created if need be. Records of whatever ends by this go to `emit`.
    #[inline]
    pub fn observe(&mut self, observation: &Observation<'_>, emit: &mut impl FnMut(FlowRecord)) {
        self.now = self.now.max(observation.time);
        let tag = Index::tag(observation.hash);
        let key = &observation.packet.key;
        let hot = &self.hot.0;
        match self.index.probe(tag, |slot| hot[slot.0 as usize].key == *key) {
            Probe::Found(slot) => self.update(slot, observation, emit),
            Probe::Vacant(position) => self.create(position, tag, observation, emit),
            Probe::Crowded => self.create_in_crowd(tag, observation, emit),
        }
    }

    /// Ends flows whose time has come, looking at no more than `flows_max`.
    pub fn expire(&mut self, now: Moment, flows_max: usize, emit: &mut impl FnMut(FlowRecord)) {
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
    pub fn flush(&mut self, emit: &mut impl FnMut(FlowRecord)) {
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
        self.wheel_links.0.clear();
        self.free.clear();
        self.index.clear();
        self.wheel.clear();
        self.embryonic = List::EMPTY;
    }

    #[inline(always)]
    fn update(&mut self, slot: SlotId, observation: &Observation<'_>, emit: &mut impl FnMut(FlowRecord)) {
        let now = observation.time;
        if self.may_be_over(slot, now) {
            self.renew(slot, observation, emit);
        }
        let hot = &mut self.hot.0[slot.0 as usize];
        hot.last = hot.last.max(now);
        hot.start = if hot.is_span_empty() { now } else { hot.start.min(now) };
        self.add(slot, observation);
        let hot = &mut self.hot.0[slot.0 as usize];
        if hot.state == State::Embryonic && hot.has_outgrown_embryo() {
            hot.state = State::Grown;
            self.embryonic.unlink(&mut self.cold, slot);
        }
    }

    /// Counts a packet to its flow.
    #[inline(always)]
    fn add(&mut self, slot: SlotId, observation: &Observation<'_>) {
        let packet = observation.packet;
        let hot = &mut self.hot.0[slot.0 as usize];
        let direction = usize::from(packet.sender != hot.source);
        let counters = &mut hot.counters[direction];
        let is_first_of_direction = counters.packets == 0;
        counters.packets += 1;
        counters.bytes += u64::from(packet.network_bytes);
        counters.frame_bytes += u64::from(observation.frame_bytes);
        hot.tcp_flags[direction] |= packet.tcp_flags;
        hot.tos[direction] |= packet.tos;
        if is_first_of_direction || packet.fragment != Fragment::Whole {
            self.note_rare(slot, direction, is_first_of_direction, observation);
        }
        if packet.tcp_flags & (FIN | RST) != 0 {
            self.note_close(slot, direction, packet.tcp_flags);
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
    fn renew(&mut self, slot: SlotId, observation: &Observation<'_>, emit: &mut impl FnMut(FlowRecord)) {
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
        let is_closing = self.hot.0[slot.0 as usize].state == State::Closing;
        if is_closing && observation.packet.tcp_flags & (SYN | ACK) == SYN {
            return Some(EndReason::EndOfFlow);
        }
        self.overdue(slot, observation.time)
    }

    #[inline(never)]
    fn create(
        &mut self,
        position: usize,
        tag: u32,
        observation: &Observation<'_>,
        emit: &mut impl FnMut(FlowRecord),
    ) {
        let Some(slot) = self.free_slot() else {
            self.evict(emit);
            // Removing the evicted flow may have moved the words of the index.
            return self.observe(observation, emit);
        };
        self.index.insert(position, tag, slot);
        self.start(slot, tag, observation);
        self.hang(slot);
        self.add(slot, observation);
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
        self.wheel_links.0.push(Links::UNLINKED);
        Some(SlotId(unused as u32))
    }

    #[cold]
    fn create_in_crowd(
        &mut self,
        tag: u32,
        observation: &Observation<'_>,
        emit: &mut impl FnMut(FlowRecord),
    ) {
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
        self.observe(observation, emit);
    }

    fn start(&mut self, slot: SlotId, tag: u32, observation: &Observation<'_>) {
        self.counts.flows_created += 1;
        let packet = observation.packet;
        // A SYN+ACK answers a SYN that was not seen: the receiver is the one who asked.
        let is_answer = packet.tcp_flags & (SYN | ACK) == SYN | ACK;
        self.hot.0[slot.0 as usize] = Hot {
            key: packet.key,
            last: observation.time,
            tag,
            state: State::Embryonic,
            source: if is_answer { packet.sender.other() } else { packet.sender },
            start: observation.time,
            ..Hot::FREE
        };
        self.cold.0[slot.0 as usize] = Cold { icmp: packet.icmp, ..Cold::FREE };
    }

    /// Counters of a new span; what the flow learned of itself stays.
    fn restart_counters(&mut self, slot: SlotId, start: Moment) {
        let hot = &mut self.hot.0[slot.0 as usize];
        hot.start = start;
        hot.counters = [HotCounters::default(); 2];
        hot.tcp_flags = [0; 2];
        hot.tos = [0; 2];
        self.cold.0[slot.0 as usize].fragments = [0; 2];
    }

    fn note_rare(
        &mut self,
        slot: SlotId,
        direction: usize,
        is_first_of_direction: bool,
        observation: &Observation<'_>,
    ) {
        let cold = &mut self.cold.0[slot.0 as usize];
        if observation.packet.fragment != Fragment::Whole {
            cold.fragments[direction] = cold.fragments[direction].saturating_add(1);
        }
        if is_first_of_direction {
            cold.vlans[direction] = observation.packet.link.vlan;
        }
        if !cold.has_macs {
            let (destination, source) = observation.mac_addresses;
            cold.macs = if direction == 0 { [source, destination] } else { [destination, source] };
            cold.has_macs = true;
        }
    }

    fn note_close(&mut self, slot: SlotId, direction: usize, tcp_flags: u8) {
        let hot = &mut self.hot.0[slot.0 as usize];
        if tcp_flags & FIN != 0 {
            hot.fins |= 1 << direction;
        }
        let is_over = tcp_flags & RST != 0 || hot.fins == 0b11;
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
    fn evict(&mut self, emit: &mut impl FnMut(FlowRecord)) {
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

    fn end(&mut self, slot: SlotId, reason: EndReason, emit: &mut impl FnMut(FlowRecord)) {
        self.export(slot, reason, emit);
        self.counts.flows_ended += 1;
        self.unhang(slot);
        let hot = &mut self.hot.0[slot.0 as usize];
        hot.state = State::Free;
        self.index.remove(hot.tag, slot);
        self.free.push(slot);
    }

    /// Emits the record of the current span, unless nothing happened in it.
    fn export(&mut self, slot: SlotId, reason: EndReason, emit: &mut impl FnMut(FlowRecord)) {
        let hot = &self.hot.0[slot.0 as usize];
        if hot.is_span_empty() {
            return;
        }
        let cold = &self.cold.0[slot.0 as usize];
        self.counts.records[reason as usize - 1] += 1;
        let endpoint = |side, mac| {
            let (address, port) = hot.key.end(side);
            Endpoint { address, port, mac }
        };
        emit(FlowRecord {
            start_ns: hot.start.0,
            end_ns: hot.last.0,
            source: endpoint(hot.source, cold.macs[0]),
            destination: endpoint(hot.source.other(), cold.macs[1]),
            protocol: hot.key.protocol(),
            icmp: cold.icmp,
            forward: hot.direction(cold, 0),
            reverse: hot.direction(cold, 1),
            end_reason: reason,
            sample_rate: self.config.sample_rate,
            ..FlowRecord::default()
        });
    }
}

impl Hot {
    const FREE: Hot = Hot {
        key: FlowKey::EMPTY,
        last: Moment(0),
        tag: 0,
        tick: 0,
        state: State::Free,
        source: Side::Low,
        start: Moment(0),
        counters: [HotCounters { packets: 0, bytes: 0, frame_bytes: 0 }; 2],
        tcp_flags: [0; 2],
        tos: [0; 2],
        fins: 0,
    };

    #[inline(always)]
    fn is_span_empty(&self) -> bool {
        self.counters[0].packets == 0 && self.counters[1].packets == 0
    }

    fn has_outgrown_embryo(&self) -> bool {
        let [forward, reverse] = [self.counters[0].packets, self.counters[1].packets];
        (forward > 0 && reverse > 0) || forward + reverse >= EMBRYONIC_PACKETS
    }

    fn direction(&self, cold: &Cold, direction: usize) -> DirectionCounters {
        let HotCounters { packets, bytes, frame_bytes } = self.counters[direction];
        DirectionCounters {
            packets,
            bytes,
            frame_bytes,
            fragments: cold.fragments[direction],
            tcp_flags: self.tcp_flags[direction],
            tos: self.tos[direction],
            vlan: cold.vlans[direction],
            ..DirectionCounters::default()
        }
    }
}

impl Cold {
    const FREE: Cold = Cold {
        embryonic: Links::UNLINKED,
        macs: [MacAddress([0; 6]); 2],
        vlans: [0; 2],
        fragments: [0; 2],
        icmp: IcmpKind { kind: 0, code: 0 },
        has_macs: false,
    };
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
