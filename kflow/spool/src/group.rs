//! Batches that wait to be committed, as the frames that they will be.
//!
//! A frame's header says where it is, so headers are made when the place is known, and made anew if that place fails.

use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, LAST_OF_GROUP, Place, frame_bytes};
use crate::position::{Position, Tally};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Frames one behind the other, without their headers.
    bytes: Vec<u8>,
    headers: VecDeque<FrameHeader>,
    tally: Tally,
}

/// The first frames of a group, of which there is at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub frames: usize,
    pub bytes: u64,
    pub tally: Tally,
    /// Behind the last frame.
    pub behind: Position,
}

impl Group {
    pub fn push(&mut self, header: FrameHeader, payload: &[u8]) {
        let end = self.bytes.len() + frame_bytes(payload.len() as u64) as usize;
        self.bytes.resize(self.bytes.len() + FRAME_HEADER_BYTES as usize, 0);
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(end, 0);
        self.tally += header.tally();
        self.headers.push_back(header);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn batches(&self) -> u64 {
        self.headers.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Where the first batch is.
    pub fn first(&self) -> Option<Position> {
        self.headers.front().map(|header| header.position)
    }

    /// The frames that fit into so much room.
    pub fn part(&self, room_bytes: u64, frames_max: u64) -> Option<Part> {
        let mut part = None;
        for (index, header) in self.headers.iter().enumerate() {
            let (bytes, tally) = part.map_or((0, Tally::default()), |part: Part| (part.bytes, part.tally));
            let bytes = bytes + header.frame_bytes();
            if bytes > room_bytes || index as u64 >= frames_max {
                break;
            }
            let tally = tally + header.tally();
            part = Some(Part { frames: index + 1, bytes, tally, behind: header.behind() });
        }
        part
    }

    /// The frames of a part with their headers, for a place where this part is the group.
    pub fn frames(&mut self, part: &Part, place: Place) -> &[u8] {
        let safe_below = self.headers.front().map_or(0, |header| header.position.sequence);
        let mut at = 0;
        for (index, header) in self.headers.iter_mut().take(part.frames).enumerate() {
            header.safe_below = safe_below;
            header.flags = if index + 1 == part.frames { LAST_OF_GROUP } else { 0 };
            let encoded = header.encode(Place { offset: place.offset + at as u64, ..place });
            self.bytes[at..at + encoded.len()].copy_from_slice(&encoded);
            at += header.frame_bytes() as usize;
        }
        &self.bytes[..at]
    }

    /// Forgets a part, which is safe now.
    pub fn remove(&mut self, part: &Part) {
        self.bytes.drain(..part.bytes as usize);
        self.headers.drain(..part.frames);
        self.tally = self.tally.without(part.tally);
    }
}
