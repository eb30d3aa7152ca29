//! What a value is hashed as: the same in queries, in the footers of slices and wherever sketches are merged.
//!
//! - whole numbers of any width, truth values, times: 64 bits, sign-extended, so that a number counts as the same
//!   value in a narrow column and in a wide one;
//! - addresses: the 16 bytes as one big-endian number. `UInt32` is an IPv4 address in a flow table and is hashed as
//!   `::ffff:a.b.c.d`, so that `ipv4_src_addr` and `inet_src_addr` have equal hashes;
//! - texts and bytes: their bytes;
//! - floating-point numbers: the bits of the 64-bit number, -0 as 0; decimals: as whole numbers if 64 bits are enough.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt32Type};
use datafusion::common::{Result, exec_err};
use hll::{Precision, hash};

use crate::address::mapped;

/// Of all sketches of the engine: 4 KiB dense, standard error 1.07 %.
pub const PRECISION: Precision = match Precision::new(12) {
    Ok(precision) => precision,
    Err(_) => panic!("12 is a precision"),
};

/// Appends the hash of each value that is not null, in the order of the rows.
///
/// # Errors
/// If there are no hashes of the type: lists, structs and the like.
pub fn hashes(array: &ArrayRef, out: &mut Vec<u64>) -> Result<()> {
    let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) else {
        return hashes_of_rows(array, out);
    };
    let start = out.len();
    hashes_of_rows(array, out)?;
    let mut kept = start;
    for row in nulls.valid_indices() {
        out[kept] = out[start + row];
        kept += 1;
    }
    out.truncate(kept);
    Ok(())
}

/// Appends a hash for each row; that of a null is any number.
pub(crate) fn hashes_of_rows(array: &ArrayRef, out: &mut Vec<u64>) -> Result<()> {
    out.reserve(array.len());
    match array.data_type() {
        DataType::Null => out.extend(std::iter::repeat_n(0, array.len())),
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            out.extend(values.iter().map(|&value| hash::of_u64(value as u64)));
        }
        DataType::UInt32 => {
            let values = array.as_primitive::<UInt32Type>().values();
            out.extend(values.iter().map(|&value| hash::of_u128(mapped(value))));
        }
        DataType::FixedSizeBinary(16) => {
            let (addresses, _) = array.as_fixed_size_binary().value_data().as_chunks::<16>();
            out.extend(addresses.iter().map(|address| hash::of_u128(u128::from_be_bytes(*address))));
        }
        DataType::UInt64 => return hashes_of_rows(&cast(array, &DataType::Decimal128(20, 0))?, out),
        DataType::Decimal128(_, _) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            out.extend(values.iter().map(|&value| match i64::try_from(value) {
                Ok(small) => hash::of_u64(small as u64),
                Err(_) => hash::of_u128(value as u128),
            }));
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            out.extend(values.iter().map(|&value| hash::of_u64((value + 0.0).to_bits())));
        }
        DataType::Utf8 => bytes(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)), out),
        DataType::LargeUtf8 => {
            bytes(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes)), out);
        }
        DataType::Utf8View => bytes(array.as_string_view().iter().map(|text| text.map(str::as_bytes)), out),
        DataType::Binary => bytes(array.as_binary::<i32>().iter(), out),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().iter(), out),
        DataType::BinaryView => bytes(array.as_binary_view().iter(), out),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().iter(), out),
        DataType::Dictionary(_, values) => return hashes_of_rows(&cast(array, values)?, out),
        DataType::Float16 | DataType::Float32 => {
            return hashes_of_rows(&cast(array, &DataType::Float64)?, out);
        }
        other if other.is_integer() || other.is_temporal() || *other == DataType::Boolean => {
            return hashes_of_rows(&whole(array)?, out);
        }
        other => return exec_err!("distinct values of {other} are not counted"),
    }
    Ok(())
}

fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, out: &mut Vec<u64>) {
    out.extend(values.map(|value| hash::of_bytes(value.unwrap_or_default())));
}

/// Narrow numbers, truth values and times as 64-bit numbers.
fn whole(array: &ArrayRef) -> Result<ArrayRef> {
    let narrow = match array.data_type() {
        DataType::Date32 | DataType::Time32(_) => cast(array, &DataType::Int32)?,
        _ => ArrayRef::clone(array),
    };
    Ok(cast(&narrow, &DataType::Int64)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, StringViewArray, UInt32Array,
    };

    use super::*;

    fn hashed(array: impl Array + 'static) -> Vec<u64> {
        let mut out = Vec::new();
        hashes(&(Arc::new(array) as ArrayRef), &mut out).unwrap();
        out
    }

    #[test]
    fn address_has_one_hash_whichever_column_it_is_in() {
        let inet =
            FixedSizeBinaryArray::try_from_iter([mapped(0x0a00_0001).to_be_bytes()].into_iter()).unwrap();
        assert_eq!(hashed(UInt32Array::from(vec![0x0a00_0001])), hashed(inet));
    }

    #[test]
    fn number_and_text_have_one_hash_whatever_their_width() {
        assert_eq!(hashed(Int32Array::from(vec![-7, 443])), hashed(Int64Array::from(vec![-7, 443])));
        assert_eq!(
            hashed(StringArray::from(vec!["a", "bc"])),
            hashed(StringViewArray::from(vec!["a", "bc"]))
        );
    }

    #[test]
    fn nulls_have_no_hash() {
        let hashes = hashed(Int64Array::from(vec![None, Some(1), None, Some(2)]));
        assert_eq!(hashes, hashed(Int64Array::from(vec![1, 2])));
    }

    #[test]
    fn slice_of_an_array_has_the_hashes_of_its_rows() {
        let addresses = [1_u128, 2, 3].map(u128::to_be_bytes);
        let inet = FixedSizeBinaryArray::try_from_iter(addresses.into_iter()).unwrap();
        assert_eq!(hashed(inet.slice(1, 2)), hashed(inet)[1..]);
    }
}
