//! What happens to the frames of a burst: decoded, their flows looked up, counted.
//!
//! decode all (asking the cache for the index words) → ask for the flows → count all, fragments by way of the
//! reassembler, in the order in which they came. Nothing here allocates, locks or logs.
//!
//! Each frame is accounted for once: to the flow of one of its packets, or under the reason why not. A frame that
//! brings a second packet to count (the inner one beside the outer one, or the one inside of a packet that it
//! completed) counts that one *beside* the frame. A fragment whose first one is still to come is accounted for when it
//! has come, or when the datagram is forgotten.

use crate::{
    applications::{Annotating, Applications, Carried},
    cells::WorkerCells,
    clock::Moment,
    config::TunnelCount,
    export::Outbox,
    filter::PacketFilter,
    flow::{Amount, FlowTable, Observation, TableConfig},
    packet::{
        self, Fragment, NotFlow, NotInner, Packet, TunnelPorts,
        reassembly::{Piece, Reassembler, ReassemblyConfig, Unclaimed, Waiting},
    },
    source::{BURST_FRAMES_MAX, Frame, KernelCounts, LinkType},
};
use kflow::TunnelKind;
use sensor_ebpf::hash::HashKey;
use std::sync::Arc;

/// Flows looked at for expiry after each burst: more than a burst can create, so that expiry keeps up.
const EXPIRED_PER_BURST_MAX: usize = 4 * BURST_FRAMES_MAX;
/// Datagrams likewise.
const DATAGRAMS_EXPIRED_PER_BURST_MAX: usize = 2 * BURST_FRAMES_MAX;

/// Which packets of a tunnel are counted, and what is looked into.
#[derive(Clone, Debug)]
pub struct Tunnels {
    pub count: TunnelCount,
    pub ports: TunnelPorts,
}

/// Everything that a datapath is made of.
#[derive(Debug)]
pub struct DatapathParts {
    pub table: TableConfig,
    pub hash_key: HashKey,
    /// `None` if every packet passes.
    pub filter: Option<PacketFilter>,
    pub reassembly: ReassemblyConfig,
    pub tunnels: Tunnels,
    pub applications: Applications,
    pub cells: Arc<WorkerCells>,
    pub outbox: Outbox,
}

#[derive(Debug)]
pub struct Datapath {
    /// Room for one burst: two packets a frame.
    prepared: Box<[Prepared]>,
    tunnels: Tunnels,
    reassembler: Reassembler,
    /// Room for the packet that fragments have made whole.
    whole_packet: Packet,
    flows: Flows,
    /// Kernel counts of sources that were released.
    released_counts: KernelCounts,
}

/// What counting a packet needs.
#[derive(Debug)]
struct Flows {
    table: FlowTable,
    applications: Applications,
    hash_key: HashKey,
    filter: Option<PacketFilter>,
    cells: Arc<WorkerCells>,
    outbox: Outbox,
    /// Time stamps of the frames drive the timers: a file's own time, not that of its reading.
    latest: Moment,
    /// The outer and the inner packet of a tunnel are both counted.
    counts_both: bool,
}

/// A packet that is to be counted.
#[derive(Clone, Debug)]
struct Prepared {
    packet: Packet,
    hash: u64,
    frame: usize,
    /// Its frame is accounted for by the packet before it.
    is_beside: bool,
}

impl Prepared {
    const EMPTY: Prepared = Prepared { packet: Packet::EMPTY, hash: 0, frame: 0, is_beside: false };
}

impl Datapath {
    pub fn new(parts: DatapathParts) -> Datapath {
        let DatapathParts { table, hash_key, filter, reassembly, tunnels, applications, cells, outbox } =
            parts;
        let table = FlowTable::new(table);
        let counts_both = tunnels.count == TunnelCount::Both;
        Datapath {
            prepared: vec![Prepared::EMPTY; 2 * BURST_FRAMES_MAX].into_boxed_slice(),
            tunnels,
            reassembler: Reassembler::new(reassembly, hash_key),
            whole_packet: Packet::EMPTY,
            flows: Flows {
                table,
                applications,
                hash_key,
                filter,
                cells,
                outbox,
                latest: Moment(0),
                counts_both,
            },
            released_counts: KernelCounts::default(),
        }
    }

    /// Has the memory there now, on the CPU that calls. Without it pages come as flows do.
    pub fn touch(&mut self) {
        self.flows.table.touch();
        self.reassembler.touch();
        self.flows.applications.touch();
    }

    pub fn cells(&self) -> &WorkerCells {
        &self.flows.cells
    }

