//! The functions that tell names.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Names, mac, port, protocol, tcp_flags};

pub(crate) fn all(names: &Names) -> Vec<Arc<ScalarUDF>> {
    let kinds = [
        Kind::Protocol,
        Kind::Port,
        Kind::TcpFlags,
        Kind::Mac,
        Kind::AutonomousSystem(Arc::clone(&names.autonomous_systems)),
        Kind::ApplicationProtocol(Arc::clone(&names.application_protocols)),
    ];
    let function = |kind| NameFunction { kind, signature: Signature::user_defined(Volatility::Immutable) };
    kinds.into_iter().map(|kind| Arc::new(function(kind).into())).collect()
}

#[derive(Clone, Debug)]
enum Kind {
    Protocol,
    Port,
    TcpFlags,
    Mac,
    AutonomousSystem(Arc<BTreeMap<u32, String>>),
    ApplicationProtocol(Arc<BTreeMap<u32, String>>),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Protocol => "protocol_name",
            Kind::Port => "port_name",
            Kind::TcpFlags => "tcp_flags_text",
            Kind::Mac => "mac_text",
            Kind::AutonomousSystem(_) => "as_name",
            Kind::ApplicationProtocol(_) => "app_protocol_name",
        }
    }

    /// The caller's names, by their address.
    fn table(&self) -> Option<*const BTreeMap<u32, String>> {
        match self {
            Kind::AutonomousSystem(table) | Kind::ApplicationProtocol(table) => Some(Arc::as_ptr(table)),
            _ => None,
        }
    }

    fn write(&self, number: i64, second: Option<i64>, text: &mut String) -> fmt::Result {
        let known = match self {
            Kind::Protocol => u8::try_from(number).ok().and_then(protocol),
            Kind::Port => {
                let protocol = second.map(|number| u8::try_from(number).unwrap_or(u8::MAX));
                u16::try_from(number).ok().and_then(|number| port(number, protocol))
            }
            Kind::TcpFlags => return write!(text, "{}", tcp_flags(number as u8)),
            Kind::Mac => return write!(text, "{}", mac(number as u64)),
            Kind::AutonomousSystem(table) | Kind::ApplicationProtocol(table) => {
                u32::try_from(number).ok().and_then(|number| table.get(&number)).map(String::as_str)
            }
        };
        match (known, self) {
            (Some(name), _) => text.write_str(name),
            (None, Kind::AutonomousSystem(_)) => write!(text, "AS{number}"),
            (None, _) => write!(text, "{number}"),
        }
    }
}

#[derive(Debug)]
struct NameFunction {
    kind: Kind,
    signature: Signature,
}

impl PartialEq for NameFunction {
    fn eq(&self, other: &NameFunction) -> bool {
        self.kind.name() == other.kind.name() && self.kind.table() == other.kind.table()
    }
}

impl Eq for NameFunction {}

impl Hash for NameFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.name().hash(state);
        self.kind.table().hash(state);
    }
}

impl ScalarUDFImpl for NameFunction {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let most = if matches!(self.kind, Kind::Port) { 2 } else { 1 };
        if types.is_empty() || types.len() > most {
            return plan_err!("{} takes {most} argument(s), not {}", self.name(), types.len());
        }
        match types.iter().find(|data_type| !(data_type.is_integer() || data_type.is_null())) {
            Some(other) => plan_err!("{} takes a whole number, not {other}", self.name()),
            None => Ok(vec![DataType::Int64; types.len()]),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let columns: Vec<&Int64Array> =
            arrays.iter().map(|array| array.as_primitive::<Int64Type>()).collect();
        let mut names = StringViewBuilder::with_capacity(rows).with_deduplicate_strings();
        let mut text = String::new();
        for row in 0..rows {
            if columns[0].is_null(row) {
                names.append_null();
                continue;
            }
            let second = columns.get(1).filter(|column| column.is_valid(row)).map(|column| column.value(row));
            text.clear();
            self.kind
                .write(columns[0].value(row), second, &mut text)
                .expect("a string takes all that is written to it");
            names.append_value(&text);
        }
        let names: ArrayRef = Arc::new(names.finish());
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&names, 0)?));
        }
        Ok(ColumnarValue::Array(names))
    }
}
