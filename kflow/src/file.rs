//! Flow files: messages one after the other, each with its length in front.
//!
//! ```text
//! file  = { frame }
//! frame = length of the message in bytes, u32 little endian │ packed message (see `codec`)
//! ```
//!
//! A file has no header and no end mark, so files that are concatenated are a file, and a file that is being
//! written can be read up to its last whole frame.

use crate::chf::Chf;
use crate::codec::{self, Encoder, Limits, MESSAGE_BYTES_MAX, RECORDS_MAX};
use crate::error::Error;
use crate::record::FlowRecord;
use std::io::{self, Read, Write};

/// The most records of one message. Larger batches become several: a reader holds one message at a time.
pub const RECORDS_PER_MESSAGE: usize = 4096;
const _: () = assert!(RECORDS_PER_MESSAGE <= RECORDS_MAX);

/// Appends a batch to a flow file and returns by how many bytes it grew. An empty batch leaves no trace; after
/// an error part of the batch may have been written.
pub fn append(records: &[FlowRecord], encoder: &mut Encoder, output: &mut impl Write) -> Result<u64, Error> {
    let mut written = 0;
    for chunk in records.chunks(RECORDS_PER_MESSAGE) {
        let message = encoder.encode(chunk)?;
        let length = (message.len() as u32).to_le_bytes();
        output.write_all(&length).map_err(write_failed)?;
        output.write_all(message).map_err(write_failed)?;
        written += (length.len() + message.len()) as u64;
    }
    Ok(written)
}

fn write_failed(source: io::Error) -> Error {
    Error::io("write a flow file", source)
}

/// Reads a flow file, message by message.
#[derive(Debug)]
pub struct FileReader<R> {
    input: R,
    /// Where the next frame starts.
    offset: u64,
    message: Vec<u8>,
}

impl<R: Read> FileReader<R> {
    pub fn new(input: R) -> FileReader<R> {
        FileReader { input, offset: 0, message: Vec::new() }
    }

    /// Where the next frame starts; after an error, where the broken one does.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The records of the next message, or `None` at the end of the file.
    ///
    /// A broken frame is [`Error::Damaged`] with the frame's offset. Reading on after an error is of no use.
    pub fn read(&mut self) -> Result<Option<Vec<FlowRecord>>, Error> {
        self.read_with(codec::decode)
    }

    /// The same as records of all fields, whoever wrote them; one that names columns is among them.
    pub fn read_chf(&mut self, limits: &Limits) -> Result<Option<Vec<Chf>>, Error> {
        self.read_with(|message| codec::decode_chf(message, limits))
    }

    fn read_with<T>(
        &mut self,
        decode: impl FnOnce(&[u8]) -> Result<Vec<T>, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        if !self.read_frame()? {
            return Ok(None);
        }
        let records = decode(&self.message).map_err(|error| self.damaged(error.to_string()))?;
        self.offset += (LENGTH_BYTES + self.message.len()) as u64;
        Ok(Some(records))
    }

    /// Reads the next message's bytes; false at the end of the file.
    fn read_frame(&mut self) -> Result<bool, Error> {
        self.read_bytes(LENGTH_BYTES)?;
        if self.message.is_empty() {
            return Ok(false);
        }
        let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(self.message.as_slice()) else {
            return Err(self.damaged("the file ends within a message's length"));
        };
        let length = u32::from_le_bytes(length) as usize;
        // Zeros are what a file system may leave behind a crash.
        if length == 0 || length > MESSAGE_BYTES_MAX {
            return Err(self.damaged(format!("no message has {length} bytes")));
        }
        self.read_bytes(length)?;
        if self.message.len() < length {
            let present = self.message.len();
            return Err(self.damaged(format!("the file ends {present} bytes into a message of {length}")));
        }
        Ok(true)
    }

    /// Reads this many bytes, or fewer at the end of the file. Memory grows with what is there, not with what
    /// a length claims.
    fn read_bytes(&mut self, length: usize) -> Result<(), Error> {
        self.message.clear();
        self.input
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut self.message)
            .map_err(|source| Error::Io { what: "read a flow file".to_owned(), source })?;
        Ok(())
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { offset: self.offset, what: what.into() }
    }
}

const LENGTH_BYTES: usize = 4;

/// How many bytes of a file are whole frames. Messages are stepped over, not decoded.
pub fn whole_frames_bytes(input: impl Read) -> Result<u64, Error> {
    let mut reader = FileReader::new(input);
    loop {
        match reader.read_frame() {
            Ok(true) => reader.offset += (LENGTH_BYTES + reader.message.len()) as u64,
            Ok(false) | Err(Error::Damaged { .. }) => return Ok(reader.offset),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u64) -> Vec<FlowRecord> {
        (0..count).map(|index| FlowRecord { start_ns: index, ..FlowRecord::default() }).collect()
    }

    fn file(batches: &[&[FlowRecord]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for batch in batches {
            append(batch, &mut Encoder::new(), &mut bytes).unwrap();
        }
        bytes
    }

    /// All records up to the end or the first error.
    fn read(bytes: &[u8]) -> (Vec<FlowRecord>, Option<Error>) {
        let mut reader = FileReader::new(bytes);
        let mut all = Vec::new();
        loop {
            match reader.read() {
                Ok(Some(records)) => all.extend(records),
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error)),
            }
        }
    }

    #[test]
    fn batches_come_back_in_order() {
        let records = records(10_000);
        let (first, second) = records.split_at(9_000);
        let (read, error) = read(&file(&[first, &[], second]));
        assert_eq!(read, records);
        assert!(error.is_none());
    }

    #[test]
    fn files_that_are_concatenated_are_a_file() {
        let records = records(20);
        let both = [file(&[&records[..7]]), file(&[&records[7..]])].concat();
        let (read, error) = read(&both);
        assert_eq!(read, records);
        assert!(error.is_none());
    }

    #[test]
    fn a_cut_file_gives_the_messages_before_the_cut_and_then_its_offset() {
        let records = records(20);
        let first = file(&[&records[..7]]);
        let whole = file(&[&records[..7], &records[7..]]);
        for cut in first.len() + 1..whole.len() {
            let (read, error) = read(&whole[..cut]);
            assert_eq!(read, &records[..7]);
            let Some(Error::Damaged { offset, .. }) = error else {
                panic!("cut at {cut}: {error:?}");
            };
            assert_eq!(offset, first.len() as u64);
            assert_eq!(whole_frames_bytes(&whole[..cut]).unwrap(), first.len() as u64);
        }
    }

    #[test]
    fn a_length_that_no_message_has_is_damage() {
        let (read, error) = read(&[0xFF; 100]);
        assert!(read.is_empty());
        assert!(matches!(error, Some(Error::Damaged { offset: 0, .. })));
    }

    #[test]
    fn zeros_after_the_last_message_are_damage() {
        let mut bytes = file(&[&records(3)]);
        let whole = bytes.len() as u64;
        bytes.extend([0; 4096]);
        let (read, error) = read(&bytes);
        assert_eq!(read, records(3));
        assert!(matches!(error, Some(Error::Damaged { offset, .. }) if offset == whole));
        assert_eq!(whole_frames_bytes(bytes.as_slice()).unwrap(), whole);
    }

    #[test]
    fn an_empty_file_has_no_records() {
        let (read, error) = read(&[]);
        assert!(read.is_empty() && error.is_none());
    }
}
