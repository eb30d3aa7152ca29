//! Capture files as a source: pcap and pcapng, plain, gzip'd or zstd'd, from a path or from standard input.
//!
//! In: bytes. Out: frames that borrow from those bytes, so that no packet is copied or allocated.
//! 1. `open` looks at the first bytes and picks how to read: a plain regular file is mapped ([`mapping`]),
//!    all else flows through one buffer ([`stream`]), decompressed on the way (flate2, [`zstd`]).
//! 2. [`walk`] finds the file's header, then up to a burst of records in the bytes at hand; [`blocks`] does so
//!    for pcapng.
//! 3. `receive` lends that burst and moves on behind it. The bytes are refilled only between bursts.
//!
//! A broken file is an error, but one that comes after every frame before the damage was lent.
//! What is inside a frame is not looked at here.

mod ahead;
mod blocks;
mod mapping;
mod stream;
mod walk;
mod zstd;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::clock::Moment;
use crate::source::{BURST_FRAMES_MAX, Frame, Received, Source, SourceError};

use self::mapping::Mapping;
use self::stream::{Compression, Filled, Stream};
use self::walk::{Stop, Walker};

/// A capture file that is being read.
#[derive(Debug)]
pub struct PcapSource {
    input: Input,
    walker: Walker,
    frames_offered: u64,
}

impl PcapSource {
    /// Opens a capture; `-` is standard input. Returns once the file's own header is read and understood.
    pub fn open(path: &Path) -> Result<PcapSource, OpenError> {
        PcapSource::with_input(Input::open(path).map_err(OpenError::Unreadable)?)
    }

    /// Reads a capture, compressed or not, out of anything that can be read.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<PcapSource, OpenError> {
        PcapSource::with_input(Input::from_reader(reader).map_err(OpenError::Unreadable)?)
    }

    /// Frames found in the file so far, all of them lent.
    pub fn frames_offered(&self) -> u64 {
        self.frames_offered
    }

    /// Bytes consumed so far, after decompression.
    pub fn bytes_read(&self) -> u64 {
        self.input.offset()
    }

    fn with_input(mut input: Input) -> Result<PcapSource, OpenError> {
        loop {
            let header = match Walker::open(input.window()) {
                Ok(header) => header,
                Err(what) => return Err(OpenError::NotACapture(what)),
            };
            if let Some((walker, header_bytes)) = header {
                input.consume(header_bytes);
                return Ok(PcapSource { input, walker, frames_offered: 0 });
            }
            let have = input.window().len();
            match input.fill(have + 1) {
                Ok(Filled::Enough) => {}
                Ok(Filled::Ended) => return Err(OpenError::NotACapture(short_header(have))),
                Err(SourceError::Io(error)) => return Err(OpenError::Unreadable(error)),
                Err(error) => return Err(OpenError::NotACapture(error.to_string())),
            }
        }
    }
}

impl Source for PcapSource {
    fn receive(
        &mut self,
        _now: Moment,
        visit: impl FnMut(&[Frame<'_>]),
    ) -> Result<Received, SourceError> {
        let mut visit = visit;
        loop {
            let mut frames = [Frame::EMPTY; BURST_FRAMES_MAX];
            let window = self.input.window();
            if let Input::Mapped(_) = self.input {
                self.walker.warm(window);
            }
            let burst = self.walker.walk(window, &mut frames);
            if burst.frames > 0 {
                visit(&frames[..burst.frames]);
                self.input.consume(burst.bytes);
                self.frames_offered += burst.frames as u64;
                return Ok(Received::Frames(burst.frames));
            }
            self.input.consume(burst.bytes);
            match burst.stop {
                Stop::Full => {}
                Stop::Damaged(what) => {
                    return Err(SourceError::Damaged { offset: self.input.offset(), what });
                }
                Stop::Short(bytes_needed) => match self.input.fill(bytes_needed)? {
                    Filled::Enough => {}
                    Filled::Ended => return self.end(),
                },
            }
        }
    }
}

impl PcapSource {
    /// The input has no more bytes: the end if the walker is between records, damage otherwise.
    fn end(&self) -> Result<Received, SourceError> {
        match self.walker.describe_end(self.input.window()) {
            None => Ok(Received::End),
            Some(what) => Err(SourceError::Damaged { offset: self.input.offset(), what }),
        }
    }
}

/// Why a capture cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The file or pipe cannot be opened or read.
    Unreadable(io::Error),
    /// The bytes are not a capture that this reader knows; the text says what they are instead.
    NotACapture(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Unreadable(_) => write!(f, "cannot read the capture"),
            OpenError::NotACapture(what) => write!(f, "not a capture: {what}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Unreadable(error) => Some(error),
            OpenError::NotACapture(_) => None,
        }
    }
}

fn short_header(have: usize) -> String {
    match have {
        0 => "it is empty".to_string(),
        _ => format!("it ends inside the file header, after {have} bytes"),
    }
}

/// Where the bytes come from.
#[derive(Debug)]
enum Input {
    Mapped(Mapping),
    Streamed(Stream),
}

impl Input {
    fn open(path: &Path) -> io::Result<Input> {
        if path == Path::new("-") {
            // A second descriptor of standard input, since std's own handle has a buffer of its own.
            return Input::from_file(File::from(io::stdin().as_fd().try_clone_to_owned()?));
        }
        Input::from_file(File::open(path)?)
    }

    fn from_file(mut file: File) -> io::Result<Input> {
        if !file.metadata()?.is_file() || file.stream_position()? != 0 {
            return Input::from_reader(file);
        }
        let mut magic = [0; 4];
        let magic_bytes = file.read_at(&mut magic, 0)?;
        if Compression::of(&magic[..magic_bytes]) != Compression::None {
            return Input::from_reader(file);
        }
        Ok(Input::Mapped(Mapping::new(&file)?))
    }

    fn from_reader(reader: impl Read + Send + 'static) -> io::Result<Input> {
        Stream::new(reader).map(Input::Streamed)
    }

    /// The bytes at hand, from the first one that is not consumed.
    fn window(&self) -> &[u8] {
        match self {
            Input::Mapped(mapping) => mapping.window(),
            Input::Streamed(stream) => stream.window(),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self {
            Input::Mapped(mapping) => mapping.consume(bytes),
            Input::Streamed(stream) => stream.consume(bytes),
        }
    }

    /// Makes the window at least `bytes` long, unless the input ends before.
    fn fill(&mut self, bytes: usize) -> Result<Filled, SourceError> {
        match self {
            Input::Mapped(mapping) if mapping.window().len() >= bytes => Ok(Filled::Enough),
            Input::Mapped(_) => Ok(Filled::Ended),
            Input::Streamed(stream) => stream.fill(bytes),
        }
    }

    /// Where the window starts, in bytes from the start of the (decompressed) file.
    fn offset(&self) -> u64 {
        match self {
            Input::Mapped(mapping) => mapping.offset(),
            Input::Streamed(stream) => stream.offset(),
        }
    }
}
