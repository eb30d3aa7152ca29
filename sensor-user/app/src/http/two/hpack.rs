//! Header blocks (RFC 7541): what is wanted of one, and the entries that it leaves for later ones.
//!
//! Fields that are not wanted are stepped over without decoding their values. What one block yields is bounded by its
//! [`Found`], however often a block refers to a long entry, and the number of its fields has a limit.

use super::{
    huffman::{self, Decoded},
    table::Table,
};
use crate::{
    http::{
        head,
        message::{Message, Name},
    },
    parser::Failure,
};

/// Fields of one block, with changes of the table's size.
const FIELDS_MAX: usize = 1024;
/// Values of one block; what is beyond is cut.
const TEXT_BYTES_MAX: usize = 4096;

/// The table that both sides know from the start (appendix A): names that are wanted, and values that have one.
const STATIC: [(Name, &[u8]); 61] = {
    let mut table = [(Name::Other, b"".as_slice()); 61];
    table[0] = (Name::Authority, b"");
    table[1] = (Name::Method, b"GET");
    table[2] = (Name::Method, b"POST");
    table[3] = (Name::Target, b"/");
    table[4] = (Name::Target, b"/index.html");
    table[7] = (Name::Status, b"200");
    table[8] = (Name::Status, b"204");
    table[9] = (Name::Status, b"206");
    table[10] = (Name::Status, b"304");
    table[11] = (Name::Status, b"400");
    table[12] = (Name::Status, b"404");
    table[13] = (Name::Status, b"500");
    table[27] = (Name::ContentLength, b"");
    table[30] = (Name::ContentType, b"");
    table[37] = (Name::Host, b"");
    table[50] = (Name::Referer, b"");
    table[53] = (Name::Server, b"");
    table[57] = (Name::UserAgent, b"");
    table
};

/// The values of one block that are wanted, the first of each name.
#[derive(Debug)]
pub struct Found {
    text: [u8; TEXT_BYTES_MAX],
    length: usize,
    values: [Option<(u16, u16)>; Name::ALL.len()],
}

impl Found {
    pub fn new() -> Found {
        Found { text: [0; TEXT_BYTES_MAX], length: 0, values: [None; Name::ALL.len()] }
    }

    pub fn message(&self) -> Message<'_> {
        let mut message = Message {
            version: Some(b"2"),
            status: self.value(Name::Status).map(number),
            body_bytes: self.value(Name::ContentLength).and_then(head::parse_length),
            has_line_ends: true,
            ..Message::default()
        };
        for name in Name::ALL {
            if let Some(value) = self.value(name) {
                message.set(name, value);
            }
        }
        message
    }

    fn value(&self, name: Name) -> Option<&[u8]> {
        let (start, end) = self.values[name as usize]?;
        Some(&self.text[usize::from(start)..usize::from(end)])
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.text[self.length..]
    }

    /// So many bytes of the room are the value of a name. It is kept unless there was one.
    fn keep(&mut self, name: Name, length: usize) {
        let value = &mut self.values[name as usize];
        if value.is_none() && name != Name::Other {
            *value = Some((self.length as u16, (self.length + length) as u16));
            self.length += length;
        }
    }

    fn copy(&mut self, name: Name, value: &[u8]) {
        if self.values[name as usize].is_none() {
            let length = copy_into(self.room(), value);
            self.keep(name, length);
        }
    }
}

/// Three digits, or no status that there is.
fn number(digits: &[u8]) -> u16 {
    let is_number = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    digits.iter().filter(|_| is_number).fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

fn copy_into(room: &mut [u8], bytes: &[u8]) -> usize {
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
    length
}

/// Reads a whole block.
pub fn read(block: &[u8], table: &mut Table<'_>, found: &mut Found) -> Result<(), Failure> {
    let mut reader = Reader { rest: block };
    for _ in 0..=FIELDS_MAX {
        let Some(first) = reader.rest.first() else { return Ok(()) };
        match first {
            0x80.. => {
                let index = reader.integer(7)?;
                let (name, value) = field(index, table)?;
                found.copy(name, value);
            }
            0x40..0x80 => {
                let name = reader.name(6, table)?;
                let length = reader.value(name, found)?;
                let value = &found.text[found.length..][..length];
                table.insert(name, value);
                found.keep(name, length);
            }
            0x20..0x40 => {
                // What is evicted from a table that shrinks is not referred to again.
                reader.integer(5)?;
            }
            _ => {
                let name = reader.name(4, table)?;
                let length = reader.value(name, found)?;
                found.keep(name, length);
            }
        }
    }
    Err(Failure::Limit)
}

/// An entry of the tables, which count as one.
fn field<'a>(index: u64, table: &'a Table<'_>) -> Result<(Name, &'a [u8]), Failure> {
    let place = index.checked_sub(1).ok_or(Failure::Malformed)?;
    match STATIC.get(place as usize) {
        Some(field) => Ok(*field),
        None => table.get(place - STATIC.len() as u64).ok_or(Failure::Malformed),
    }
}

#[derive(Debug)]
struct Reader<'a> {
    rest: &'a [u8],
}

