//! Summaries in bytes.
//!
//! All numbers are little endian. Sections can be fetched and checked one by one: with ten thousand summaries, a question
//! about one dimension needs little of each.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `FSUM` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | number of sections, n |
//! | 6 | 2 | 0 |
//! | 8 | 12 n | by section: its number (4), its length (4), its CRC-32C (4); numbers ascend |
//! | 8 + 12 n | 4 | CRC-32C of all before |
//! | 12 + 12 n | | the sections, in this order, nothing between or after them |
//!
//! - Section 0 is the counts: rows, flows; the number of columns, and by column its name's length, its name, 1 if it is a
//!   number or else 0, and its totals or its presence; by pair 0, or 1 and its totals.
//! - Section 16 + i is sketch i in the serial form of [`hll`], left out if it is empty.
//! - Section 64 + i is top i, left out if nothing has weight in it: the number of values, and by value 4 or 6 for an
//!   address of that family or else 0, the value, its weight, and what it may be missing; what is not listed; nulls.
//!
//! Numbers in sections are LEB128; signed ones are zigzag first. Totals are count, flows, sum, normalised sum, least, largest.
//! A column that this version does not know is passed over.

use super::Summary;
use super::counts::{Column, Counts, Presence, Totals};
use super::dimension::{Half, Key, PRECISION};
use super::top::{Heavy, LISTED_MAX, Top};
use crate::columns::Catalog;
use crate::error::Error;
use hll::{Sketch, SketchRef};
use std::net::Ipv6Addr;
use std::ops::Range;

/// What is where in a serialised summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    sections: Vec<Section>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    number: u32,
    range: Range<usize>,
    crc: u32,
}

const MAGIC: [u8; 4] = *b"FSUM";
const VERSION: u8 = 1;
const COUNTS: u32 = 0;
const SKETCHES: u32 = 16;
const TOPS: u32 = 64;
const HEAD_BYTES: usize = 8;
const ENTRY_BYTES: usize = 12;
const SECTIONS_MAX: usize = 64;

pub fn write(summary: &Summary) -> Vec<u8> {
    assemble(&sections(summary))
}

/// Sections by number.
pub(super) fn sections(summary: &Summary) -> Vec<(u32, Vec<u8>)> {
    let mut sections = vec![(COUNTS, write_counts(&summary.counts))];
    for (number, sketch) in (SKETCHES..).zip(&summary.sketches) {
        if !sketch.is_empty() {
            sections.push((number, sketch.to_bytes()));
        }
    }
    for (number, top) in (TOPS..).zip(&summary.tops) {
        if *top != Top::default() {
            sections.push((number, write_top(top)));
        }
    }
    sections
}

