//! A zstd file as a reader (RFC 8878). In: any number of frames, skippable ones among them. Out: their content.
//!
//! ruzstd decodes one frame; this walks from frame to frame, compares the checksums, and where a frame is broken
//! gives out all that was decoded before it says so.

use std::error::Error;
use std::io::{self, BufRead, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::gzip::skip;

pub(super) struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    state: State,
}

enum State {
    BetweenFrames,
    InFrame,
    /// Comes after what the decoder still holds.
    Broken(io::Error),
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(source: R) -> ZstdReader<R> {
        ZstdReader { source, decoder: FrameDecoder::new(), state: State::BetweenFrames }
    }

    /// Starts the frame at hand, or passes over it if it has no content.
    fn start_frame(&mut self) -> io::Result<()> {
        match self.decoder.reset(&mut self.source) {
            Ok(()) => {
                self.state = State::InFrame;
                Ok(())
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => skip(&mut self.source, u64::from(length)),
            Err(error) => Err(io_error(error)),
        }
    }

    fn decode_block(&mut self) -> io::Result<()> {
        let strategy = BlockDecodingStrategy::UptoBlocks(1);
        let Err(error) = self.decoder.decode_blocks(&mut self.source, strategy) else { return Ok(()) };
        let error = io_error(error);
        if error.kind() != ErrorKind::UnexpectedEof && error.kind() != ErrorKind::InvalidData {
            return Err(error);
        }
        // The decoder keeps back a window's length of content until its frame is over, so end it.
        let ended = self.decoder.decode_blocks(LAST_BLOCK, BlockDecodingStrategy::UptoBlocks(1));
        if ended.is_err() {
            return Err(error);
        }
        self.state = State::Broken(error);
        Ok(())
    }

    fn finish_frame(&mut self) -> io::Result<()> {
        self.state = State::BetweenFrames;
        let Some(expected) = self.decoder.get_checksum_from_data() else { return Ok(()) };
        if self.decoder.get_calculated_checksum() == Some(expected) {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::InvalidData, "checksum of a zstd frame does not match"))
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match &self.state {
                State::BetweenFrames if self.source.fill_buf()?.is_empty() => return Ok(0),
                State::BetweenFrames => self.start_frame()?,
                _ if self.decoder.can_collect() > 0 => return self.decoder.read(out),
                State::InFrame if self.decoder.is_finished() => self.finish_frame()?,
                State::InFrame => self.decode_block()?,
                State::Broken(error) => return Err(io::Error::new(error.kind(), error.to_string())),
            }
        }
    }
}

/// A failed read keeps its kind; all else is bad data.
fn io_error(error: FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(read_error) = current.downcast_ref::<io::Error>() {
            return io::Error::new(read_error.kind(), error.to_string());
        }
        cause = current.source();
    }
    io::Error::new(ErrorKind::InvalidData, error)
}

/// An empty raw block with the last-block flag, and room for the checksum that may follow it.
const LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];
