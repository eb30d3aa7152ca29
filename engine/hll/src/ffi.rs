//! The C interface, as `include/hll.h` declares and documents it.
//!
//! Every function checks its pointers for null, catches panics and returns a status. What a caller promises
//! beyond that (pointers point to what they say, and nobody else changes it meanwhile) is in the header; each
//! block here relies on that and nothing else.

#![expect(unsafe_code, reason = "C passes pointers, and finds functions by name")]

use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

use crate::{Error, Estimate, Precision, Sketch, hash};

/// `hll_status`; numbers are never used for something else.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    Null = 1,
    Precision = 2,
    NotASketch = 3,
    Version = 4,
    Length = 5,
    Corrupt = 6,
    Buffer = 7,
    Internal = 8,
}

/// `hll_part`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Part {
    value: f64,
    standard_error: f64,
}

/// `hll_overlap`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Overlap {
    only_first: Part,
    only_second: Part,
    both: Part,
    either: Part,
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::Precision(_) => Status::Precision,
            Error::NotASketch | Error::DataSketches(_) => Status::NotASketch,
            Error::Version(_) => Status::Version,
            Error::Length => Status::Length,
            Error::Corrupt(_) => Status::Corrupt,
        }
    }
}

impl From<Estimate> for Part {
    fn from(estimate: Estimate) -> Part {
        Part { value: estimate.value(), standard_error: estimate.standard_error() }
    }
}

/// Runs the body of a function. No panic leaves it, as unwinding into C is undefined.
fn fenced(body: impl FnOnce() -> Result<(), Status>) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(status)) => status,
        Err(_) => Status::Internal,
    }
}

/// # Safety
/// The pointer is null, or points to a value that nobody changes for as long as `'a`.
unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T, Status> {
    // SAFETY: the caller promises that it is null or valid, and null is `None`.
    unsafe { pointer.as_ref() }.ok_or(Status::Null)
}

/// # Safety
/// The pointer is null, or points to a value that nobody else uses for as long as `'a`.
unsafe fn unique<'a, T>(pointer: *mut T) -> Result<&'a mut T, Status> {
    // SAFETY: the caller promises that it is null or valid, and null is `None`.
    unsafe { pointer.as_mut() }.ok_or(Status::Null)
}

/// # Safety
/// The pointer is null, or points to so many values that nobody changes for as long as `'a`.
unsafe fn many<'a, T>(pointer: *const T, count: usize) -> Result<&'a [T], Status> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Status::Null);
    }
    // SAFETY: it is not null, and the caller promises that so many values are there.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Writes to where a pointer of the caller points.
///
/// # Safety
/// The pointer is null, or a value may be written where it points.
unsafe fn put<T>(pointer: *mut T, value: T) -> Result<(), Status> {
    if pointer.is_null() {
        return Err(Status::Null);
    }
    // SAFETY: it is not null, and the caller promises that it can be written to. What is there need not be
    // initialised.
    unsafe { pointer.write(value) };
    Ok(())
}

/// By the number of the status.
const MESSAGES: [&CStr; 9] = [
    c"no error",
    c"a pointer is null that must not be",
    c"the precision is not one of 4 to 18",
    c"not a serialised sketch",
    c"serialised sketch of an unknown version",
    c"serialised sketch is shorter or longer than it says",
    c"serialised sketch is corrupt",
    c"the buffer is too small",
    c"internal error; the sketch may only be freed",
];

