//! The UMEM: frames that the kernel writes and workers read, each owned by one side at a time.
//!
//! A frame belongs to the kernel while its offset is in the fill ring or on the way to the receive ring, and to
//! a worker from the descriptor until [`FrameOffset`] goes back.
#![expect(unsafe_code, reason = "the kernel writes to this memory")]

use super::{
    mapping::{HugePages, Mapping},
    ring::Descriptor,
};
use sensor_ebpf::{STAMP_MAGIC, Stamp};
use std::{io, mem::offset_of};

/// A frame on its way back to the kernel. Not `Clone`: a frame given back twice would be written while it is read.
#[derive(Debug, PartialEq, Eq)]
pub struct FrameOffset(pub u64);

#[derive(Debug)]
pub struct Umem {
    memory: Mapping,
    /// 2048 or 4096.
    frame_bytes: u32,
    frames: u32,
}

impl Umem {
    pub fn new(frames: u32, frame_bytes: u32, huge_pages: HugePages) -> io::Result<Umem> {
        assert!(frame_bytes.is_power_of_two(), "the config offers powers of two only");
        let memory = Mapping::of_frames(frames as usize * frame_bytes as usize, huge_pages)?;
        Ok(Umem { memory, frame_bytes, frames })
    }

    pub fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    /// Address and length, as `XDP_UMEM_REG` wants them.
    pub fn region(&self) -> (u64, u64) {
        (self.memory.base() as u64, u64::from(self.frames) * u64::from(self.frame_bytes))
    }

    /// Every frame once: what the fill ring starts with.
    pub fn all_frames(&self) -> impl Iterator<Item = FrameOffset> {
        let frame_bytes = u64::from(self.frame_bytes);
        (0..u64::from(self.frames)).map(move |frame| FrameOffset(frame * frame_bytes))
    }

    /// The frame that a descriptor's data lies in.
    #[inline(always)]
    pub fn frame_of(&self, descriptor: &Descriptor) -> FrameOffset {
        FrameOffset(descriptor.address & !(u64::from(self.frame_bytes) - 1))
    }

    /// The data of a descriptor; empty if it points outside of the UMEM, which no kernel does.
    ///
    /// # Safety
    /// The caller owns the frame: the descriptor was received and not given back while the slice lives.
    #[inline(always)]
    pub unsafe fn data(&self, descriptor: &Descriptor) -> &[u8] {
        let (address, length) = (descriptor.address as usize, descriptor.length as usize);
        if address.saturating_add(length) > self.memory.len() {
            return &[];
        }
        // SAFETY: in bounds as checked; initialised (zeroed at start); not written to while the caller owns it.
        unsafe { std::slice::from_raw_parts(self.memory.base().add(address), length) }
    }

    /// Takes the stamp that the program wrote before the data, if it did. Taking it wipes the magic, so that
    /// the next packet in this frame cannot be mistaken for a stamped one.
    ///
    /// # Safety
    /// As for [`Umem::data`], and no slice of the frame is alive.
    #[inline(always)]
    pub unsafe fn take_stamp(&self, descriptor: &Descriptor) -> Option<Stamp> {
        let address = descriptor.address as usize;
        let room = address & (self.frame_bytes as usize - 1);
        if room < size_of::<Stamp>() || address > self.memory.len() {
            return None;
        }
        // SAFETY: the stamp's bytes lie in the same frame, before the data; any bits are a Stamp.
        unsafe {
            let at = self.memory.base().add(address - size_of::<Stamp>());
            let stamp = at.cast::<Stamp>().read_unaligned();
            if stamp.magic != STAMP_MAGIC {
                return None;
            }
            at.add(offset_of!(Stamp, magic)).cast::<u32>().write_unaligned(0);
            Some(stamp)
        }
    }
}
