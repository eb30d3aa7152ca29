//! Records as text: one line of JSON or CSV per record, column by column of [`crate::columns`].
//!
//! Names and values are numbers, addresses and plain words, which need neither escaping nor quoting. What
//! applications said does: in JSON their fields are members like the columns, in CSV one cell that holds a JSON
//! object, so that a line has as many cells as any other and no cell has a line break.

use crate::Decimal;
use crate::application::{Application, Datum};
use crate::columns::{self, Value};
use crate::record::{FlowRecord, MacAddress};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Appends a record as a JSON object and a line feed. Columns without a value are left out.
pub fn write_json(record: &FlowRecord, text: &mut Vec<u8>) {
    text.push(b'{');
    for column in columns::printed() {
        match column.value(record) {
            None => {}
            Some(Value::Fields(application)) => write_fields(application, text),
            Some(value) => {
                write_name(column.name, text);
                write_json_value(value, text);
            }
        }
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

/// Appends a record as a CSV line (RFC 4180). Columns without a value are empty.
pub fn write_csv(record: &FlowRecord, text: &mut Vec<u8>) {
    for (index, column) in columns::printed().enumerate() {
        write_comma(index, text);
        if let Some(value) = column.value(record) {
            write_value(value, text);
        }
    }
    text.push(b'\n');
}

/// Appends fields as members of a JSON object that is open.
fn write_fields(application: &Application, text: &mut Vec<u8>) {
    for (field, value) in application.values() {
        write_name(field.name, text);
        match value {
            Datum::Number(number) => write_number(number, text),
            Datum::Address(address) => write_json_value(Value::Address(address), text),
            Datum::Text(value) => write_json_text(value, text),
        }
    }
}

/// Appends fields as a JSON object in a quoted cell, in which each quote is doubled.
fn write_fields_cell(application: &Application, text: &mut Vec<u8>) {
    let mut object = vec![b'{'];
    write_fields(application, &mut object);
    object.push(b'}');
    text.push(b'"');
    for piece in object.split_inclusive(|byte| *byte == b'"') {
        text.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            text.push(b'"');
        }
    }
    text.push(b'"');
}

/// Appends the name of the next member of a JSON object, whose brace is the first.
#[inline]
pub(crate) fn write_name(name: &str, text: &mut Vec<u8>) {
    if text.last() != Some(&b'{') {
        text.push(b',');
    }
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
}

#[inline]
fn write_json_value(value: Value<'_>, text: &mut Vec<u8>) {
    if let Value::Number(number) = value {
        return write_number(number, text);
    }
    text.push(b'"');
    write_value(value, text);
    text.push(b'"');
}

/// Appends a JSON string (RFC 8259): quotes, backslashes and control characters are escaped, the rest is UTF-8.
pub(crate) fn write_json_text(value: &str, text: &mut Vec<u8>) {
    text.push(b'"');
    let mut rest = value.as_bytes();
    while let Some(place) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
        text.extend_from_slice(&rest[..place]);
        write_escaped(rest[place], text);
        rest = &rest[place + 1..];
    }
    text.extend_from_slice(rest);
    text.push(b'"');
}

fn write_escaped(byte: u8, text: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        _ => {
            text.extend_from_slice(b"\\u00");
            return write_hex(byte, text);
        }
    };
    text.extend_from_slice(&[b'\\', short]);
}

fn write_comma(index: usize, text: &mut Vec<u8>) {
    if index > 0 {
        text.push(b',');
    }
}

/// Appends a value as it is in CSV.
fn write_value(value: Value<'_>, text: &mut Vec<u8>) {
    match value {
        Value::Number(number) => write_number(number, text),
        Value::Address(IpAddr::V4(address)) => write_ipv4(address, text),
        Value::Address(IpAddr::V6(address)) => {
            write!(text, "{address}").expect("a vector takes every write");
        }
        Value::Mac(mac) => write_mac(mac, text),
        Value::Name(name) => text.extend_from_slice(name.as_bytes()),
        Value::CommunityId(id) => text.extend_from_slice(&id.text()),
        Value::Fields(application) => write_fields_cell(application, text),
    }
}

pub(crate) fn write_number(number: u64, text: &mut Vec<u8>) {
    text.extend_from_slice(Decimal::new(number).as_bytes());
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
    for (index, octet) in mac.0.into_iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        write_hex(octet, text);
    }
}

