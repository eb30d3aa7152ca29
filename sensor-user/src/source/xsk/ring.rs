//! The rings that kernel and userspace share: single producer, single consumer, indices that wrap at 2³².
//!
//! Layout (linux/if_xdp.h, `struct xdp_mmap_offsets`): a producer index, a consumer index, a flags word and a
//! power-of-two array of entries, at offsets that the kernel names. One side publishes its index with release
//! order, the other reads it with acquire order; nothing else is shared. [`Consumer`] and [`Producer`]
//! know the protocol, [`SharedRing`] the memory; the tests put the same protocol over other memory, where loom tries
//! every interleaving.
#![expect(unsafe_code, reason = "rings live in memory shared with the kernel")]

use super::mapping::Mapping;
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Byte offsets of a ring's parts from the start of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOffsets {
    pub producer: usize,
    pub consumer: usize,
    pub flags: usize,
    pub entries: usize,
}

/// `struct xdp_desc` of linux/if_xdp.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Descriptor {
    /// Offset of the data in the UMEM.
    pub address: u64,
    pub length: u32,
    pub options: u32,
}

const _: () = assert!(size_of::<Descriptor>() == 16);

/// Types that may lie in a ring.
///
/// # Safety
/// Any bits are a value, and there is no padding.
pub unsafe trait Entry: Copy {}
// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: three integers of 8, 4 and 4 bytes, no padding.
unsafe impl Entry for Descriptor {}

/// The memory that both ends of a ring see. Indices count on and wrap; entries are addressed modulo the size.
pub trait RingMemory<T> {
    /// Entries, a power of two.
    fn capacity(&self) -> u32;
    fn load_producer(&self, ordering: Ordering) -> u32;
    fn store_producer(&self, index: u32);
    fn load_consumer(&self, ordering: Ordering) -> u32;
    fn store_consumer(&self, index: u32);
    fn read(&self, index: u32) -> T;
    fn write(&mut self, index: u32, entry: T);
}

/// A ring in memory that the kernel mapped.
#[derive(Debug)]
pub struct SharedRing<T> {
    producer: *const AtomicU32,
    consumer: *const AtomicU32,
    flags: *const AtomicU32,
    entries: *mut T,
    mask: u32,
    _mapping: Arc<Mapping>,
}

// SAFETY: the pointers stay valid wherever the ring is moved, and one end is owned by one thread at a time.
unsafe impl<T: Entry> Send for SharedRing<T> {}

impl<T: Entry> SharedRing<T> {
    pub fn new(mapping: Arc<Mapping>, offsets: RingOffsets, entries_len: u32) -> SharedRing<T> {
        assert!(entries_len.is_power_of_two(), "ring sizes are powers of two");
        let end = offsets.entries + entries_len as usize * size_of::<T>();
        assert!(end <= mapping.len(), "the kernel mapped the whole ring");
        let words = [offsets.producer, offsets.consumer, offsets.flags];
        assert!(
            words.iter().all(|at| at + 4 <= mapping.len() && at % 4 == 0),
            "index words lie in the mapping"
        );
        assert!(offsets.entries.is_multiple_of(align_of::<T>()), "entries are aligned");
        let base = mapping.base();
        // SAFETY: all four offsets, with the length of what lies there, were checked against the mapping.
        unsafe {
            SharedRing {
                producer: base.add(offsets.producer).cast(),
                consumer: base.add(offsets.consumer).cast(),
                flags: base.add(offsets.flags).cast(),
                entries: base.add(offsets.entries).cast(),
                mask: entries_len - 1,
                _mapping: mapping,
            }
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: in bounds and aligned (checked in `new`), alive as long as `_mapping`.
        unsafe { &*self.producer }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for `producer`.
        unsafe { &*self.consumer }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as for `producer`.
        unsafe { &*self.flags }
    }
}

impl<T: Entry> RingMemory<T> for SharedRing<T> {
    #[inline(always)]
    fn capacity(&self) -> u32 {
        self.mask + 1
    }

    #[inline(always)]
    fn load_producer(&self, ordering: Ordering) -> u32 {
        self.producer().load(ordering)
    }

