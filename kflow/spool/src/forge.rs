//! Makes checksums right in files that a test made up, so that what is behind them is tested too.

use crate::cursor;
use crate::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, MAGIC, Place};
use crate::segment::{self, BLOCK_BYTES, HEADER_BYTES};

/// Writes the checksums that a file of a spool of this epoch should have, wherever one has its place.
pub fn seal(name: &str, epoch: u64, content: &mut [u8]) {
    if let Some(number) = segment::number_of(name) {
        seal_segment(number, epoch, content);
    } else if name == cursor::NAME {
        content.chunks_mut(BLOCK_BYTES as usize).take(2).for_each(cursor::seal);
    }
}

fn seal_segment(number: u64, epoch: u64, content: &mut [u8]) {
    if let Some(header) = content.first_chunk_mut::<HEADER_BYTES>() {
        segment::seal(header, number);
    }
    let offsets = (BLOCK_BYTES as usize..content.len()).step_by(ALIGNMENT as usize);
    // From the end: a payload may hold what looks like a frame.
    for offset in offsets.rev() {
        seal_frame(Place { epoch, segment: number, offset: offset as u64 }, &mut content[offset..]);
    }
}

fn seal_frame(place: Place, content: &mut [u8]) {
    if !content.starts_with(&MAGIC.to_le_bytes()) {
        return;
    }
    let Some((header, rest)) = content.split_first_chunk_mut::<{ FRAME_HEADER_BYTES as usize }>() else {
        return;
    };
    let length = u32::from_le_bytes(header[8..12].try_into().expect("four bytes")) as usize;
    if let Some(payload) = rest.get(..length) {
        header[12..16].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    }
    FrameHeader::seal(header, place);
}