pub(super) fn assemble(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([VERSION, sections.len() as u8, 0, 0]);
    for (number, content) in sections {
        for word in [*number, content.len() as u32, crc32c::crc32c(content)] {
            bytes.extend(word.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    for (_, content) in sections {
        bytes.extend_from_slice(content);
    }
    bytes
}

pub fn read(bytes: &[u8]) -> Result<Summary, Error> {
    let contents = Contents::of_prefix(bytes)?;
    if contents.bytes() != bytes.len() {
        return Err(damaged("its length"));
    }
    let mut summary = Summary { counts: contents.counts(bytes)?, ..Summary::empty() };
    for (place, sketch) in summary.sketches.iter_mut().enumerate() {
        if let Some(section) = contents.checked(SKETCHES + place as u32, bytes)? {
            *sketch = read_sketch(section)?.into();
        }
    }
    for (place, top) in summary.tops.iter_mut().enumerate() {
        if let Some(section) = contents.checked(TOPS + place as u32, bytes)? {
            *top = read_top(section).ok_or_else(|| damaged("a top"))?;
        }
    }
    Ok(summary)
}

impl Contents {
    /// So many first bytes of a summary are enough to know its contents.
    pub const BYTES_MAX: usize = HEAD_BYTES + SECTIONS_MAX * ENTRY_BYTES + 4;

    /// Reads the contents from the first bytes of a summary.
    ///
    /// # Errors
    /// If these are not the first bytes of a summary, or not enough of them.
    pub fn of_prefix(bytes: &[u8]) -> Result<Contents, Error> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(|| damaged("its length"))?;
        let [m0, m1, m2, m3, version, count, 0, 0] = *head else { return Err(damaged("its head")) };
        if [m0, m1, m2, m3] != MAGIC || usize::from(count) > SECTIONS_MAX {
            return Err(damaged("its head"));
        }
        if version != VERSION {
            return Err(Error::Store(format!("a summary of version {version} is not known here")));
        }
        let table = rest.get(..usize::from(count) * ENTRY_BYTES).ok_or_else(|| damaged("its length"))?;
        let start = HEAD_BYTES + table.len();
        let crc = rest[table.len()..].first_chunk().ok_or_else(|| damaged("its length"))?;
        if crc32c::crc32c(&bytes[..start]) != u32::from_le_bytes(*crc) {
            return Err(damaged("the checksum of its head"));
        }
        let mut end = start + 4;
        let mut sections: Vec<Section> = Vec::with_capacity(count.into());
        for entry in table.as_chunks::<ENTRY_BYTES>().0 {
            let word =
                |place: usize| u32::from_le_bytes(*entry[place * 4..].first_chunk().expect("three words"));
            let (number, range, crc) = (word(0), end..end + word(1) as usize, word(2));
            end = range.end;
            if sections.last().is_some_and(|last| last.number >= number) {
                return Err(damaged("the order of its sections"));
            }
            sections.push(Section { number, range, crc });
        }
        Ok(Contents { sections })
    }

    /// Bytes of the whole summary.
    pub fn bytes(&self) -> usize {
        self.sections.last().map_or(HEAD_BYTES + 4, |last| last.range.end)
    }

    /// Where the counts end: so many first bytes are enough for them.
    pub fn counts_end(&self) -> usize {
        self.sections.first().map_or(0, |first| first.range.end)
    }

    /// Reads the counts; the bytes are those of the summary, or so many first ones as they need.
    ///
    /// # Errors
    /// If they are not there or damaged.
    pub fn counts(&self, bytes: &[u8]) -> Result<Counts, Error> {
        let section = self.checked(COUNTS, bytes)?.ok_or_else(|| damaged("its counts"))?;
        read_counts(section).ok_or_else(|| damaged("its counts"))
    }

    /// Where the sketches of a dimension are, of which it is the union; `None` if there is no such dimension.
    pub fn sketches(&self, dimension: &str) -> Option<Vec<Range<usize>>> {
        let sections = Half::of_dimension(dimension)?.iter().map(|half| SKETCHES + *half as u32);
        Some(sections.filter_map(|number| self.find(number)).map(|section| section.range.clone()).collect())
    }

    /// Merges a sketch into another; the bytes are those of one of [`Contents::sketches`].
    ///
    /// # Errors
    /// If they are damaged; then nothing was merged.
    pub fn merge_sketch(&self, range: &Range<usize>, bytes: &[u8], into: &mut Sketch) -> Result<(), Error> {
        let section = self.sections.iter().find(|section| section.range == *range);
        if section.is_none_or(|section| crc32c::crc32c(bytes) != section.crc) {
            return Err(damaged("the checksum of a sketch"));
        }
        into.merge(read_sketch(bytes)?);
        Ok(())
    }

    fn find(&self, number: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.number == number)
    }

    fn checked<'a>(&self, number: u32, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        let Some(section) = self.find(number) else { return Ok(None) };
        let content = bytes.get(section.range.clone()).ok_or_else(|| damaged("its length"))?;
        if crc32c::crc32c(content) != section.crc {
            return Err(damaged("the checksum of a section"));
        }
        Ok(Some(content))
    }
}

fn damaged(what: &str) -> Error {
    Error::Store(format!("a summary is damaged: {what}"))
}

fn read_sketch(bytes: &[u8]) -> Result<SketchRef<'_>, Error> {
    let sketch =
        SketchRef::new(bytes).map_err(|error| Error::Store(format!("a summary is damaged: {error}")))?;
    if sketch.precision() != PRECISION { Err(damaged("the precision of a sketch")) } else { Ok(sketch) }
}

fn write_counts(counts: &Counts) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsigned(counts.rows.into(), &mut bytes);
    signed(counts.flows_hundredths, &mut bytes);
    unsigned(counts.columns.len() as u128, &mut bytes);
    for (place, column) in &counts.columns {
        let name = &Catalog::shared().stored()[usize::from(place.0)].name;
        unsigned(name.len() as u128, &mut bytes);
        bytes.extend_from_slice(name.as_bytes());
        match column {
            Column::Number(totals) => {
                bytes.push(1);
                write_totals(totals, &mut bytes);
            }
            Column::Other(presence) => {
                bytes.push(0);
                unsigned(presence.count.into(), &mut bytes);
                signed(presence.flows_hundredths, &mut bytes);
            }
        }
    }
    for pair in &counts.pairs {
        bytes.push(pair.is_some().into());
        if let Some(totals) = pair {
            write_totals(totals, &mut bytes);
        }
    }
    bytes
}