    #[inline(always)]
    fn store_producer(&self, index: u32) {
        self.producer().store(index, Ordering::Release);
    }

    #[inline(always)]
    fn load_consumer(&self, ordering: Ordering) -> u32 {
        self.consumer().load(ordering)
    }

    #[inline(always)]
    fn store_consumer(&self, index: u32) {
        self.consumer().store(index, Ordering::Release);
    }

    #[inline(always)]
    fn read(&self, index: u32) -> T {
        // SAFETY: the masked index is below the number of entries.
        unsafe { self.entries.add((index & self.mask) as usize).read() }
    }

    #[inline(always)]
    fn write(&mut self, index: u32, entry: T) {
        // SAFETY: the masked index is below the number of entries.
        unsafe { self.entries.add((index & self.mask) as usize).write(entry) };
    }
}

/// The end that takes entries out: the receive ring.
#[derive(Debug)]
pub struct Consumer<T, M = SharedRing<T>> {
    memory: M,
    /// Our own index, as published last.
    consumed: u32,
    /// The producer's index, as read last.
    produced: u32,
    entry: PhantomData<T>,
}

impl<T, M: RingMemory<T>> Consumer<T, M> {
    pub fn new(memory: M) -> Consumer<T, M> {
        let consumed = memory.load_consumer(Ordering::Relaxed);
        Consumer { memory, consumed, produced: consumed, entry: PhantomData }
    }

    /// Entries waiting. Asks the producer only when the last answer is used up.
    #[inline(always)]
    pub fn available(&mut self) -> u32 {
        if self.produced == self.consumed {
            self.produced = self.memory.load_producer(Ordering::Acquire);
        }
        self.produced.wrapping_sub(self.consumed)
    }

    /// Asks the producer again although entries are left.
    pub fn refresh(&mut self) {
        self.produced = self.memory.load_producer(Ordering::Acquire);
    }

    /// The entry `ahead` of the next one; `ahead` is below the last [`Consumer::available`].
    #[inline(always)]
    pub fn peek(&self, ahead: u32) -> T {
        debug_assert!(ahead < self.produced.wrapping_sub(self.consumed));
        self.memory.read(self.consumed.wrapping_add(ahead))
    }

    /// Gives the room of the next `count` entries back to the producer.
    #[inline(always)]
    pub fn release(&mut self, count: u32) {
        debug_assert!(count <= self.produced.wrapping_sub(self.consumed));
        self.consumed = self.consumed.wrapping_add(count);
        self.memory.store_consumer(self.consumed);
    }

    /// Entries that the producer has put in and nobody has taken.
    pub fn level(&self) -> u32 {
        self.memory.load_producer(Ordering::Relaxed).wrapping_sub(self.consumed)
    }
}

/// The end that puts entries in: the fill ring.
#[derive(Debug)]
pub struct Producer<T, M = SharedRing<T>> {
    memory: M,
    /// Our own index, published by [`Producer::submit`].
    written: u32,
    /// The consumer's index, as read last.
    consumed: u32,
    entry: PhantomData<T>,
}

impl<T, M: RingMemory<T>> Producer<T, M> {
    pub fn new(memory: M) -> Producer<T, M> {
        let written = memory.load_producer(Ordering::Relaxed);
        let consumed = memory.load_consumer(Ordering::Relaxed);
        Producer { memory, written, consumed, entry: PhantomData }
    }

    /// Writes one entry, not yet visible to the consumer; gives it back when the ring is full.
    #[inline(always)]
    pub fn write(&mut self, entry: T) -> Result<(), T> {
        let capacity = self.memory.capacity();
        if self.written.wrapping_sub(self.consumed) == capacity {
            self.consumed = self.memory.load_consumer(Ordering::Acquire);
            if self.written.wrapping_sub(self.consumed) == capacity {
                return Err(entry);
            }
        }
        self.memory.write(self.written, entry);
        self.written = self.written.wrapping_add(1);
        Ok(())
    }

    /// Makes all written entries visible.
    #[inline(always)]
    pub fn submit(&mut self) {
        self.memory.store_producer(self.written);
    }