    /// The latest time stamp of a frame.
    pub fn latest(&self) -> Moment {
        self.flows.latest
    }

    pub fn set_filter(&mut self, filter: Option<PacketFilter>) {
        self.flows.filter = filter;
    }

    #[inline(always)]
    pub fn burst(&mut self, frames: &[Frame<'_>]) {
        frames.iter().for_each(packet::prefetch);
        let mut count = 0;
        let mut bytes = 0;
        for (index, frame) in frames.iter().enumerate() {
            bytes += u64::from(frame.wire_bytes);
            match self.prepare(count, index, frame) {
                Ok(packets) => count += packets,
                Err(reason) => self.flows.cells.not_flow[reason as usize].add(1),
            }
        }
        let Datapath { prepared, flows, .. } = self;
        for prepared in &prepared[..count] {
            flows.table.prefetch_flow(prepared.hash);
        }
        let [mut accounted, mut beside] = [0, 0];
        for place in 0..count {
            let prepared = &self.prepared[place];
            let frame = &frames[prepared.frame];
            self.flows.latest = self.flows.latest.max(frame.time);
            if prepared.packet.fragment != Fragment::Whole {
                self.count_fragment(place, frame);
                continue;
            }
            accounted += u64::from(!prepared.is_beside);
            beside += u64::from(prepared.is_beside);
            let amount = Amount::one(&prepared.packet, frame);
            let payload = packet::payload(frame, &prepared.packet);
            self.flows.observe(&prepared.packet, prepared.hash, frame, amount, payload);
        }
        let cells = &self.flows.cells;
        cells.bursts.add(1);
        cells.frames.add(frames.len() as u64);
        cells.frame_bytes.add(bytes);
        cells.flow_packets.add(accounted);
        cells.packets_beside.add(beside);
    }

    /// Decodes a frame into places of the burst, and asks for its flow's index word. Returns how many it took.
    #[inline(always)]
    fn prepare(&mut self, place: usize, index: usize, frame: &Frame<'_>) -> Result<usize, NotFlow> {
        let Prepared { packet, hash, frame: frame_index, is_beside } = &mut self.prepared[place];
        packet::decode_into(frame, packet)?;
        *frame_index = index;
        *is_beside = false;
        *hash = frame.hash.unwrap_or_else(|| packet.key.hash(self.flows.hash_key));
        self.flows.cells.note_anomaly(packet);
        // Which flow a fragment belongs to is not known yet.
        let is_judged = packet.fragment != Fragment::Whole;
        if !is_judged && let Some(filter) = &self.flows.filter {
            filter.check(packet, frame.screening)?;
        }
        if self.tunnels.count != TunnelCount::Outer && packet::may_carry(packet, &self.tunnels.ports) {
            return self.prepare_inner(place, frame);
        }
        if !is_judged && let Some(filter) = &self.flows.filter {
            filter.check_sample(*hash, frame.screening)?;
        }
        self.flows.table.prefetch_index(*hash);
        Ok(1)
    }

    /// Puts the innermost packet in place of the outer one or behind it. Returns how many places are taken then.
    #[inline(never)]
    fn prepare_inner(&mut self, place: usize, frame: &Frame<'_>) -> Result<usize, NotFlow> {
        let Datapath { prepared, tunnels, flows, .. } = self;
        let [outer, inner, ..] = &mut prepared[place..] else {
            unreachable!("there are two places a frame");
        };
        let found = packet::decode_inner(frame, &outer.packet, &tunnels.ports, &mut inner.packet);
        flows.cells.note_inner(found);
        if found.is_ok() {
            flows.cells.note_anomaly(&inner.packet);
            inner.hash = inner.packet.key.hash(flows.hash_key);
            inner.frame = outer.frame;
            inner.is_beside = tunnels.count == TunnelCount::Both;
        }
        let is_sampled = |prepared: &Prepared| match &flows.filter {
            Some(filter) if prepared.packet.fragment == Fragment::Whole => {
                filter.check_sample(prepared.hash, frame.screening)
            }
            _ => Ok(()),
        };
        if found.is_ok() && tunnels.count == TunnelCount::Inner {
            is_sampled(inner)?;
            std::mem::swap(outer, inner);
            flows.table.prefetch_index(outer.hash);
            return Ok(1);
        }
        let is_inner_wanted = found.is_ok() && is_sampled(inner).is_ok();
        if let Err(reason) = is_sampled(outer) {
            if !is_inner_wanted {
                return Err(reason);
            }
            // The frame is accounted for by the outer flow, the inner one is beside it as ever.
            flows.cells.not_flow[reason as usize].add(1);
            std::mem::swap(outer, inner);
            flows.table.prefetch_index(outer.hash);
            return Ok(1);
        }
        flows.table.prefetch_index(outer.hash);
        if !is_inner_wanted {
            return Ok(1);
        }
        flows.table.prefetch_index(inner.hash);
        Ok(2)
    }

    /// Counts a fragment to the flow of its datagram, and what its datagram turns out to be once it is whole.
    #[cold]
    #[inline(never)]
    fn count_fragment(&mut self, place: usize, frame: &Frame<'_>) {
        let Datapath { prepared, tunnels, reassembler, whole_packet, flows, .. } = self;
        let Prepared { packet, is_beside, .. } = &prepared[place];
        let Some(piece) = Piece::of(frame, packet) else {
            // Cut off in the middle of its header: nothing of the datagram is known but the addresses.
            return flows.count(packet, frame, Amount::one(packet, frame), &[], *is_beside);
        };
        let added = reassembler.add(&piece, &mut |unclaimed| flows.count_waiting(unclaimed));
        let Some((key, sender)) = added.flow else { return };
        if let Some(waiting) = &added.claimed {
            flows.count_waiting(Unclaimed { key, sender, waiting: *waiting });
        }
        let mut fragment = Packet { key, sender, ..packet.clone() };
        let amount = Amount::one(&fragment, frame);
        let Some(whole) = added.whole else {
            let uncaptured = fragment.uncaptured_bytes(frame);
            let payload = match fragment.fragment {
                // What the capture cut never gets whole: its beginning is all that there is to inspect.
                Fragment::First if uncaptured > 0 => packet::payload(frame, &fragment),
                _ => &[],
            };
            fragment.payload_wire_bytes = payload.len() as u32 + uncaptured;
            return flows.count(&fragment, frame, amount, payload, *is_beside);
        };
        let whole =
            Frame { bytes: whole, wire_bytes: whole.len() as u32, link: LinkType::RAW, hash: None, ..*frame };
        if packet::decode_into(&whole, whole_packet).is_err() {
            return flows.count(&fragment, frame, amount, &[], *is_beside);
        }
        // Only now is there a segment to look at; what is counted is still the fragment.
        fragment.tcp = whole_packet.tcp;
        fragment.tcp_flags |= whole_packet.tcp_flags;
        fragment.transport_start = whole_packet.transport_start;
        fragment.payload_wire_bytes = whole_packet.payload_wire_bytes;
        // The frame is no longer that of the tunnel around it.
        fragment.tunnel.outer_start = u32::MAX;
        let is_wanted =
            flows.filter.as_ref().is_none_or(|filter| filter.check(&fragment, frame.screening).is_ok());
        let payload = packet::payload(&whole, whole_packet);
        flows.count(&fragment, &whole, amount, payload, *is_beside);
        if !is_wanted || tunnels.count == TunnelCount::Outer {
            return;
        }
        if packet::may_carry(whole_packet, &tunnels.ports) {
            flows.count_inner_of_whole(&whole, whole_packet, &tunnels.ports);
        }
    }

    /// Ends flows and datagrams whose time has come, a bounded number of them.
    #[inline(always)]
    pub fn expire(&mut self, now: Moment) {
        let Datapath { reassembler, flows, .. } = self;
        reassembler
            .expire(now, DATAGRAMS_EXPIRED_PER_BURST_MAX, &mut |unclaimed| flows.count_waiting(unclaimed));
        let Flows { table, applications, outbox, .. } = flows;
        table.expire(now, EXPIRED_PER_BURST_MAX, &mut Annotating { applications, outbox, now });
        applications.rouse();
    }

    /// Ends all datagrams and flows.
    pub fn finish(&mut self, now: Moment) {
        let Datapath { reassembler, flows, .. } = self;
        // Nothing arrives any more that waiting could cost.
        flows.outbox.wait_when_full();
        flows.applications.wait_when_full();
        reassembler.flush(&mut |unclaimed| flows.count_waiting(unclaimed));
        let Flows { table, applications, outbox, .. } = flows;
        table.flush(&mut Annotating { applications, outbox, now });
        applications.finish();
        outbox.hand_over(now);
        self.publish();
    }

    /// Hands over records that wait in a buffer that is not full.
    pub fn hand_over(&mut self, now: Moment) {
        self.flows.outbox.hand_over(now);
    }

    /// Makes the counts of the table, of the reassembler and of the inspector visible.
    pub fn publish(&mut self) {
        self.flows.applications.publish();
        let counts = self.flows.table.counts();
        let cells = &self.flows.cells;
        cells.flows.set(self.flows.table.len() as u64);
        cells.flows_created.set(counts.flows_created);
        for (cell, records) in cells.records.iter().zip(counts.records) {
            cell.set(records);
        }
        cells.evicted_embryonic.set(counts.evicted_embryonic);
        cells.evicted_idlest.set(counts.evicted_idlest);
        cells.evicted_crowded.set(counts.evicted_crowded);
        cells.reassembly.publish(&self.reassembler.counts(), self.reassembler.levels());
    }

    /// Counts of one source start at zero; those of the worker go on over all of them.
    pub fn note_kernel_counts(&self, counts: KernelCounts) {
        self.flows.cells.kernel_offered.set(self.released_counts.offered + counts.offered);
        self.flows.cells.kernel_dropped.set(self.released_counts.dropped + counts.dropped);
    }

    /// The last counts of a source that is let go.
    pub fn release_kernel_counts(&mut self, counts: KernelCounts) {
        self.note_kernel_counts(counts);
        self.released_counts.add(counts);
    }
}

impl Flows {
    #[inline(always)]
    fn observe(&mut self, packet: &Packet, hash: u64, frame: &Frame<'_>, amount: Amount, payload: &[u8]) {
        let Flows { table, applications, outbox, .. } = self;
        let time = frame.time;
        let observation = Observation { packet, hash, frame, amount, time };
        let slot = table.observe(&observation, &mut Annotating { applications, outbox, now: time });
        if !payload.is_empty() {
            applications.inspect(table, &Carried { slot, packet, payload, time }, outbox);
        }
    }

