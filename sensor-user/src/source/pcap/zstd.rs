//! A zstd file as a reader (RFC 8878). In: any number of frames, skippable ones among them. Out: their content.
//!
//! ruzstd decodes one frame; this walks from frame to frame and compares the checksums.

use std::error::Error;
use std::io::{self, BufRead, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

pub(super) struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BetweenFrames,
    InFrame,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(source: R) -> ZstdReader<R> {
        ZstdReader { source, decoder: FrameDecoder::new(), state: State::BetweenFrames }
    }

    /// Starts the next frame that has content. `BetweenFrames` afterwards means that there is none.
    fn next_frame(&mut self) -> io::Result<()> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.state = State::InFrame;
                    return Ok(());
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.skip(u64::from(length))?,
                Err(error) => return Err(io_error(error)),
            }
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.source).take(bytes), &mut io::sink())?;
        if skipped < bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
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
            if self.state == State::BetweenFrames {
                self.next_frame()?;
            }
            if self.state == State::BetweenFrames {
                return Ok(0);
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(out);
            }
            if self.decoder.is_finished() {
                self.finish_frame()?;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(io_error)?;
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
