//! First in, first out, with removal from the middle: a doubly linked list over slot numbers. Every operation takes
//! constant time; nothing is allocated after construction.

use super::slots::SlotId;
use crate::huge;

const NONE: u32 = u32::MAX;

/// Slots in the order in which they were pushed. A slot is in it at most once.
#[derive(Debug)]
pub struct Queue {
    links: Vec<Links>,
    first: u32,
    last: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    next: u32,
    previous: u32,
}

impl Queue {
    pub fn new(slots: usize) -> Queue {
        let mut links = huge::reserved(slots);
        links.resize(slots, Links { next: NONE, previous: NONE });
        Queue { links, first: NONE, last: NONE, len: 0 }
    }

    pub fn predicted_bytes(slots: usize) -> usize {
        slots * size_of::<Links>()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn first(&self) -> Option<SlotId> {
        (self.first != NONE).then_some(SlotId(self.first))
    }

    pub fn push(&mut self, slot: SlotId) {
        self.links[slot.0 as usize] = Links { next: NONE, previous: self.last };
        match self.last {
            NONE => self.first = slot.0,
            last => self.links[last as usize].next = slot.0,
        }
        self.last = slot.0;
        self.len += 1;
    }

    /// Takes out a slot that is in the queue.
    pub fn remove(&mut self, slot: SlotId) {
        let Links { next, previous } = self.links[slot.0 as usize];
        match previous {
            NONE => self.first = next,
            previous => self.links[previous as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.links[next as usize].previous = previous,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn queue_behaves_like_a_deque(slots in proptest::collection::vec(0u32..8, 1..200)) {
            let mut queue = Queue::new(8);
            let mut model = VecDeque::new();
            for slot in slots {
                match model.iter().position(|queued| *queued == slot) {
                    Some(position) => {
                        queue.remove(SlotId(slot));
                        model.remove(position);
                    }
                    None => {
                        queue.push(SlotId(slot));
                        model.push_back(slot);
                    }
                }
                prop_assert_eq!(queue.first(), model.front().copied().map(SlotId));
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
