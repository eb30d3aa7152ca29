//! Reassembly of IPv4 (RFC 791) and IPv6 (RFC 8200) fragments in fixed memory, and their flows.
//!
//! In: fragments, as [`Piece`]s of decoded packets. Out: for each the flow it belongs to, and whole packets. Only the
//! first fragment has ports, so those that come before it wait, as sums ([`Waiting`]); no packet is lost by that:
//! each fragment is either resolved when it comes, claimed when the first one comes, or handed out as unclaimed when
//! its datagram ends without one.
//!
//! Life of a datagram:
//!
//! 1. **Assembling**, from its first fragment to come. Payload goes into blocks of a shared pool.
//! 2. **Spent**: whole, or given up for memory. It has no blocks any more, but tells later fragments their flow. A
//!    first fragment with the same identification starts anew.
//! 3. Forgotten, when the timeout has passed since it began or was spent, or for room.
//!
//! Later fragments belong to the flow of the first fragment whose bytes were taken; as long as none was (captures may
//! cut each), to that of the latest one.
//!
//! Where fragments overlap, the bytes that came first win, in both families, and the overlap is counted. Hosts differ:
//! by RFC 5722 they drop IPv6 datagrams with overlaps, and Linux drops IPv4's too; a sensor that did would be blind
//! to what other hosts take. A fragment that no host would take ([`Refusal`]) brings no bytes.
//!
//! At the limits: for a place the oldest spent datagram is forgotten, else the oldest of all is given up; for
//! memory, the one that has held some for longest. Work per fragment: one chain of at most 16 datagrams, its
//! own bytes, and one eviction a block it needs. The bytes of a datagram are copied once more when it is whole.

mod blocks;
mod counts;
mod header;
mod piece;
mod queue;
mod slots;
mod waiting;

pub use counts::{Ending, ReassemblyCounts, Refusal};
pub use piece::Piece;
pub use waiting::{Unclaimed, Waiting};

use super::Side;
use crate::{clock::Moment, flow::FlowKey, huge};
use blocks::{BLOCK_BYTES, BlockId, Blocks, UNIT_BYTES, Written};
use header::{HEADER_BYTES_MAX, StoredHeader};
use piece::{DATAGRAM_BLOCKS, DATAGRAM_BYTES_MAX, FragmentHeader, IPV6_HEADER_BYTES};
use queue::Queue;
use sensor_ebpf::hash::HashKey;
use slots::{Slot, SlotId, Slots, State};
use std::time::Duration;

/// The longest packet: IPv6 does not count its fixed header.
const PACKET_BYTES_MAX: usize = IPV6_HEADER_BYTES + DATAGRAM_BYTES_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyConfig {
    /// Datagrams known at once, 1 to 2³¹.
    pub datagrams: usize,
    /// Memory for their payload, shared by all. With less than one block of 2 KiB nothing is assembled, but flows are
    /// still told.
    pub memory_bytes: usize,
    /// How long a datagram may take, counted from its first fragment to come.
    pub timeout: Duration,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub struct Added<'a> {
    /// The flow of this fragment and who sent it; `None` if it waits for the first one.
    pub flow: Option<(FlowKey, Side)>,
    /// Earlier fragments that turned out to belong to that flow.
    pub claimed: Option<Waiting>,
    /// The whole packet that this fragment completed, from its IP header on: a frame of [`LinkType::RAW`].
    ///
    /// [`LinkType::RAW`]: crate::source::LinkType::RAW
    pub whole: Option<&'a [u8]>,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReassemblyLevels {
    pub assembling: usize,
    pub spent: usize,
    pub memory_bytes: usize,
}

#[derive(Debug)]
pub struct Reassembler {
    timeout_ns: u64,
    hash_key: HashKey,
    slots: Slots,
    /// In step with the slots.
    headers: Vec<StoredHeader>,
    blocks: Blocks,
    /// Oldest first.
    assembling: Queue,
    /// Spent for longest first.
    spent: Queue,
    /// Of those assembling, the ones with blocks; those that have had them for longest first.
    holders: Queue,
    /// Where packets are put together.
    whole: Vec<u8>,
    /// The latest moment seen: time stamps that run backwards do not make datagrams younger.
    now: Moment,
    counts: ReassemblyCounts,
}