    /// Accounts for packets whose flow was told late, and counts them to it if the filter wants it.
    /// `payload` is what there is to inspect.
    fn count(&mut self, packet: &Packet, frame: &Frame<'_>, amount: Amount, payload: &[u8], is_beside: bool) {
        let hash = packet.key.hash(self.hash_key);
        let judge = |filter: &PacketFilter| {
            filter.check(packet, frame.screening)?;
            filter.check_sample(hash, frame.screening)
        };
        match self.filter.as_ref().map_or(Ok(()), judge) {
            Ok(()) if is_beside => self.cells.packets_beside.add(amount.packets),
            Ok(()) => self.cells.flow_packets.add(amount.packets),
            Err(_) if is_beside => return,
            Err(reason) => return self.cells.not_flow[reason as usize].add(amount.packets),
        }
        self.observe(packet, hash, frame, amount, payload);
    }

    /// Counts fragments that waited for the first one of their datagram, to the flow that they turned out to be of.
    fn count_waiting(&mut self, Unclaimed { key, sender, waiting }: Unclaimed) {
        let Waiting { packets, network_bytes, frame_bytes, first, last, tos, ttl_min, .. } = waiting;
        let packet = Packet {
            key,
            sender,
            link: waiting.link,
            tos,
            ttl: ttl_min,
            fragment: Fragment::Later,
            tunnel: waiting.tunnel,
            ..Packet::EMPTY
        };
        let amount = Amount {
            packets: u64::from(packets),
            bytes: network_bytes,
            frame_bytes,
            ecn_ce_packets: waiting.ecn_ce_packets,
            first,
        };
        let (destination, source) = waiting.mac_addresses;
        let link_header: [u8; 12] = std::array::from_fn(|at| match at {
            0..6 => destination.0[at],
            _ => source.0[at - 6],
        });
        let frame = Frame { bytes: &link_header, time: last, screening: waiting.screening, ..Frame::EMPTY };
        // Where both are counted, a packet in a tunnel is beside its frame.
        let is_beside = self.counts_both && waiting.tunnel.kind != TunnelKind::None;
        self.count(&packet, &frame, amount, &[], is_beside);
    }

    /// Counts the innermost packet of one that came in fragments.
    fn count_inner_of_whole(&mut self, whole: &Frame<'_>, outer: &Packet, ports: &TunnelPorts) {
        let mut inner = Packet::EMPTY;
        let found = match packet::decode_inner(whole, outer, ports, &mut inner) {
            // The place for whole packets is taken: what is inside and in fragments again stays with the outer flow.
            Ok(()) if inner.fragment != Fragment::Whole => Err(NotInner::Fragment),
            found => found,
        };
        self.cells.note_inner(found);
        if found.is_err() {
            return;
        }
        self.cells.note_anomaly(&inner);
        // Its frames are counted to the flow of the fragments.
        let amount = Amount { frame_bytes: 0, ..Amount::one(&inner, whole) };
        self.count(&inner, whole, amount, packet::payload(whole, &inner), true);
    }
}

#[cfg(test)]
mod tests;
