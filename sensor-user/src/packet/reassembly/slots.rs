//! The datagrams under way: a slab of fixed size and a chained hash index over it.
//!
//! There are at least as many chains as slots, under a keyed hash, so they are short; none is ever longer than
//! [`CHAIN_MAX`].

use super::{
    blocks::BlockId,
    piece::{DATAGRAM_BLOCKS, DatagramId},
    waiting::Waiting,
};
use crate::{clock::Moment, flow::FlowKey, huge, packet::Side};

/// Datagrams whose hashes may share a head. With one datagram a head on average, random hashes do not get there.
pub const CHAIN_MAX: usize = 16;

/// Position of a datagram in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Collects bytes.
    Assembling,
    /// Has none and wants none any more; only tells flows.
    Spent,
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub id: DatagramId,
    pub state: State,
    /// When it began; when it was spent, once it is.
    pub since: Moment,
    /// The flow, as the first fragment says it; until it came, the one without ports of the fragments that wait.
    pub flow: FlowKey,
    pub sender: Side,
    pub is_resolved: bool,
    pub waiting: Waiting,
    /// Length of the payload, once the last fragment said it.
    pub end: Option<u32>,
    /// The highest end of a fragment so far.
    pub reached: u32,
    /// Units of eight bytes that are there.
    pub units: u32,
    pub blocks: [BlockId; DATAGRAM_BLOCKS],
    pub blocks_held: u8,
    /// Head of the chain it is in.
    head: u32,
    /// Number plus one of the next one in the chain; zero ends it.
    next: u32,
}

impl Slot {
    /// A datagram of which nothing has come.
    pub const fn new(id: DatagramId, since: Moment) -> Slot {
        Slot {
            id,
            state: State::Assembling,
            since,
            flow: FlowKey::EMPTY,
            sender: Side::Low,
            is_resolved: false,
            waiting: Waiting::NONE,
            end: None,
            reached: 0,
            units: 0,
            blocks: [BlockId::NONE; DATAGRAM_BLOCKS],
            blocks_held: 0,
            head: 0,
            next: 0,
        }
    }
}

#[derive(Debug)]
pub struct Slots {
    slab: Vec<Slot>,
    free: Vec<SlotId>,
    capacity: usize,
    /// Number plus one of the first slot of each chain; zero is empty.
    heads: Box<[u32]>,
}

impl Slots {
    pub fn new(capacity: usize) -> Slots {
        Slots {
            slab: huge::reserved(capacity),
            free: huge::reserved(capacity),
            capacity,
            heads: vec![0; capacity.next_power_of_two()].into_boxed_slice(),
        }
    }

    /// For a slab that is empty.
    pub fn touch(&mut self) {
        huge::touch(&mut self.slab, Slot::new(DatagramId::NONE, Moment(0)));
        huge::touch(&mut self.free, SlotId(0));
        self.heads.fill(0);
    }

    pub fn predicted_bytes(capacity: usize) -> usize {
        capacity * (size_of::<Slot>() + size_of::<SlotId>()) + capacity.next_power_of_two() * size_of::<u32>()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.slab.len() == self.capacity
    }

    pub fn find(&self, hash: u64, id: &DatagramId) -> Option<SlotId> {
        self.chain(hash).find(|slot| self[*slot].id == *id)
    }

    /// The oldest of a chain that is full.
    pub fn crowded(&self, hash: u64) -> Option<SlotId> {
        self.chain(hash).nth(CHAIN_MAX - 1)
    }

    /// Puts a datagram into a slab that is not full, under a hash whose chain is not full either.
    pub fn insert(&mut self, hash: u64, slot: Slot) -> SlotId {
        let head = self.head(hash);
        let slot = Slot { head: head as u32, next: self.heads[head], ..slot };
        let id = match self.free.pop() {
            Some(id) => {
                self[id] = slot;
                id
            }
            None => {
                assert!(self.slab.len() < self.capacity, "the caller made room");
                self.slab.push(slot);
                SlotId(self.slab.len() as u32 - 1)
            }
        };
        self.heads[head] = id.0 + 1;
        id
    }

    pub fn remove(&mut self, id: SlotId) {
        let Slot { head, next, .. } = self[id];
        let number = id.0 + 1;
        let mut before = self.heads[head as usize];
        if before == number {
            self.heads[head as usize] = next;
        } else {
            while self[SlotId(before - 1)].next != number {
                before = self[SlotId(before - 1)].next;
                assert_ne!(before, 0, "a slot in use is in its chain");
            }
            self[SlotId(before - 1)].next = next;
        }
        self.free.push(id);
    }

    fn head(&self, hash: u64) -> usize {
        hash as usize & (self.heads.len() - 1)
    }

    /// The newest first.
    fn chain(&self, hash: u64) -> impl Iterator<Item = SlotId> + '_ {
        let slot = |number: u32| number.checked_sub(1).map(SlotId);
        std::iter::successors(slot(self.heads[self.head(hash)]), move |id| slot(self[*id].next))
    }
}

impl std::ops::Index<SlotId> for Slots {
    type Output = Slot;

    fn index(&self, id: SlotId) -> &Slot {
        &self.slab[id.0 as usize]
    }
}

impl std::ops::IndexMut<SlotId> for Slots {
    fn index_mut(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slab[id.0 as usize]
    }
}