#[unsafe(no_mangle)]
pub extern "C" fn hll_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn hll_message(status: c_int) -> *const c_char {
    let message = usize::try_from(status).ok().and_then(|status| MESSAGES.get(status));
    message.copied().unwrap_or(c"unknown status").as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_new(precision: u8, sketch: *mut *mut Sketch) -> Status {
    fenced(|| {
        let new = Sketch::new(Precision::new(precision)?);
        // SAFETY: the header says that `sketch` is null or can be written to.
        unsafe { put_new(sketch, new) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_clone(sketch: *const Sketch, copy: *mut *mut Sketch) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let sketch = unsafe { shared(sketch) }?;
        // SAFETY: the header says that `copy` is null or can be written to.
        unsafe { put_new(copy, sketch.clone()) }
    })
}

/// Hands a sketch over to C, which gives it back by `hll_free`.
///
/// # Safety
/// The pointer is null, or a pointer may be written where it points.
unsafe fn put_new(pointer: *mut *mut Sketch, sketch: Sketch) -> Result<(), Status> {
    // Checked before the sketch is let go of.
    if pointer.is_null() {
        return Err(Status::Null);
    }
    // SAFETY: as promised by the caller.
    unsafe { put(pointer, Box::into_raw(Box::new(sketch))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_free(sketch: *mut Sketch) {
    if !sketch.is_null() {
        fenced(|| {
            // SAFETY: it is not null, the header says that it came from `put_new`, and that it is not used
            // any more.
            drop(unsafe { Box::from_raw(sketch) });
            Ok(())
        });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_clear(sketch: *mut Sketch) -> Status {
    // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
    unsafe { change(sketch, Sketch::clear) }
}

/// Runs something that cannot fail on a sketch.
///
/// # Safety
/// The pointer is null, or points to a sketch that nobody else uses meanwhile.
unsafe fn change(sketch: *mut Sketch, change: impl FnOnce(&mut Sketch)) -> Status {
    fenced(|| {
        // SAFETY: as promised by the caller.
        change(unsafe { unique(sketch) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_reduce(sketch: *mut Sketch, precision: u8) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        unsafe { unique(sketch) }?.reduce(Precision::new(precision)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add(sketch: *mut Sketch, value: *const u8, length: usize) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `value` points to `length` bytes.
        sketch.add(unsafe { many(value, length) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_u64(sketch: *mut Sketch, value: u64) -> Status {
    // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
    unsafe { change(sketch, |sketch| sketch.add_u64(value)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_u128(sketch: *mut Sketch, low: u64, high: u64) -> Status {
    // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
    unsafe { change(sketch, |sketch| sketch.add_u128(u128::from(high) << 64 | u128::from(low))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_hash(sketch: *mut Sketch, hash: u64) -> Status {
    // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
    unsafe { change(sketch, |sketch| sketch.add_hash(hash)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_many(
    sketch: *mut Sketch,
    values: *const *const u8,
    lengths: *const usize,
    count: usize,
) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `values` points to `count` pointers.
        let values = unsafe { many(values, count) }?;
        // SAFETY: the header says that `lengths` points to `count` lengths.
        let lengths = unsafe { many(lengths, count) }?;
        for (value, length) in values.iter().zip(lengths) {
            // SAFETY: the header says that each value points to as many bytes as its length says.
            sketch.add(unsafe { many(*value, *length) }?);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_u64s(sketch: *mut Sketch, values: *const u64, count: usize) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `values` points to `count` numbers.
        sketch.add_u64s(unsafe { many(values, count) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_add_hashes(sketch: *mut Sketch, hashes: *const u64, count: usize) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `hashes` points to `count` hashes.
        sketch.add_hashes(unsafe { many(hashes, count) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_hash(value: *const u8, length: usize, result: *mut u64) -> Status {
    fenced(|| {
        // SAFETY: the header says that `value` points to `length` bytes.
        let value = unsafe { many(value, length) }?;
        // SAFETY: the header says that `result` is null or can be written to.
        unsafe { put(result, hash::of_bytes(value)) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_merge(sketch: *mut Sketch, other: *const Sketch) -> Status {
    // Merging a sketch with itself changes nothing, and may not be a unique and a shared reference at once.
    if ptr::eq(sketch, other) {
        return if sketch.is_null() { Status::Null } else { Status::Ok };
    }
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone, and it is not
        // `other`.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `other` is null or a live sketch.
        sketch.merge(unsafe { shared(other) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_merge_bytes(sketch: *mut Sketch, bytes: *const u8, length: usize) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch that is ours alone.
        let sketch = unsafe { unique(sketch) }?;
        // SAFETY: the header says that `bytes` points to `length` bytes.
        sketch.merge_bytes(unsafe { many(bytes, length) }?)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_estimate(sketch: *const Sketch, estimate: *mut f64) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let value = unsafe { shared(sketch) }?.estimate().value();
        // SAFETY: the header says that `estimate` is null or can be written to.
        unsafe { put(estimate, value) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_bounds(
    sketch: *const Sketch,
    confidence: f64,
    lower: *mut f64,
    upper: *mut f64,
) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let bounds = unsafe { shared(sketch) }?.estimate().bounds(confidence);
        // SAFETY: the header says that `lower` is null or can be written to.
        unsafe { put(lower, bounds.0) }?;
        // SAFETY: the header says that `upper` is null or can be written to.
        unsafe { put(upper, bounds.1) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_overlap_of(
    first: *const Sketch,
    second: *const Sketch,
    overlap: *mut Overlap,
) -> Status {
    fenced(|| {
        // SAFETY: the header says that `first` is null or a live sketch.
        let first = unsafe { shared(first) }?;
        // SAFETY: the header says that `second` is null or a live sketch.
        let parts = first.overlap(unsafe { shared(second) }?);
        let result = Overlap {
            only_first: parts.only_first.into(),
            only_second: parts.only_second.into(),
            both: parts.both.into(),
            either: parts.union.into(),
        };
        // SAFETY: the header says that `overlap` is null or can be written to.
        unsafe { put(overlap, result) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_precision(sketch: *const Sketch, precision: *mut u8) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let bits = unsafe { shared(sketch) }?.precision().bits();
        // SAFETY: the header says that `precision` is null or can be written to.
        unsafe { put(precision, bits) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_memory_bytes(sketch: *const Sketch, bytes: *mut usize) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let memory = unsafe { shared(sketch) }?.memory_bytes();
        // SAFETY: the header says that `bytes` is null or can be written to.
        unsafe { put(bytes, memory) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_serialise(
    sketch: *const Sketch,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> Status {
    fenced(|| {
        // SAFETY: the header says that `sketch` is null or a live sketch.
        let bytes = unsafe { shared(sketch) }?.to_bytes();
        // SAFETY: the header says that `length` is null or can be written to.
        unsafe { put(length, bytes.len()) }?;
        if bytes.len() > capacity {
            return Err(Status::Buffer);
        }
        if buffer.is_null() {
            return Err(Status::Null);
        }
        // SAFETY: the header says that `capacity` bytes can be written at `buffer`, which is not null, and as
        // many or fewer are. They are not part of the vector, which was made here.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hll_deserialise(
    bytes: *const u8,
    length: usize,
    sketch: *mut *mut Sketch,
) -> Status {
    fenced(|| {
        // SAFETY: the header says that `bytes` points to `length` bytes.
        let read = Sketch::from_bytes(unsafe { many(bytes, length) }?)?;
        // SAFETY: the header says that `sketch` is null or can be written to.
        unsafe { put_new(sketch, read) }
    })
}
