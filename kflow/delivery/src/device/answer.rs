//! The API's answer about a device, which writes numbers as strings here and as numbers there.

use super::{Column, Device};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;

#[derive(Deserialize)]
struct Answer {
    device: DeviceAnswer,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    id: Number,
    #[serde(default)]
    company_id: Number,
    #[serde(default)]
    device_name: String,
    #[serde(default)]
    device_sample_rate: Number,
    #[serde(default)]
    max_flow_rate: Number,
    #[serde(default)]
    custom_column_data: Option<Vec<ColumnAnswer>>,
}

#[derive(Deserialize)]
struct ColumnAnswer {
    field_id: Number,
    #[serde(default)]
    col_name: String,
    #[serde(default)]
    col_type: String,
}

/// Reads `{"device": {…}}`. Members that are not known are skipped.
pub(super) fn parse(body: &[u8]) -> Result<Device, String> {
    let Answer { device } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let columns = device.custom_column_data.unwrap_or_default();
    let columns = columns.into_iter().map(|column| {
        let id = small("field_id", &column.field_id)?;
        Ok(Column { id, name: column.col_name, kind: column.col_type })
    });
    Ok(Device {
        id: small("id", &device.id)?,
        company_id: device.company_id.0,
        name: device.device_name,
        sample_rate: small("device_sample_rate", &device.device_sample_rate)?.max(1),
        flow_rate_max: Some(small("max_flow_rate", &device.max_flow_rate)?).filter(|rate| *rate > 0),
        columns: columns.collect::<Result<_, String>>()?,
    })
}

/// Messages have 32 bits for these.
fn small(name: &str, number: &Number) -> Result<u32, String> {
    u32::try_from(number.0).map_err(|_| format!("{name} is {}", number.0))
}

/// A whole number, or a string that holds one. An empty string and null are 0.
#[derive(Default)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or a string that holds one")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Number(0));
        }
        text.parse().map(Number).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_may_be_strings_and_strings_numbers() {
        let strings = br#"{"device":{"id":"42","company_id":"7","device_name":"a_b","device_sample_rate":"16",
            "max_flow_rate":"4000","custom_column_data":[{"field_id":"2887","col_name":"STR00","col_type":"string"}],
            "plan":{"id":"1"}},"more":true}"#;
        let numbers = br#"{"device":{"id":42,"company_id":7,"device_name":"a_b","device_sample_rate":16,
            "max_flow_rate":4000,"custom_column_data":[{"field_id":2887,"col_name":"STR00","col_type":"string"}]}}"#;
        let device = parse(strings).unwrap();
        assert_eq!(parse(numbers).unwrap(), device);
        let column = Column { id: 2887, name: "STR00".into(), kind: "string".into() };
        let expected = Device {
            id: 42,
            company_id: 7,
            name: "a_b".into(),
            sample_rate: 16,
            flow_rate_max: Some(4000),
            columns: vec![column],
        };
        assert_eq!(device, expected);
    }

    #[test]
    fn what_is_missing_has_a_meaning() {
        for body in [
            r#"{"device":{"id":"42"}}"#,
            r#"{"device":{"id":42,"device_sample_rate":"0","max_flow_rate":null,"custom_column_data":null}}"#,
        ] {
            let device = parse(body.as_bytes()).unwrap();
            assert_eq!((device.sample_rate, device.flow_rate_max), (1, None), "{body}");
            assert!(device.columns.is_empty());
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"device":null}"#,
            r#"{"device":{}}"#,
            r#"{"device":{"id":-1}}"#,
            r#"{"device":{"id":"many"}}"#,
            r#"{"device":{"id":1.5}}"#,
            r#"{"device":{"id":4294967296}}"#,
            r#"{"device":{"id":1,"custom_column_data":[{"field_id":"x"}]}}"#,
            r#"{"device":{"id":1}"#,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }

        #[test]
        fn no_value_makes_it_panic(value in "(\"[0-9a-z]{0,12}\"|-?[0-9]{1,25}|null|true|\\[\\]|\\{\\}|[0-9]e[0-9]{1,3})") {
            for name in ["id", "company_id", "max_flow_rate", "custom_column_data", "device_name"] {
                let _ = parse(format!("{{\"device\":{{\"id\":1,\"{name}\":{value}}}}}").as_bytes());
                let _ = parse(format!("{{\"device\":{{\"{name}\":{value}}}}}").as_bytes());
            }
        }
    }
}
