//! Frames one behind the other in memory, lent in bursts as a source lends them.

use sensor_user::{
    clock::Moment,
    source::{BURST_FRAMES_MAX, Frame},
};
use traffic::mix::stream::{Lap, StreamFrame, StreamOptions, Streams};

/// Virtual time between two packets: 10 million packets a second.
const PACKET_GAP_NS: u64 = 100;
pub const START: Moment = Moment(1_767_225_600_000_000_000);

#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a frame lies, and of which flow it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    length: u32,
    flow: u32,
}

impl FromIterator<StreamFrame> for Frames {
    fn from_iter<I: IntoIterator<Item = StreamFrame>>(source: I) -> Frames {
        let mut frames = Frames::default();
        for StreamFrame { flow, bytes } in source {
            frames.places.push(Place { offset: frames.bytes.len() as u64, length: bytes.len() as u32, flow });
            frames.bytes.extend_from_slice(&bytes);
        }
        frames
    }
}

impl Frames {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[inline(always)]
    pub fn frame(&self, index: usize, time: Moment) -> Frame<'_> {
        let Place { offset, length, .. } = self.places[index];
        let bytes = &self.bytes[offset as usize..offset as usize + length as usize];
        Frame { bytes, wire_bytes: length, time, ..Frame::EMPTY }
    }

    /// Lends all frames in bursts; `now` moves on with them.
    #[inline(always)]
    pub fn lend(&self, now: &mut Moment, mut visit: impl FnMut(&[Frame<'_>])) {
        let mut frames = [Frame::EMPTY; BURST_FRAMES_MAX];
        for first in (0..self.len()).step_by(BURST_FRAMES_MAX) {
            let count = (self.len() - first).min(BURST_FRAMES_MAX);
            now.0 += PACKET_GAP_NS * count as u64;
            for (index, frame) in frames[..count].iter_mut().enumerate() {
                *frame = self.frame(first + index, *now);
            }
            visit(&frames[..count]);
        }
    }
}

/// Clean traffic whose sequence numbers move on from lap to lap.
#[derive(Debug)]
pub struct Circuit {
    pub frames: Frames,
    lap: Lap,
    laps: u32,
}

impl Circuit {
    pub fn new(flows: u32, frames: usize) -> Circuit {
        let mut streams = Streams::new(StreamOptions { flows, frames, seed: 7 });
        Circuit { frames: streams.by_ref().collect(), lap: streams.into_lap(), laps: 0 }
    }

    pub fn laps(&self) -> u32 {
        self.laps
    }

    /// Moves all frames on to this lap, unless another work on them has done so.
    pub fn advance_to(&mut self, lap: u32) {
        while self.laps < lap {
            for Place { offset, length, flow } in &self.frames.places {
                let bytes = &mut self.frames.bytes[*offset as usize..][..*length as usize];
                self.lap.renew(*flow, bytes);
            }
            self.laps += 1;
        }
    }
}
