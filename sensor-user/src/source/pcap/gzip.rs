//! A gzip file as a reader (RFC 1952). In: any number of members. Out: their content.
//!
//! flate2 decodes a member's deflate stream; this reads the frame around it, walks from member to member, and where
//! a member is broken gives out all that was decoded before it says so.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

pub(super) struct GzipReader<R> {
    decoder: DeflateDecoder<R>,
    crc: Crc,
    state: State,
}

enum State {
    BetweenMembers,
    InMember,
    Broken(io::Error),
}

impl<R: BufRead> GzipReader<R> {
    pub(super) fn new(source: R) -> GzipReader<R> {
        GzipReader { decoder: DeflateDecoder::new(source), crc: Crc::new(), state: State::BetweenMembers }
    }

    fn decode(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes_before = self.decoder.total_out();
        match self.decoder.read(out) {
            Ok(bytes) => {
                self.crc.update(&out[..bytes]);
                Ok(bytes)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.state = State::Broken(error);
                Ok((self.decoder.total_out() - bytes_before) as usize)
            }
        }
    }

    fn finish_member(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.decoder.get_mut().read_exact(&mut trailer)?;
        let expected = u64::from_le_bytes(trailer);
        let found = u64::from(self.crc.sum()) | u64::from(self.crc.amount()) << 32;
        if found != expected {
            return Err(broken("checksum or length of a gzip member does not match"));
        }
        self.crc.reset();
        self.decoder.reset_data();
        self.state = State::BetweenMembers;
        Ok(())
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match &self.state {
                State::BetweenMembers if self.decoder.get_mut().fill_buf()?.is_empty() => return Ok(0),
                State::BetweenMembers => {
                    skip_header(self.decoder.get_mut())?;
                    self.state = State::InMember;
                }
                State::InMember => match self.decode(out)? {
                    0 if matches!(self.state, State::InMember) => self.finish_member()?,
                    0 => {}
                    bytes => return Ok(bytes),
                },
                State::Broken(error) => return Err(io::Error::new(error.kind(), error.to_string())),
            }
        }
    }
}

/// Magic, method, flags, time, extra flags, system; then what the flags announce.
fn skip_header(source: &mut impl BufRead) -> io::Result<()> {
    let mut header = [0; 10];
    source.read_exact(&mut header)?;
    let [0x1f, 0x8b, DEFLATE, flags, ..] = header else {
        return Err(broken("no gzip member where one should start"));
    };
    if flags & EXTRA != 0 {
        let mut bytes = [0; 2];
        source.read_exact(&mut bytes)?;
        skip(source, u64::from(u16::from_le_bytes(bytes)))?;
    }
    if flags & NAME != 0 {
        source.skip_until(0)?;
    }
    if flags & COMMENT != 0 {
        source.skip_until(0)?;
    }
    if flags & HEADER_CHECKSUM != 0 {
        skip(source, 2)?;
    }
    Ok(())
}

/// Passes over this many bytes, all of which must be there.
pub(super) fn skip(source: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut source.take(bytes), &mut io::sink())?;
    if skipped < bytes {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

const DEFLATE: u8 = 8;
const HEADER_CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