    /// Entries that the consumer has not taken yet.
    pub fn level(&self) -> u32 {
        self.written.wrapping_sub(self.memory.load_consumer(Ordering::Relaxed))
    }
}

impl<T: Entry> Producer<T> {
    /// The kernel sleeps and wants a system call (`XDP_RING_NEED_WAKEUP`).
    pub fn needs_wakeup(&self) -> bool {
        self.memory.flags().load(Ordering::Relaxed) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::{cell::UnsafeCell, sync::atomic, thread};

    /// A ring whose every access loom watches: a data race on an entry is a failure, whatever the interleaving.
    struct WatchedRing {
        producer: atomic::AtomicU32,
        consumer: atomic::AtomicU32,
        entries: Vec<UnsafeCell<u64>>,
    }

    // SAFETY: what the tests are there to show; loom panics on an access that is not ordered.
    unsafe impl Sync for WatchedRing {}
    // SAFETY: plain data.
    unsafe impl Send for WatchedRing {}

    impl WatchedRing {
        fn starting_at(index: u32, capacity: usize) -> loom::sync::Arc<WatchedRing> {
            loom::sync::Arc::new(WatchedRing {
                producer: atomic::AtomicU32::new(index),
                consumer: atomic::AtomicU32::new(index),
                entries: (0..capacity).map(|_| UnsafeCell::new(0)).collect(),
            })
        }

        fn entry(&self, index: u32) -> &UnsafeCell<u64> {
            &self.entries[index as usize % self.entries.len()]
        }
    }

    impl RingMemory<u64> for loom::sync::Arc<WatchedRing> {
        fn capacity(&self) -> u32 {
            self.entries.len() as u32
        }

        fn load_producer(&self, ordering: Ordering) -> u32 {
            self.producer.load(ordering)
        }

        fn store_producer(&self, index: u32) {
            self.producer.store(index, Ordering::Release);
        }

        fn load_consumer(&self, ordering: Ordering) -> u32 {
            self.consumer.load(ordering)
        }

        fn store_consumer(&self, index: u32) {
            self.consumer.store(index, Ordering::Release);
        }

        fn read(&self, index: u32) -> u64 {
            // SAFETY: loom checks that no write is concurrent.
            self.entry(index).with(|entry| unsafe { *entry })
        }

        fn write(&mut self, index: u32, value: u64) {
            // SAFETY: loom checks that no other access is concurrent.
            self.entry(index).with_mut(|entry| unsafe { *entry = value });
        }
    }

    #[test]
    fn every_interleaving_passes_every_entry_once_and_in_order() {
        const COUNT: u64 = 3;
        // Bugs of two threads show within few preemptions; unbounded, the waiting loops make it hours.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            // Two entries for three values, across the wrap of the index.
            let ring = WatchedRing::starting_at(u32::MAX - 1, 2);
            let mut producer = Producer::new(ring.clone());
            let mut consumer = Consumer::new(ring);
            let writer = thread::spawn(move || {
                for value in 0..COUNT {
                    while producer.write(value).is_err() {
                        thread::yield_now();
                    }
                    producer.submit();
                }
            });
            let mut next = 0;
            while next < COUNT {
                let available = consumer.available();
                for ahead in 0..available {
                    assert_eq!(consumer.peek(ahead), next);
                    next += 1;
                }
                consumer.release(available);
                if available == 0 {
                    thread::yield_now();
                }
            }
            writer.join().expect("the writer ends");
        });
    }

    #[test]
    fn entries_are_invisible_before_submit_and_a_full_ring_gives_them_back() {
        loom::model(|| {
            let ring = WatchedRing::starting_at(u32::MAX, 4);
            let mut producer = Producer::new(ring.clone());
            let mut consumer = Consumer::new(ring);
            for value in 0..4 {
                producer.write(value).expect("room for four");
            }
            assert_eq!(consumer.available(), 0);
            assert_eq!(producer.write(4), Err(4));
            producer.submit();
            assert_eq!((consumer.available(), consumer.level(), producer.level()), (4, 4, 4));
            consumer.release(1);
            assert_eq!(producer.write(4), Ok(()));
            assert_eq!(consumer.peek(0), 1);
        });
    }
}