impl Reassembler {
    /// The key is secret, so that nobody can choose datagrams whose hashes are alike.
    pub fn new(config: ReassemblyConfig, hash_key: HashKey) -> Reassembler {
        let datagrams = config.datagrams;
        assert!((1..1 << 31).contains(&datagrams), "the number of datagrams was checked by the config");
        let mut headers = huge::reserved(datagrams);
        headers.resize(datagrams, StoredHeader::NONE);
        Reassembler {
            timeout_ns: u64::try_from(config.timeout.as_nanos()).unwrap_or(u64::MAX),
            hash_key,
            slots: Slots::new(datagrams),
            headers,
            blocks: Blocks::new(config.memory_bytes),
            assembling: Queue::new(datagrams),
            spent: Queue::new(datagrams),
            holders: Queue::new(datagrams),
            whole: vec![0; PACKET_BYTES_MAX],
            now: Moment(0),
            counts: ReassemblyCounts::default(),
        }
    }

    /// Bytes that a reassembler of this config occupies.
    pub fn predicted_bytes(config: ReassemblyConfig) -> usize {
        let datagrams = config.datagrams;
        Slots::predicted_bytes(datagrams)
            + datagrams * size_of::<StoredHeader>()
            + 3 * Queue::predicted_bytes(datagrams)
            + Blocks::predicted_bytes(config.memory_bytes)
            + PACKET_BYTES_MAX
    }

    /// Has all memory there now, so that no page fault comes later. For a reassembler that is empty.
    pub fn touch(&mut self) {
        assert_eq!(self.levels(), ReassemblyLevels::default(), "touching would wipe the index");
        self.slots.touch();
        self.blocks.touch();
        self.whole.fill(0);
    }

