//! The functions of addresses. Each takes an address in any form: an inet or IPv4 column, or a text.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringViewBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::column::{Addresses, Form, array};
use super::compare::{range, text_of};
use super::{Address, Network, text, to_ipv4};
use crate::address::scope;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Inet,
    Host,
    Text,
    Family,
    Masklen,
    IsPrivate,
    IsMulticast,
    IsLoopback,
    IsLinkLocal,
    IsGlobal,
    Network,
    NetworkText,
    InNetwork,
    CidrContains,
}

use Kind::{
    CidrContains, Family, Host, InNetwork, Inet, IsGlobal, IsLinkLocal, IsLoopback, IsMulticast, IsPrivate,
    Masklen, NetworkText, Text,
};

const ALL: [Kind; 14] = [
    Inet,
    Host,
    Text,
    Family,
    Masklen,
    IsPrivate,
    IsMulticast,
    IsLoopback,
    IsLinkLocal,
    IsGlobal,
    Kind::Network,
    NetworkText,
    InNetwork,
    CidrContains,
];

static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> =
    LazyLock::new(|| ALL.into_iter().map(|kind| Arc::new(AddressFunction::new(kind).into())).collect());

pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    FUNCTIONS.clone()
}

/// A call of one of them.
pub(crate) fn call(kind: Kind, arguments: Vec<Expr>) -> Expr {
    FUNCTIONS[kind as usize].call(arguments)
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressFunction {
    kind: Kind,
    signature: Signature,
}

impl AddressFunction {
    fn new(kind: Kind) -> AddressFunction {
        AddressFunction { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AddressFunction {
    fn name(&self) -> &str {
        match self.kind {
            Inet => "inet",
            Host => "host",
            Text => "text",
            Family => "family",
            Masklen => "masklen",
            IsPrivate => "is_private",
            IsMulticast => "is_multicast",
            IsLoopback => "is_loopback",
            IsLinkLocal => "is_link_local",
            IsGlobal => "is_global",
            Kind::Network => "network",
            NetworkText => "network_text",
            InNetwork => "in_network",
            CidrContains => "cidr_contains",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (fewest, most) = match self.kind {
            InNetwork | CidrContains => (2, 2),
            Kind::Network => (2, 3),
            NetworkText => (2, 3),
            _ => (1, 1),
        };
        if types.len() < fewest || types.len() > most {
            return plan_err!("{} takes {fewest} to {most} arguments, not {}", self.name(), types.len());
        }
        let mut coerced = types.to_vec();
        for (place, data_type) in coerced.iter_mut().enumerate() {
            let is_network = matches!((self.kind, place), (InNetwork, 1) | (CidrContains, 0));
            let is_length = matches!(self.kind, Kind::Network | NetworkText) && place > 0;
            *data_type = match data_type.clone() {
                DataType::FixedSizeBinary(16) | DataType::UInt32 if !is_length => continue,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null if !is_length => {
                    DataType::Utf8View
                }
                other if is_length && (other.is_integer() || other.is_null()) => DataType::Int64,
                other => {
                    let wanted = if is_length {
                        "a length"
                    } else if is_network {
                        "a network"
                    } else {
                        "an address"
                    };
                    return plan_err!(
                        "{} takes {wanted} as argument {}, not {other}",
                        self.name(),
                        place + 1
                    );
                }
            };
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Inet | Kind::Network => DataType::FixedSizeBinary(16),
            Host | Text | NetworkText => DataType::Utf8View,
            Family | Masklen => DataType::Int32,
            _ => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let result = match (self.kind, args.args.as_slice()) {
            (InNetwork, [address, network]) | (CidrContains, [network, address]) => {
                in_network(address, network, rows)?
            }
            (Kind::Network | NetworkText, [address, lengths @ ..]) => {
                self.networks(address, lengths, rows)?
            }
            (Masklen, [network]) => masklen(network, rows)?,
            (_, [address]) => self.of_addresses(&address.to_array(rows)?)?,
            (_, others) => return exec_err!("{} does not take {} arguments", self.name(), others.len()),
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let ((InNetwork, [address, network]) | (CidrContains, [network, address])) =
            (self.kind, args.as_slice())
        else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let (Expr::Column(_), Some(text)) = (address, text_of(network)) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let form = match info.get_data_type(address)? {
            DataType::FixedSizeBinary(16) => Form::Inet,
            DataType::UInt32 => Form::Ipv4,
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let network = parse_network(text)?;
        Ok(ExprSimplifyResult::Simplified(range(address, form, network, false)?))
    }
}

impl AddressFunction {
    fn of_addresses(&self, input: &ArrayRef) -> Result<ArrayRef> {
        let addresses = Addresses::of(input)?;
        let test = |is: fn(Address) -> bool| -> ArrayRef {
            Arc::new(BooleanArray::from_iter(addresses.iter().map(|address| address.map(is))))
        };
        Ok(match self.kind {
            Inet => Arc::new(array(addresses.iter())?),
            Host | Text => texts(addresses.iter().map(|address| address.map(text))),
            Family => {
                let family = |address| if to_ipv4(address).is_some() { 4 } else { 6 };
                Arc::new(Int32Array::from_iter(addresses.iter().map(|address| address.map(family))))
            }
            IsPrivate => test(scope::is_private),
            IsMulticast => test(scope::is_multicast),
            IsLoopback => test(scope::is_loopback),
            IsLinkLocal => test(scope::is_link_local),
            IsGlobal => test(scope::is_global),
            Kind::Network | NetworkText | InNetwork | CidrContains | Masklen => {
                return exec_err!("{} takes more than an address", self.name());
            }
        })
    }

    fn networks(
        &self,
        addresses: &ColumnarValue,
        lengths: &[ColumnarValue],
        rows: usize,
    ) -> Result<ArrayRef> {
        let input = addresses.to_array(rows)?;
        let addresses = Addresses::of(&input)?;
        let lengths: Vec<ArrayRef> =
            lengths.iter().map(|length| length.to_array(rows)).collect::<Result<_>>()?;
        let network = |row| -> Result<Option<Network>> {
            let Some(address) = addresses.get(row) else { return Ok(None) };
            let is_ipv4 = to_ipv4(address).is_some();
            // One length is that of IPv4 only if it is also given for IPv6, or the only one.
            let column = lengths[if is_ipv4 { 0 } else { lengths.len() - 1 }].as_primitive::<Int64Type>();
            if column.is_null(row) {
                return Ok(None);
            }
            let length = column.value(row);
            let network = u8::try_from(length).ok().and_then(|bits| Network::new(address, bits));
            let error = || exec_datafusion_err!("{} has no {length} bits", text(address));
            network.map(Some).ok_or_else(error)
        };
        let networks = (0..rows).map(network).collect::<Result<Vec<_>>>()?.into_iter();
        Ok(match self.kind {
            NetworkText => texts(networks),
            _ => Arc::new(array(networks.map(|network| network.map(Network::first)))?),
        })
    }
}

fn texts<T: std::fmt::Display>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    use std::fmt::Write;
    let mut builder = StringViewBuilder::new();
    let mut buffer = String::new();
    for value in values {
        let Some(value) = value else {
            builder.append_null();
            continue;
        };
        buffer.clear();
        write!(buffer, "{value}").expect("a string takes all that is written to it");
        builder.append_value(&buffer);
    }
    Arc::new(builder.finish())
}

fn parse_network(text: &str) -> Result<Network> {
    Network::parse(text).ok_or_else(|| exec_datafusion_err!("'{text}' is no network"))
}

/// The networks of an argument: texts, or addresses, which are networks of one address.
fn networks_of(input: &ArrayRef) -> Result<Vec<Option<Network>>> {
    if !input.data_type().is_string() {
        let single = |address| Network::new(address, if to_ipv4(address).is_some() { 32 } else { 128 });
        return Ok(Addresses::of(input)?.iter().map(|address| address.and_then(single)).collect());
    }
    let texts = cast(input, &DataType::Utf8View)?;
    let networks = texts.as_string_view().iter().map(|text| text.map(parse_network).transpose());
    networks.collect()
}

/// A network that is the same for all rows is read once.
fn in_network(address: &ColumnarValue, network: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    let input = address.to_array(rows)?;
    let addresses = Addresses::of(&input)?;
    let found: BooleanArray = match network {
        ColumnarValue::Scalar(network) => {
            let network = networks_of(&network.to_array()?)?[0];
            let contains = |address| network.map(|network| network.contains(address));
            addresses.iter().map(|address| address.and_then(contains)).collect()
        }
        ColumnarValue::Array(networks) => {
            let pairs = addresses.iter().zip(networks_of(networks)?);
            pairs.map(|(address, network)| Some(network?.contains(address?))).collect()
        }
    };
    Ok(Arc::new(found))
}

fn masklen(network: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    let networks = networks_of(&network.to_array(rows)?)?;
    let lengths = networks.into_iter().map(|network| network.map(|network| i32::from(network.bits())));
    Ok(Arc::new(Int32Array::from_iter(lengths)))
}
