//! The rings that kernel and userspace share: single producer, single consumer, indices that wrap at 2³².
//!
//! Layout (linux/if_xdp.h, `struct xdp_mmap_offsets`): a producer index, a consumer index, a flags word and a
//! power-of-two array of entries, at offsets that the kernel names. One side publishes its index with release
//! order, the other reads it with acquire order; nothing else is shared. The tests put rings over
//! ordinary memory, so that all of this runs without a kernel and under Miri.
#![expect(unsafe_code, reason = "rings live in memory shared with the kernel")]

use super::mapping::Mapping;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Byte offsets of a ring's parts from the start of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOffsets {
    pub producer: usize,
    pub consumer: usize,
    pub flags: usize,
    pub entries: usize,
}

/// What keeps a ring's memory alive.
#[derive(Clone, Debug)]
pub enum RingMemory {
    Mapped(Arc<Mapping>),
    /// Ordinary memory.
    #[cfg(test)]
    Plain(Arc<PlainMemory>),
}

/// Zeroed, 8-byte aligned memory.
#[cfg(test)]
#[derive(Debug)]
pub struct PlainMemory(Box<[std::cell::UnsafeCell<u64>]>);

// SAFETY: rings access it through atomics and the index protocol alone.
#[cfg(test)]
unsafe impl Sync for PlainMemory {}

#[cfg(test)]
impl PlainMemory {
    pub fn new(bytes: usize) -> PlainMemory {
        PlainMemory((0..bytes.div_ceil(8)).map(|_| std::cell::UnsafeCell::new(0)).collect())
    }
}

impl RingMemory {
    fn base(&self) -> *mut u8 {
        match self {
            RingMemory::Mapped(mapping) => mapping.base(),
            #[cfg(test)]
            RingMemory::Plain(plain) => plain.0.as_ptr().cast_mut().cast(),
        }
    }

    fn len(&self) -> usize {
        match self {
            RingMemory::Mapped(mapping) => mapping.len(),
            #[cfg(test)]
            RingMemory::Plain(plain) => plain.0.len() * 8,
        }
    }
}

/// Types that may lie in a ring: any bits are a value, no padding.
///
/// # Safety
/// As above.
pub unsafe trait Entry: Copy {}
// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: three integers of 8, 4 and 4 bytes, no padding.
unsafe impl Entry for Descriptor {}

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

/// Both ends look alike: raw places in memory that `memory` keeps alive.
#[derive(Debug)]
struct Ring<T> {
    producer: *const AtomicU32,
    consumer: *const AtomicU32,
    flags: *const AtomicU32,
    entries: *mut T,
    mask: u32,
    _memory: RingMemory,
}

