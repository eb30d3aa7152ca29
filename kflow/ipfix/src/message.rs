//! A message in the making: header, sets, records, and never more bytes than it may have.
//!
//! ```text
//! IPFIX (RFC 7011, 3.1)                             NetFlow 9 (RFC 3954, 5.1)
//!  0  version 10        2  length                    0  version 9         2  records, templates among them
//!  4  export time, s                                 4  ms since the exporter's start
//!  8  data records before this message               8  export time, s
//! 12  observation domain                            12  messages before this one
//!                                                   16  source identifier
//! ```

use crate::config::Format;
use std::ops::Range;

/// A message that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub bytes: &'a [u8],
    /// Which records of the batch it has a part of, those that are left out not counted; also the one that a template
    /// without records was written for. A record may be in several messages.
    pub records: Range<usize>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It went out.
    Sent,
    /// It went out, and one before it that seemed to be sent did not arrive.
    SentAfterLoss,
    Failed,
}

/// The values of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub export_s: u32,
    pub uptime_ms: u32,
    pub sequence: u32,
    pub domain: u32,
}

/// The bytes of one message.
#[derive(Debug)]
pub(crate) struct Draft {
    format: Format,
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Where the set that records are appended to begins, and its number.
    set: Option<(usize, u16)>,
    /// Records of data, those of options among them.
    data_records: u32,
    templates: u32,
    records: Range<usize>,
}

/// What a draft goes back to.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    length: usize,
    set: Option<(usize, u16)>,
    data_records: u32,
    templates: u32,
    records: Range<usize>,
}

impl Draft {
    pub fn new(format: Format, bytes_max: usize) -> Draft {
        let mut draft = Draft {
            format,
            bytes: Vec::with_capacity(bytes_max),
            bytes_max,
            set: None,
            data_records: 0,
            templates: 0,
            records: 0..0,
        };
        draft.clear();
        draft
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(header_bytes(self.format), 0);
        self.set = None;
        self.data_records = 0;
        self.templates = 0;
        self.records = 0..0;
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == header_bytes(self.format)
    }

    pub fn data_records(&self) -> u32 {
        self.data_records
    }

    pub fn mark(&self) -> Mark {
        let Draft { set, data_records, templates, .. } = *self;
        Mark { length: self.bytes.len(), set, data_records, templates, records: self.records.clone() }
    }

    /// Forgets all behind the mark. A set that was closed since is written anew.
    pub fn rewind(&mut self, mark: &Mark) {
        self.bytes.truncate(mark.length);
        self.set = mark.set;
        self.data_records = mark.data_records;
        self.templates = mark.templates;
        self.records = mark.records.clone();
    }

    /// Appends to a set of this number; opens one if the last is another.
    pub fn append(&mut self, set_id: u16, write: impl FnOnce(&mut Vec<u8>)) {
        if self.set.is_none_or(|(_, id)| id != set_id) {
            self.close_set();
            self.set = Some((self.bytes.len(), set_id));
            self.bytes.extend_from_slice(&set_id.to_be_bytes());
            self.bytes.extend_from_slice(&[0, 0]);
        }
        write(&mut self.bytes);
        let is_data = set_id >= 256;
        self.data_records += u32::from(is_data);
        self.templates += u32::from(!is_data);
    }

    /// The record of the batch that what is appended belongs to.
    pub fn belongs_to(&mut self, record: usize) {
        let start = if self.records.is_empty() { record } else { self.records.start };
        self.records = start..record + 1;
    }

    /// How many bytes more than it may have.
    pub fn excess(&self) -> usize {
        (self.bytes.len() + self.padding()).saturating_sub(self.bytes_max)
    }

    /// Writes the header.
    pub fn finish(&mut self, header: &Header) -> Message<'_> {
        self.close_set();
        debug_assert!(self.bytes.len() <= self.bytes_max);
        let Header { export_s, uptime_ms, sequence, domain } = *header;
        let words = match self.format {
            Format::Ipfix => [10 << 16 | self.bytes.len() as u32, export_s, sequence, domain, 0],
            Format::NetflowV9 => {
                [9 << 16 | (self.data_records + self.templates), uptime_ms, export_s, sequence, domain]
            }
        };
        let header = words.into_iter().flat_map(u32::to_be_bytes);
        self.bytes[..header_bytes(self.format)].iter_mut().zip(header).for_each(|(byte, new)| *byte = new);
        Message { bytes: &self.bytes, records: self.records.clone() }
    }

    /// Ends the set, so that what is appended next begins one.
    pub fn close_set(&mut self) {
        let Some((start, _)) = self.set.take() else { return };
        self.bytes.resize(self.bytes.len() + self.padding(), 0);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// NetFlow's sets end at 32 bits (RFC 3954, 5.3); all before the last one do.
    fn padding(&self) -> usize {
        match self.format {
            Format::Ipfix => 0,
            Format::NetflowV9 => self.bytes.len().next_multiple_of(4) - self.bytes.len(),
        }
    }
}

const fn header_bytes(format: Format) -> usize {
    match format {
        Format::Ipfix => 16,
        Format::NetflowV9 => 20,
    }
}