/// A string as it is in a block.
#[derive(Clone, Copy, Debug)]
struct Coded<'a> {
    is_huffman: bool,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// An integer that begins in the last bits of a byte (§5.1). None that is needed has more than 28 bits beyond them.
    fn integer(&mut self, prefix_bits: u32) -> Result<u64, Failure> {
        let (first, mut rest) = self.rest.split_first().ok_or(Failure::Malformed)?;
        let mask = (1u8 << prefix_bits) - 1;
        let mut number = u64::from(first & mask);
        if first & mask == mask {
            let mut shift = 0;
            loop {
                let (byte, after) = rest.split_first().ok_or(Failure::Malformed)?;
                if shift > 21 {
                    return Err(Failure::Malformed);
                }
                number += u64::from(byte & 0x7f) << shift;
                shift += 7;
                rest = after;
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        self.rest = rest;
        Ok(number)
    }

    fn string(&mut self) -> Result<Coded<'a>, Failure> {
        let is_huffman = self.rest.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (bytes, rest) = self.rest.split_at_checked(length as usize).ok_or(Failure::Malformed)?;
        self.rest = rest;
        Ok(Coded { is_huffman, bytes })
    }

    /// The name of a literal field: of an entry, or spelt out.
    fn name(&mut self, prefix_bits: u32, table: &Table<'_>) -> Result<Name, Failure> {
        let index = self.integer(prefix_bits)?;
        if index > 0 {
            return Ok(field(index, table)?.0);
        }
        let mut room = [0; Name::BYTES_MAX + 1];
        let length = self.string()?.decode(&mut room)?;
        Ok(Name::of(&room[..length]))
    }

    /// Puts a value that is wanted into the room that is left and returns its length.
    fn value(&mut self, name: Name, found: &mut Found) -> Result<usize, Failure> {
        let coded = self.string()?;
        if name == Name::Other { Ok(0) } else { coded.decode(found.room()) }
    }
}

impl Coded<'_> {
    /// Fills as much of the room as there is text.
    fn decode(self, room: &mut [u8]) -> Result<usize, Failure> {
        if !self.is_huffman {
            return Ok(copy_into(room, self.bytes));
        }
        match huffman::decode(self.bytes, room) {
            Decoded::Whole(length) => Ok(length),
            Decoded::Cut => Ok(room.len()),
            Decoded::Malformed => Err(Failure::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::two::table::Marks;
    use proptest::prelude::*;

    fn found(blocks: &[&[u8]]) -> Vec<Result<Found, Failure>> {
        let mut memory = vec![0; 9216];
        let mut table = Table { marks: &mut { Marks::NEW }, memory: &mut memory };
        let read_one = |block: &&[u8]| {
            let mut found = Found::new();
            read(block, &mut table, &mut found).map(|()| found)
        };
        blocks.iter().map(read_one).collect()
    }

    /// RFC 7541 appendix C.4.
    #[test]
    fn requests_of_the_standard_are_read() {
        let blocks: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
        ];
        for (place, found) in found(&blocks).into_iter().enumerate() {
            let found = found.unwrap();
            let message = found.message();
            assert_eq!(message.method, Some(b"GET".as_slice()));
            assert_eq!(message.target, Some([b"/".as_slice(), b"/", b"/index.html"][place]));
            assert_eq!(message.host, Some(b"www.example.com".as_slice()));
            assert_eq!(message.version, Some(b"2".as_slice()));
            assert_eq!(message.status, None);
        }
    }

    /// RFC 7541 appendix C.5, without Huffman coding: the table is of 256 bytes there, and entries are evicted.
    #[test]
    fn answers_of_the_standard_are_read() {
        let blocks: [&[u8]; 3] = [
            b"\x48\x03302\x58\x07private\x61\x1dMon, 21 Oct 2013 20:13:21 GMT\x6e\x17https://www.example.com",
            b"\x48\x03307\xc1\xc0\xbf",
            b"\x88\xc1\x61\x1dMon, 21 Oct 2013 20:13:22 GMT\xc0\x5a\x04gzip",
        ];
        let statuses: Vec<_> =
            found(&blocks).into_iter().map(|found| found.unwrap().message().status).collect();
        assert_eq!(statuses, [Some(302), Some(307), Some(200)]);
    }

    #[test]
    fn what_makes_no_sense_is_malformed() {
        let cases: [&[u8]; 9] = [
            b"\x80",
            b"\xbe",
            b"\xff\x80\x80\x80\x80\x01",
            b"\xff",
            b"\x40",
            b"\x41\x05abc",
            b"\x41\x82\xff\xff",
            b"\x7f\x00\x00",
            b"\x00\x81\x00\x00",
        ];
        for block in cases {
            assert!(matches!(found(&[block])[0], Err(Failure::Malformed)), "{}", block.escape_ascii());
        }
    }

    /// One long entry, and a block that refers to it over and over.
    #[test]
    fn what_a_block_yields_is_bounded_and_so_are_its_fields() {
        let long = [b"\x7a\x7f\xa1\x1e".as_slice(), &[b'x'; 4000]].concat();
        let [first, second] = &found(&[&long, &[0xbe; FIELDS_MAX]])[..] else { panic!() };
        for found in [first, second] {
            let found = found.as_ref().unwrap();
            assert_eq!(found.message().user_agent, Some([b'x'; 4000].as_slice()));
            assert_eq!(found.length, 4000);
        }
        let many = &found(&[&[0x82; FIELDS_MAX + 1]])[0];
        assert!(matches!(many, Err(Failure::Limit)));
    }

    #[test]
    fn values_are_cut_where_the_room_ends() {
        let length = [0x7f, 0x81, 0x1f];
        let long = [b"\x0f\x2b".as_slice(), &length, &[b'x'; 4096], b"\x01\x03a.b\x44\x05/path"].concat();
        let found = found(&[&long]).remove(0).unwrap();
        assert_eq!(found.message().user_agent, Some([b'x'; 4096].as_slice()));
        assert_eq!(found.message().host, Some(b"".as_slice()));
    }

    proptest! {
        #[test]
        fn any_blocks_are_read(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            for found in found(&blocks).into_iter().flatten() {
                prop_assert!(found.length <= TEXT_BYTES_MAX);
                found.message();
            }
        }
    }
}