// SAFETY: the pointers stay valid wherever the ring is moved, and one end is owned by one thread at a time.
unsafe impl<T: Entry> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    fn new(memory: RingMemory, offsets: RingOffsets, entries_len: u32) -> Ring<T> {
        assert!(entries_len.is_power_of_two(), "ring sizes are powers of two");
        let end = offsets.entries + entries_len as usize * size_of::<T>();
        assert!(end <= memory.len(), "the kernel mapped the whole ring");
        let words = [offsets.producer, offsets.consumer, offsets.flags];
        assert!(
            words.iter().all(|at| at + 4 <= memory.len() && at % 4 == 0),
            "index words lie in the mapping"
        );
        assert!(offsets.entries.is_multiple_of(align_of::<T>()), "entries are aligned");
        let base = memory.base();
        // SAFETY: all four offsets, with the length of what lies there, were checked against the mapping.
        unsafe {
            Ring {
                producer: base.add(offsets.producer).cast(),
                consumer: base.add(offsets.consumer).cast(),
                flags: base.add(offsets.flags).cast(),
                entries: base.add(offsets.entries).cast(),
                mask: entries_len - 1,
                _memory: memory,
            }
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: in bounds and aligned (checked in `new`), alive as long as `_memory`.
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
pub struct Consumer<T> {
    ring: Ring<T>,
    /// Our own index, as published last.
    consumed: u32,
    /// The producer's index, as read last.
    produced: u32,
}

impl<T: Entry> Consumer<T> {
    pub fn new(memory: RingMemory, offsets: RingOffsets, entries_len: u32) -> Consumer<T> {
        let ring = Ring::new(memory, offsets, entries_len);
        let consumed = ring.consumer().load(Ordering::Relaxed);
        Consumer { ring, consumed, produced: consumed }
    }

    /// Entries waiting. Asks the producer only when the last answer is used up.
    #[inline(always)]
    pub fn available(&mut self) -> u32 {
        if self.produced == self.consumed {
            self.produced = self.ring.producer().load(Ordering::Acquire);
        }
        self.produced.wrapping_sub(self.consumed)
    }

    /// The entry `ahead` of the next one; `ahead` is below the last [`Consumer::available`].
    #[inline(always)]
    pub fn peek(&self, ahead: u32) -> T {
        debug_assert!(ahead < self.produced.wrapping_sub(self.consumed));
        self.ring.read(self.consumed.wrapping_add(ahead))
    }

    /// Gives the room of the next `count` entries back to the producer.
    #[inline(always)]
    pub fn release(&mut self, count: u32) {
        debug_assert!(count <= self.produced.wrapping_sub(self.consumed));
        self.consumed = self.consumed.wrapping_add(count);
        self.ring.consumer().store(self.consumed, Ordering::Release);
    }
}

/// The end that puts entries in: the fill ring.
#[derive(Debug)]
pub struct Producer<T> {
    ring: Ring<T>,
    /// Our own index, published by [`Producer::submit`].
    written: u32,
    /// The consumer's index, as read last.
    consumed: u32,
}

impl<T: Entry> Producer<T> {
    pub fn new(memory: RingMemory, offsets: RingOffsets, entries_len: u32) -> Producer<T> {
        let ring = Ring::new(memory, offsets, entries_len);
        let written = ring.producer().load(Ordering::Relaxed);
        let consumed = ring.consumer().load(Ordering::Relaxed);
        Producer { ring, written, consumed }
    }

    /// Writes one entry, not yet visible to the consumer; gives it back when the ring is full.
    #[inline(always)]
    pub fn write(&mut self, entry: T) -> Result<(), T> {
        let capacity = self.ring.mask + 1;
        if self.written.wrapping_sub(self.consumed) == capacity {
            self.consumed = self.ring.consumer().load(Ordering::Acquire);
            if self.written.wrapping_sub(self.consumed) == capacity {
                return Err(entry);
            }
        }
        self.ring.write(self.written, entry);
        self.written = self.written.wrapping_add(1);
        Ok(())
    }

    /// Makes all written entries visible.
    #[inline(always)]
    pub fn submit(&mut self) {
        self.ring.producer().store(self.written, Ordering::Release);
    }

    /// The consumer sleeps and wants a system call (`XDP_RING_NEED_WAKEUP`).
    pub fn needs_wakeup(&self) -> bool {
        self.ring.flags().load(Ordering::Relaxed) & 1 != 0
    }

    /// Entries that the consumer has not taken yet.
    pub fn level(&self) -> u32 {
        self.written.wrapping_sub(self.ring.consumer().load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: RingOffsets = RingOffsets { producer: 0, consumer: 64, flags: 128, entries: 192 };

    fn ring_pair<T: Entry>(entries: u32, start: u32) -> (Producer<T>, Consumer<T>) {
        let bytes = OFFSETS.entries + entries as usize * size_of::<T>();
        let memory = RingMemory::Plain(Arc::new(PlainMemory::new(bytes)));
        let ring: Ring<T> = Ring::new(memory.clone(), OFFSETS, entries);
        ring.producer().store(start, Ordering::Relaxed);
        ring.consumer().store(start, Ordering::Relaxed);
        (Producer::new(memory.clone(), OFFSETS, entries), Consumer::new(memory, OFFSETS, entries))
    }

    #[test]
    fn entries_arrive_in_order_across_the_wrap_of_the_index() {
        let (mut producer, mut consumer) = ring_pair::<u64>(8, u32::MAX - 3);
        let mut expected = 0;
        for round in 0..10u64 {
            for n in 0..7 {
                producer.write(round * 7 + n).expect("room for seven");
            }
            assert_eq!(consumer.available(), 0, "nothing is visible before submit");
            producer.submit();
            assert_eq!(consumer.available(), 7);
            for ahead in 0..7 {
                assert_eq!(consumer.peek(ahead), expected);
                expected += 1;
            }
            consumer.release(7);
        }
    }

    #[test]
    fn full_ring_gives_the_entry_back() {
        let (mut producer, mut consumer) = ring_pair::<u64>(4, 0);
        for n in 0..4 {
            producer.write(n).expect("room for four");
        }
        assert_eq!(producer.write(4), Err(4));
        producer.submit();
        assert_eq!((consumer.available(), producer.level()), (4, 4));
        consumer.release(1);
        assert_eq!(producer.write(4), Ok(()));
    }

    #[test]
    fn two_threads_pass_every_entry_once() {
        const COUNT: u64 = if cfg!(miri) { 200 } else { 200_000 };
        let (mut producer, mut consumer) = ring_pair::<Descriptor>(16, u32::MAX - 5);
        let writer = std::thread::spawn(move || {
            for n in 0..COUNT {
                let entry = Descriptor { address: n, length: n as u32, options: 0 };
                while producer.write(entry).is_err() {
                    std::thread::yield_now();
                }
                producer.submit();
            }
        });
        let mut next = 0;
        while next < COUNT {
            let available = consumer.available();
            for ahead in 0..available {
                let entry = consumer.peek(ahead);
                assert_eq!((entry.address, entry.length), (next, next as u32));
                next += 1;
            }
            consumer.release(available);
            std::thread::yield_now();
        }
        writer.join().expect("the writer ends");
    }
}
