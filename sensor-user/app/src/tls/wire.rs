//! What both hellos are made of: lists of numbers, and extensions.

use nom::{
    Parser as _,
    bytes::complete::take,
    combinator::verify,
    multi::length_data,
    number::complete::{be_u8, be_u16},
};

/// What is left, and what was read. Why something is malformed does not matter here.
pub(super) type Read<'a, T> = nom::IResult<&'a [u8], T, ()>;

/// A list of 16-bit numbers, where it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers<'a>(&'a [u8]);

/// Extensions in the order in which they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a>(&'a [u8]);

/// Values with a byte of length before each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// An odd byte at the end belongs to no number.
    pub fn new(bytes: &'a [u8]) -> Numbers<'a> {
        Numbers(bytes)
    }

    pub fn iter(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.0.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// Without the values that only keep receivers tolerant (RFC 8701).
    pub fn without_grease(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.iter().filter(|number| !is_grease(*number))
    }
}

impl<'a> Extensions<'a> {
    /// The block that ends a hello; one that ends before it has none. Of a block that claims more than there is, what
    /// is there counts.
    pub(super) fn ending(hello: &'a [u8]) -> Extensions<'a> {
        let Some((length, block)) = hello.split_first_chunk() else { return Extensions::default() };
        let length = usize::from(u16::from_be_bytes(*length));
        Extensions(&block[..block.len().min(length)])
    }

    /// Those before the first that is out of bounds.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (left, extension) = extension(rest).ok()?;
            rest = left;
            Some(extension)
        })
    }

    pub fn types(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.iter().map(|(number, _)| number)
    }
}

impl<'a> Names<'a> {
    /// Those before the first that is empty or out of bounds.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (left, name) = verify(short_bytes, |name: &[u8]| !name.is_empty()).parse(rest).ok()?;
            rest = left;
            Some(name)
        })
    }
}

/// Whether a value only keeps receivers tolerant of values that they do not know (RFC 8701).
pub fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// Numbers behind 16 bits of their length.
pub(super) fn numbers(input: &[u8]) -> Read<'_, Numbers<'_>> {
    long_bytes.map(Numbers).parse(input)
}

/// Names behind 16 bits of their length.
pub(super) fn names(input: &[u8]) -> Read<'_, Names<'_>> {
    long_bytes.map(Names).parse(input)
}

/// Version and random, with which both hellos begin.
pub(super) fn hello_start(input: &[u8]) -> Read<'_, (u16, &[u8])> {
    (be_u16, take(32usize)).parse(input)
}

/// Bytes behind 8 bits of their length.
pub(super) fn short_bytes(input: &[u8]) -> Read<'_, &[u8]> {
    length_data(be_u8).parse(input)
}

/// Bytes behind 16 bits of their length.
pub(super) fn long_bytes(input: &[u8]) -> Read<'_, &[u8]> {
    length_data(be_u16).parse(input)
}

fn extension(input: &[u8]) -> Read<'_, (u16, &[u8])> {
    (be_u16, long_bytes).parse(input)
}
