//! Records as text: one line of JSON or CSV per record, column by column of [`crate::columns`].
//!
//! Names and values are numbers, addresses and plain words, so nothing needs escaping or quoting.

use crate::columns::{self, Value};
use crate::record::{FlowRecord, MacAddress};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Appends a record as a JSON object and a line feed. Columns without a value are left out.
pub fn write_json(record: &FlowRecord, text: &mut Vec<u8>) {
    let mut separator = b'{';
    for column in columns::printed() {
        let Some(value) = column.value(record) else {
            continue;
        };
        text.push(separator);
        text.push(b'"');
        text.extend_from_slice(column.name.as_bytes());
        text.extend_from_slice(b"\":");
        match value {
            Value::Number(number) => write_number(number, text),
            value => {
                text.push(b'"');
                write_value(value, text);
                text.push(b'"');
            }
        }
        separator = b',';
    }
    text.extend_from_slice(b"}\n");
}

/// Appends the line with the names of the columns.
pub fn write_csv_names(text: &mut Vec<u8>) {
    for (index, column) in columns::printed().enumerate() {
        write_comma(index, text);
        text.extend_from_slice(column.name.as_bytes());
    }
    text.push(b'\n');
}

/// Appends a record as a CSV line. Columns without a value are empty.
pub fn write_csv(record: &FlowRecord, text: &mut Vec<u8>) {
    for (index, column) in columns::printed().enumerate() {
        write_comma(index, text);
        if let Some(value) = column.value(record) {
            write_value(value, text);
        }
    }
    text.push(b'\n');
}

fn write_comma(index: usize, text: &mut Vec<u8>) {
    if index > 0 {
        text.push(b',');
    }
}

fn write_value(value: Value, text: &mut Vec<u8>) {
    match value {
        Value::Number(number) => write_number(number, text),
        Value::Address(IpAddr::V4(address)) => write_ipv4(address, text),
        Value::Address(IpAddr::V6(address)) => {
            write!(text, "{address}").expect("a vector takes every write");
        }
        Value::Mac(mac) => write_mac(mac, text),
        Value::Name(name) => text.extend_from_slice(name.as_bytes()),
        Value::CommunityId(id) => text.extend_from_slice(&id.text()),
    }
}

/// Appends a number in decimal. The formatting machinery takes several times as long, and a record is mostly
/// numbers.
fn write_number(number: u64, text: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

fn write_ipv4(address: Ipv4Addr, text: &mut Vec<u8>) {
    let [first, rest @ ..] = address.octets();
    write_number(u64::from(first), text);
    for octet in rest {
        text.push(b'.');
        write_number(u64::from(octet), text);
    }
}

fn write_mac(mac: MacAddress, text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (index, octet) in mac.0.into_iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        text.push(DIGITS[usize::from(octet >> 4)]);
        text.push(DIGITS[usize::from(octet & 0xF)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Group;
    use crate::community_id::CommunityId;
    use crate::record::{TcpState, TunnelKind};
    use proptest::prelude::*;

    fn text(value: Value) -> String {
        let mut text = Vec::new();
        write_value(value, &mut text);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn values_read_as_the_standard_library_writes_them(
            number in prop_oneof![0u64..1000, any::<u64>()],
            v4 in any::<[u8; 4]>(),
            v6 in any::<[u8; 16]>(),
            mac in any::<[u8; 6]>(),
        ) {
            prop_assert_eq!(text(Value::Number(number)), number.to_string());
            prop_assert_eq!(text(Value::Address(v4.into())), IpAddr::from(v4).to_string());
            prop_assert_eq!(text(Value::Address(v6.into())), IpAddr::from(v6).to_string());
            prop_assert_eq!(text(Value::Mac(MacAddress(mac))), MacAddress(mac).to_string());
        }
    }

    fn json(record: &FlowRecord) -> serde_json::Map<String, serde_json::Value> {
        let mut line = Vec::new();
        write_json(record, &mut line);
        serde_json::from_slice(&line).unwrap()
    }

    fn csv(record: &FlowRecord, name: &str) -> String {
        let (mut names, mut line) = (Vec::new(), Vec::new());
        write_csv_names(&mut names);
        write_csv(record, &mut line);
        let place = String::from_utf8(names).unwrap().trim_end().split(',').position(|other| other == name);
        String::from_utf8(line).unwrap().trim_end().split(',').nth(place.unwrap()).unwrap().to_owned()
    }

    #[test]
    fn a_json_line_is_an_object_with_the_columns_that_apply() {
        let record = FlowRecord { protocol: 17, ..FlowRecord::default() };
        let object = json(&record);
        for column in columns::printed() {
            let expected = column.group == Group::Always && column.unknown.is_empty();
            assert_eq!(object.contains_key(column.name), expected, "{}", column.name);
        }
        assert_eq!(object["source_address"], "0.0.0.0");
        assert_eq!(object["sample_rate"], 1);
        assert_eq!(object["sampling"], "none");
        assert_eq!(object["end_reason"], "idle_timeout");
        assert_eq!(object["community_id"], CommunityId::of(&record).to_string());
    }

    #[test]
    fn columns_of_tunnels_and_of_tcp_are_printed_where_they_apply() {
        let mut record = FlowRecord { protocol: 6, sample_rate: 100, ..FlowRecord::default() };
        record.tunnel.kind = TunnelKind::Vxlan;
        record.tcp.state = TcpState::HalfOpen;
        let object = json(&record);
        for column in columns::printed() {
            assert_eq!(object.contains_key(column.name), column.unknown.is_empty(), "{}", column.name);
        }
        assert_eq!(object["tunnel"], "vxlan");
        assert_eq!(object["tcp_state"], "half_open");
        assert_eq!(object["forward_retransmitted_packets"], 0);
        assert_eq!(object["sampling"], "flow");
    }

    #[test]
    fn zero_is_printed_and_the_unknown_is_not() {
        let mut record = FlowRecord { protocol: 6, ..FlowRecord::default() };
        record.tcp.forward.receive_window = Some(0);
        assert_eq!(json(&record)["forward_receive_window"], 0);
        assert_eq!(csv(&record, "forward_receive_window"), "0");
        assert!(!json(&record).contains_key("reverse_receive_window"));
        assert_eq!(csv(&record, "reverse_receive_window"), "");
        assert_eq!(csv(&record, "tunnel"), "");
    }

    #[test]
    fn a_csv_line_has_as_many_values_as_there_are_names() {
        let mut text = Vec::new();
        write_csv_names(&mut text);
        write_csv(&FlowRecord::default(), &mut text);
        let text = String::from_utf8(text).unwrap();
        let fields: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(fields, [columns::printed().count(); 2]);
    }
}