fn write_hex(byte: u8, text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(DIGITS[usize::from(byte >> 4)]);
    text.push(DIGITS[usize::from(byte & 0xF)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::protocols::{dhcp, http};
    use crate::application::{AppProtocol, Draft, TEXT_BYTES_MAX};
    use crate::columns::Group;
    use crate::community_id::CommunityId;
    use crate::record::{TcpState, TunnelKind};
    use proptest::prelude::*;

    fn text(value: Value<'_>) -> String {
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
        let place = cells(&names).iter().position(|other| other == name).unwrap();
        cells(&line).swap_remove(place)
    }

    /// The cells of a line as RFC 4180 has them.
    fn cells(line: &[u8]) -> Vec<String> {
        let line = std::str::from_utf8(line).unwrap().strip_suffix('\n').unwrap();
        let mut cells = vec![String::new()];
        let mut is_quoted = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if is_quoted && characters.next_if_eq(&'"').is_some() => {
                    cells.last_mut().unwrap().push('"');
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => cells.push(String::new()),
                _ => cells.last_mut().unwrap().push(character),
            }
        }
        assert!(!is_quoted, "{line}");
        cells
    }

    fn answered_request(url: &str, host: &str) -> FlowRecord {
        let mut draft = Draft::new(TEXT_BYTES_MAX);
        draft.begin(AppProtocol::Http);
        draft.text(http::URL, url.as_bytes());
        draft.text(http::HOST, host.as_bytes());
        draft.number(http::STATUS, 200u32);
        FlowRecord {
            app_protocol: Some(AppProtocol::Http),
            transactions: 1,
            application: Some(draft.to_application(Some(0))),
            ..FlowRecord::default()
        }
    }

    #[test]
    fn fields_of_an_application_are_members_of_the_line_behind_the_columns() {
        let mut line = Vec::new();
        write_json(&answered_request("/a?b=\"c\"", "example.org"), &mut line);
        let end = ",\"app_protocol\":\"http\",\"transactions\":1,\"application_latency_us\":0,\
            \"http_url\":\"/a?b=\\\"c\\\"\",\"http_host\":\"example.org\",\"http_status\":200}\n";
        let line = String::from_utf8(line).unwrap();
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn addresses_of_an_application_are_text() {
        let mut draft = Draft::new(0);
        draft.begin(AppProtocol::Dhcp);
        draft.address(dhcp::YOUR_ADDRESS, [192, 0, 2, 9]);
        let application = Some(draft.to_application(None));
        let app_protocol = Some(AppProtocol::Dhcp);
        let object = json(&FlowRecord { app_protocol, application, ..FlowRecord::default() });
        assert_eq!(object["dhcp_your_address"], "192.0.2.9");
        assert_eq!(object["transactions"], 0);
        assert!(!object.contains_key("application_latency_us"));
    }

    #[test]
    fn fields_of_an_application_are_an_object_in_a_cell_of_csv() {
        let record = answered_request("/a,b\n", "x\"y");
        let object = r#"{"http_url":"/a,b\n","http_host":"x\"y","http_status":200}"#;
        assert_eq!(csv(&record, "application"), object);
        assert_eq!(csv(&record, "app_protocol"), "http");
        assert_eq!(csv(&record, "application_latency_us"), "0");
        assert_eq!(csv(&FlowRecord::default(), "application"), "");
        assert_eq!(csv(&FlowRecord::default(), "transactions"), "");
    }

    proptest! {
        #[test]
        fn texts_of_any_characters_are_read_as_they_were(url in any_text(), host in any_text()) {
            let record = answered_request(&url, &host);
            let (url, host) = (url.replace('\0', "\u{FFFD}"), host.replace('\0', "\u{FFFD}"));
            let object = json(&record);
            prop_assert_eq!(&object["http_url"], &url);
            prop_assert_eq!(&object["http_host"], &host);
            let cell = csv(&record, "application");
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&cell).unwrap();
            prop_assert_eq!(&object["http_url"], &url);
            prop_assert_eq!(&object["http_host"], &host);
            let mut line = Vec::new();
            write_csv(&record, &mut line);
            prop_assert!(line[..line.len() - 1].iter().all(|byte| *byte >= 0x20));
        }
    }

    /// Control characters and those that have a meaning in JSON or CSV are as frequent as all others together.
    fn any_text() -> impl Strategy<Value = String> {
        let special =
            prop_oneof![prop::char::range('\0', '\x1F'), prop::sample::select(&['"', '\\', ',', '{'][..])];
        let character = prop_oneof![special, any::<char>()];
        prop::collection::vec(character, 0..40).prop_map(String::from_iter)
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
    fn columns_that_apply_to_some_records_are_printed_there() {
        let mut record = FlowRecord { protocol: 6, sample_rate: 100, ..FlowRecord::default() };
        record.tunnel.kind = TunnelKind::Vxlan;
        record.tcp.state = TcpState::HalfOpen;
        record.app_protocol = Some(AppProtocol::Tls);
        let object = json(&record);
        for column in columns::printed() {
            assert_eq!(object.contains_key(column.name), column.unknown.is_empty(), "{}", column.name);
        }
        assert_eq!(object["tunnel"], "vxlan");
        assert_eq!(object["tcp_state"], "half_open");
        assert_eq!(object["app_protocol"], "tls");
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