    /// Takes a fragment in. `unclaimed` is given what waited in vain in datagrams that end by this.
    pub fn add(&mut self, piece: &Piece<'_>, unclaimed: &mut impl FnMut(Unclaimed)) -> Added<'_> {
        self.counts.fragments += 1;
        self.now = self.now.max(piece.frame.time);
        let slot = self.find(piece, unclaimed);
        let (flow, claimed) = self.resolve(slot, piece);
        let whole_bytes = self.store(slot, piece);
        Added { flow, claimed, whole: whole_bytes.map(|bytes| &self.whole[..bytes]) }
    }

    /// Forgets datagrams whose time has passed, at most `datagrams_max`.
    pub fn expire(&mut self, now: Moment, datagrams_max: usize, unclaimed: &mut impl FnMut(Unclaimed)) {
        self.now = self.now.max(now);
        for _ in 0..datagrams_max {
            let mut oldest = [self.spent.first(), self.assembling.first()].into_iter().flatten();
            let Some(slot) = oldest.find(|slot| self.is_over(*slot)) else { return };
            self.forget(slot, Ending::TimedOut, unclaimed);
        }
    }

    /// Forgets all datagrams.
    pub fn flush(&mut self, unclaimed: &mut impl FnMut(Unclaimed)) {
        while let Some(slot) = self.spent.first().or(self.assembling.first()) {
            self.forget(slot, Ending::Flushed, unclaimed);
        }
    }

    pub fn counts(&self) -> ReassemblyCounts {
        self.counts
    }

    pub fn levels(&self) -> ReassemblyLevels {
        ReassemblyLevels {
            assembling: self.assembling.len(),
            spent: self.spent.len(),
            memory_bytes: self.blocks.used_bytes(),
        }
    }

    /// The datagram of a fragment, which may begin with it.
    fn find(&mut self, piece: &Piece<'_>, unclaimed: &mut impl FnMut(Unclaimed)) -> SlotId {
        let hash = piece.id.hash(self.hash_key);
        if let Some(slot) = self.slots.find(hash, &piece.id) {
            let datagram = &self.slots[slot];
            let is_reused = datagram.state == State::Spent && datagram.is_resolved && piece.is_beginning();
            if !is_reused && !self.is_over(slot) {
                return slot;
            }
            self.forget(slot, Ending::TimedOut, unclaimed);
        }
        if let Some(oldest) = self.slots.crowded(hash) {
            self.forget(oldest, Ending::EvictedCrowded, unclaimed);
        }
        if self.slots.is_full() {
            let oldest = self.spent.first().or(self.assembling.first()).expect("a full slab has datagrams");
            self.forget(oldest, Ending::EvictedDatagrams, unclaimed);
        }
        self.counts.begun += 1;
        let slot = self.slots.insert(hash, Slot::new(piece.id, self.now));
        self.headers[slot.0 as usize].clear();
        self.assembling.push(slot);
        slot
    }

    /// The flow of a fragment, and what it claims.
    fn resolve(&mut self, slot: SlotId, piece: &Piece<'_>) -> (Option<(FlowKey, Side)>, Option<Waiting>) {
        let datagram = &mut self.slots[slot];
        let own = (piece.packet.key, piece.packet.sender);
        let is_first = piece.offset == 0;
        if !is_first && !datagram.is_resolved {
            if datagram.waiting.packets == 0 {
                (datagram.flow, datagram.sender) = own;
            }
            datagram.waiting.add(piece);
            return (None, None);
        }
        self.counts.resolved += 1;
        if !is_first {
            return (Some((datagram.flow, datagram.sender)), None);
        }
        self.counts.first_without_ports += u64::from(piece.lacks_ports());
        let is_settled = !self.headers[slot.0 as usize].bytes().is_empty();
        if is_settled || !piece.is_beginning() {
            return (Some(own), None);
        }
        (datagram.flow, datagram.sender) = own;
        datagram.is_resolved = true;
        let claimed = datagram.waiting.take();
        self.counts.claimed += claimed.map_or(0, |waiting| u64::from(waiting.packets));
        (Some(own), claimed)
    }

    /// Takes the bytes of a fragment; returns the length of the packet that they complete.
    fn store(&mut self, slot: SlotId, piece: &Piece<'_>) -> Option<usize> {
        if let Some(refusal) = self.refusal(slot, piece) {
            self.counts.refused[refusal as usize] += 1;
            return None;
        }
        if self.slots[slot].state == State::Spent {
            self.counts.late += 1;
            return None;
        }
        if !self.reserve(slot, piece) {
            return None;
        }
        if piece.offset == 0 && self.headers[slot.0 as usize].bytes().is_empty() {
            self.headers[slot.0 as usize].store(piece.header);
        }
        let written = self.write(slot, piece);
        self.counts.duplicate += u64::from(written.fresh_units == 0 && !written.is_conflict);
        self.counts.overlapping +=
            u64::from(written.held_units > 0 && (written.fresh_units > 0 || written.is_conflict));
        self.counts.conflicting += u64::from(written.is_conflict);
        let datagram = &self.slots[slot];
        let end = datagram.end?;
        if datagram.units as usize != (end as usize).div_ceil(UNIT_BYTES) {
            return None;
        }
        let assembled = self.assemble(slot, end as usize);
        self.spend(slot, assembled.err().unwrap_or(Ending::Completed));
        assembled.ok()
    }

    /// Why the bytes of a fragment cannot be taken.
    fn refusal(&self, slot: SlotId, piece: &Piece<'_>) -> Option<Refusal> {
        if let Some(malformation) = piece.malformation() {
            return Some(malformation);
        }
        if piece.payload.len() < piece.wire_bytes as usize {
            return Some(Refusal::CaptureCut);
        }
        let datagram = &self.slots[slot];
        if datagram.state == State::Spent {
            return None;
        }
        if piece.offset == 0 && piece.header.bytes.len() > HEADER_BYTES_MAX {
            return Some(Refusal::HeaderTooLong);
        }
        let end = piece.range().end;
        match datagram.end {
            Some(known) if end > known => Some(Refusal::BeyondEnd),
            Some(known) if !piece.has_more && end != known => Some(Refusal::EndConflict),
            None if !piece.has_more && end < datagram.reached => Some(Refusal::BeyondEnd),
            _ => None,
        }
    }

    /// Takes the blocks that a fragment needs, if need be from the datagrams that have held theirs for longest. False
    /// if that hit its own datagram.
    fn reserve(&mut self, slot: SlotId, piece: &Piece<'_>) -> bool {
        let range = piece.range();
        for index in range.start as usize / BLOCK_BYTES..(range.end as usize).div_ceil(BLOCK_BYTES) {
            if self.slots[slot].blocks[index] != BlockId::NONE {
                continue;
            }
            let block = match self.blocks.take() {
                Some(block) => block,
                None => {
                    let longest = self.holders.first().unwrap_or(slot);
                    self.spend(longest, Ending::EvictedMemory);
                    if longest == slot {
                        return false;
                    }
                    self.blocks.take().expect("a holder has just given back its blocks")
                }
            };
            let datagram = &mut self.slots[slot];
            datagram.blocks[index] = block;
            datagram.blocks_held += 1;
            if datagram.blocks_held == 1 {
                self.holders.push(slot);
            }
        }
        true
    }

    /// Writes a fragment into blocks that are there.
    fn write(&mut self, slot: SlotId, piece: &Piece<'_>) -> Written {
        let datagram = &mut self.slots[slot];
        let range = piece.range();
        let (mut written, mut at, mut rest) = (Written::default(), range.start as usize, piece.payload);
        while !rest.is_empty() {
            let in_block = at % BLOCK_BYTES;
            let (part, behind) = rest.split_at(rest.len().min(BLOCK_BYTES - in_block));
            written.add(self.blocks.write(datagram.blocks[at / BLOCK_BYTES], in_block, part));
            (at, rest) = (at + part.len(), behind);
        }
        datagram.units += written.fresh_units;
        datagram.reached = datagram.reached.max(range.end);
        if !piece.has_more {
            datagram.end = Some(range.end);
        }
        written
    }

    /// Puts the packet together and returns its length, or why it is none.
    fn assemble(&mut self, slot: SlotId, end: usize) -> Result<usize, Ending> {
        let header = &self.headers[slot.0 as usize];
        if !header.carries(end) {
            return Err(Ending::Oversize);
        }
        let header_bytes = header.bytes().len();
        let (head, payload) = self.whole[..header_bytes + end].split_at_mut(header_bytes);
        head.copy_from_slice(header.bytes());
        for (part, block) in payload.chunks_mut(BLOCK_BYTES).zip(self.slots[slot].blocks) {
            part.copy_from_slice(self.blocks.read(block, 0..part.len()));
        }
        let packet = &mut self.whole[..header_bytes + end];
        header::complete(packet, header_bytes);
        if header.is_v6() && FragmentHeader::find(packet).is_some() {
            return Err(Ending::Nested);
        }
        Ok(packet.len())
    }

    /// Ends the assembly of a datagram, which gives its blocks back and from now on only tells its flow.
    fn spend(&mut self, slot: SlotId, ending: Ending) {
        self.counts.ended[ending as usize] += 1;
        let datagram = &mut self.slots[slot];
        datagram.state = State::Spent;
        datagram.since = self.now;
        if datagram.blocks_held > 0 {
            datagram.blocks_held = 0;
            let blocks = std::mem::replace(&mut datagram.blocks, [BlockId::NONE; DATAGRAM_BLOCKS]);
            blocks
                .into_iter()
                .filter(|block| *block != BlockId::NONE)
                .for_each(|block| self.blocks.release(block));
            self.holders.remove(slot);
        }
        self.assembling.remove(slot);
        self.spent.push(slot);
    }

    /// Frees the place of a datagram; `ending` is what it is counted as if it was still being assembled.
    fn forget(&mut self, slot: SlotId, ending: Ending, unclaimed: &mut impl FnMut(Unclaimed)) {
        if self.slots[slot].state == State::Assembling {
            self.spend(slot, ending);
        }
        let datagram = &mut self.slots[slot];
        if let Some(waiting) = datagram.waiting.take() {
            self.counts.unclaimed += u64::from(waiting.packets);
            unclaimed(Unclaimed { key: datagram.flow, sender: datagram.sender, waiting });
        }
        self.spent.remove(slot);
        self.slots.remove(slot);
    }

    fn is_over(&self, slot: SlotId) -> bool {
        self.now.since(self.slots[slot].since) >= self.timeout_ns
    }
}

#[cfg(test)]
mod tests;
