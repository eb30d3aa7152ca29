//! Doubly linked lists threaded through a slab: push and unlink in constant time, no allocation.

use super::table::SlotId;

/// Neighbours of one slot in one list. A slot that is in no list points at itself nowhere: `NONE`, `NONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    pub next: u32,
    pub previous: u32,
}

pub const NONE: u32 = u32::MAX;

impl Links {
    pub const UNLINKED: Links = Links { next: NONE, previous: NONE };
}

/// First and last slot of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    first: u32,
    last: u32,
}

impl List {
    pub const EMPTY: List = List { first: NONE, last: NONE };

    pub fn first(&self) -> Option<SlotId> {
        (self.first != NONE).then_some(SlotId(self.first))
    }

    pub fn push_back(&mut self, links: &mut impl LinkStore, slot: SlotId) {
        *links.links_mut(slot) = Links { next: NONE, previous: self.last };
        match self.last {
            NONE => self.first = slot.0,
            last => links.links_mut(SlotId(last)).next = slot.0,
        }
        self.last = slot.0;
    }

    pub fn unlink(&mut self, links: &mut impl LinkStore, slot: SlotId) {
        let Links { next, previous } = *links.links_mut(slot);
        match previous {
            NONE => self.first = next,
            previous => links.links_mut(SlotId(previous)).next = next,
        }
        match next {
            NONE => self.last = previous,
            next => links.links_mut(SlotId(next)).previous = previous,
        }
        *links.links_mut(slot) = Links::UNLINKED;
    }
}

/// Where the links of a list are kept.
pub trait LinkStore {
    fn links_mut(&mut self, slot: SlotId) -> &mut Links;
}
