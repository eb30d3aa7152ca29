//! Columns of addresses, whatever their type: which columns are some, and the address in each row.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, UInt32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, UInt32Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};

use super::{Address, mapped, parse};

/// Metadata key of a field that says what its numbers are, and what it may say.
pub const TYPE_KEY: &str = "flow.type";
pub const IPV4: &str = "ipv4";
pub const MAC: &str = "mac";

/// How a column of addresses holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Inet,
    Ipv4,
}

/// The form of a column of a flow table; None if it is no column of addresses.
pub(crate) fn form(field: &Field) -> Option<Form> {
    match field.data_type() {
        DataType::FixedSizeBinary(16) => Some(Form::Inet),
        DataType::UInt32 if is(field, IPV4) => Some(Form::Ipv4),
        _ => None,
    }
}

pub(crate) fn is(field: &Field, meaning: &str) -> bool {
    field.metadata().get(TYPE_KEY).is_some_and(|value| value == meaning)
}

/// An address as a value of a column.
pub(crate) fn scalar(address: Address) -> ScalarValue {
    ScalarValue::FixedSizeBinary(16, Some(address.to_be_bytes().to_vec()))
}

/// The addresses of an array.
#[derive(Debug)]
pub(crate) enum Addresses<'a> {
    Inet(&'a FixedSizeBinaryArray),
    Ipv4(&'a UInt32Array),
    /// Texts, parsed.
    Parsed(Vec<Option<Address>>),
}

impl Addresses<'_> {
    /// # Errors
    /// If the array has no addresses, or one of its texts is none.
    pub(crate) fn of(array: &ArrayRef) -> Result<Addresses<'_>> {
        Ok(match array.data_type() {
            DataType::FixedSizeBinary(16) => Addresses::Inet(array.as_fixed_size_binary()),
            DataType::UInt32 => Addresses::Ipv4(array.as_primitive::<UInt32Type>()),
            DataType::Utf8View => Addresses::Parsed(parse_all(array)?),
            DataType::Utf8 | DataType::LargeUtf8 => {
                Addresses::Parsed(parse_all(&cast(array, &DataType::Utf8View)?)?)
            }
            DataType::Null => Addresses::Parsed(vec![None; array.len()]),
            other => return exec_err!("{other} is no address"),
        })
    }

    pub(crate) fn get(&self, row: usize) -> Option<Address> {
        match self {
            Addresses::Inet(array) => array.is_valid(row).then(|| from_bytes(array.value(row))),
            Addresses::Ipv4(array) => array.is_valid(row).then(|| mapped(array.value(row))),
            Addresses::Parsed(addresses) => addresses[row],
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Addresses::Inet(array) => array.len(),
            Addresses::Ipv4(array) => array.len(),
            Addresses::Parsed(addresses) => addresses.len(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<Address>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

fn parse_all(array: &ArrayRef) -> Result<Vec<Option<Address>>> {
    let parsed = array.as_string_view().iter().map(|text| text.map(parse_or_error).transpose());
    parsed.collect()
}

pub(crate) fn parse_or_error(text: &str) -> Result<Address> {
    parse(text).ok_or_else(|| exec_datafusion_err!("'{text}' is no address"))
}

fn from_bytes(bytes: &[u8]) -> Address {
    Address::from_be_bytes(bytes.try_into().expect("the array's values are 16 bytes long"))
}

/// The array of such addresses.
pub(crate) fn array(addresses: impl Iterator<Item = Option<Address>>) -> Result<FixedSizeBinaryArray> {
    let bytes = addresses.map(|address| address.map(u128::to_be_bytes));
    Ok(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, 16)?)
}