fn read_counts(bytes: &[u8]) -> Option<Counts> {
    let mut input = Input(bytes);
    let mut counts = Counts { rows: input.number()?, flows_hundredths: input.signed()?, ..Counts::default() };
    for _ in 0..input.number::<u32>()? {
        let length = input.number()?;
        let name = std::str::from_utf8(input.take(length)?).ok()?;
        let column = match input.take(1)? {
            [1] => Column::Number(input.totals()?),
            [0] => Column::Other(Presence { count: input.number()?, flows_hundredths: input.signed()? }),
            _ => return None,
        };
        if let Some(place) = Catalog::shared().find_stored(name)
            && counts.columns.insert(place, column).is_some()
        {
            return None;
        }
    }
    for pair in &mut counts.pairs {
        *pair = match input.take(1)? {
            [0] => None,
            [1] => Some(input.totals()?),
            _ => return None,
        };
    }
    input.0.is_empty().then_some(counts)
}

fn write_totals(totals: &Totals, into: &mut Vec<u8>) {
    unsigned(totals.count.into(), into);
    let numbers = [totals.flows_hundredths, totals.sum, totals.normalised_hundredths];
    numbers.into_iter().chain([totals.min.into(), totals.max.into()]).for_each(|number| signed(number, into));
}

fn write_top(top: &Top) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsigned(top.listed.len() as u128, &mut bytes);
    for heavy in &top.listed {
        match heavy.key {
            Key::Number(number) => {
                bytes.push(0);
                signed(number.into(), &mut bytes);
            }
            Key::Address(address) => match address.to_ipv4_mapped() {
                Some(ipv4) => {
                    bytes.push(4);
                    bytes.extend(ipv4.octets());
                }
                None => {
                    bytes.push(6);
                    bytes.extend(address.octets());
                }
            },
        }
        unsigned(heavy.weight.unsigned_abs(), &mut bytes);
        unsigned(heavy.missing_max.unsigned_abs(), &mut bytes);
    }
    unsigned(top.unlisted_max.unsigned_abs(), &mut bytes);
    unsigned(top.null_weight.unsigned_abs(), &mut bytes);
    bytes
}

fn read_top(bytes: &[u8]) -> Option<Top> {
    let mut input = Input(bytes);
    let count: usize = input.number()?;
    if count > LISTED_MAX {
        return None;
    }
    let mut top = Top::default();
    for _ in 0..count {
        let key = match input.take(1)? {
            [0] => Key::Number(input.signed()?.try_into().ok()?),
            [4] => Key::ipv4(u32::from_be_bytes(input.take(4)?.try_into().ok()?)),
            [6] => Key::Address(Ipv6Addr::from(<[u8; 16]>::try_from(input.take(16)?).ok()?)),
            _ => return None,
        };
        top.listed.push(Heavy { key, weight: input.number()?, missing_max: input.number()? });
    }
    (top.unlisted_max, top.null_weight) = (input.number()?, input.number()?);
    let mut keys: Vec<Key> = top.listed.iter().map(|heavy| heavy.key).collect();
    keys.sort_unstable();
    let is_sound = keys.is_sorted_by(|a, b| a < b) && top.listed.is_sorted_by_key(Heavy::order);
    (is_sound && input.0.is_empty()).then_some(top)
}

fn unsigned(mut number: u128, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn signed(number: i128, into: &mut Vec<u8>) {
    unsigned((number << 1 ^ number >> 127) as u128, into);
}

/// What is still to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<N: TryFrom<u128>>(&mut self) -> Option<N> {
        let mut number = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u128::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return N::try_from(number).ok();
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i128> {
        let number: u128 = self.number()?;
        Some((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    fn totals(&mut self) -> Option<Totals> {
        Some(Totals {
            count: self.number()?,
            flows_hundredths: self.signed()?,
            sum: self.signed()?,
            normalised_hundredths: self.signed()?,
            min: self.signed()?.try_into().ok()?,
            max: self.signed()?.try_into().ok()?,
        })
    }
}
