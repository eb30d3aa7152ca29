//! The devices that the service knows, and the part of its API that tells of them.

use crate::request::Received;
use serde_json::{Value, json};

/// A device, as the API knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: u32,
    pub company_id: u64,
    /// Dots are underscores already.
    pub name: String,
    /// Addresses by which it can be looked up.
    pub addresses: Vec<String>,
    pub sample_rate: u32,
    /// Records a second that the plan allows.
    pub max_flow_rate: u32,
    pub columns: Vec<Column>,
}

/// A custom column: the id is its number in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub id: u32,
    pub name: String,
    /// `string`, `uint32`, `uint64`, `addr` …
    pub kind: String,
}

impl Default for Device {
    fn default() -> Device {
        let column = |id, name: &str, kind: &str| Column { id, name: name.into(), kind: kind.into() };
        Device {
            id: 42,
            company_id: 7,
            name: "sensor_example".into(),
            addresses: vec!["192.0.2.7".into()],
            sample_rate: 1,
            max_flow_rate: 4000,
            columns: vec![
                column(2880, "APP_PROTOCOL", "uint32"),
                column(2887, "STR00", "string"),
                column(6498, "INET_00", "addr"),
                column(6503, "INT64_00", "uint64"),
            ],
        }
    }
}

impl Device {
    /// The query with which it sends flows, as the real sender writes it.
    pub fn query(&self) -> String {
        format!("sender_id={}%3A{}%3A{}&sid=0", self.company_id, escape(&self.name), self.id)
    }

    /// As the API tells of it: ids and the sample rate are strings, the flow rate is a number.
    fn json(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                json!({"field_id": column.id.to_string(), "col_name": column.name, "col_type": column.kind})
            })
            .collect();
        json!({"device": {
            "id": self.id.to_string(),
            "company_id": self.company_id.to_string(),
            "device_name": self.name,
            "device_type": "host-nprobe-dns-www",
            "device_subtype": "kprobe",
            "device_description": "",
            "ip": self.addresses.first(),
            "device_sample_rate": self.sample_rate.to_string(),
            "device_bgp_type": "none",
            "plan": {"id": 1, "name": "plan"},
            "cdn_attr": "N",
            "max_flow_rate": self.max_flow_rate,
            "custom_column_data": columns,
        }})
    }

    fn is_called(&self, key: &str) -> bool {
        key == self.id.to_string() || key == self.name || self.addresses.iter().any(|address| address == key)
    }
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Answers a request to the API whose credentials are right. A device that is created joins `devices`.
pub(crate) fn answer(request: &mut Received, devices: &mut Vec<Device>) -> (u16, Value) {
    let path = request.path().to_owned();
    let Some(rest) = path.strip_prefix("/api/internal/device/") else {
        return not_found(&path);
    };
    match (request.method.as_str(), rest) {
        ("POST", "") => create(request, devices),
        ("GET", key) if !key.is_empty() && !key.contains('/') => {
            let key = unescape(key).unwrap_or_default();
            match devices.iter().find(|device| device.is_called(&key)) {
                Some(device) => (200, device.json()),
                None => not_found(&key),
            }
        }
        (method, rest) => {
            request.faults.push(format!("{method} of device/{rest} is no call of the API"));
            (405, json!({"error": "method not allowed"}))
        }
    }
}

fn not_found(what: &str) -> (u16, Value) {
    (404, json!({"error": format!("not found: {what}")}))
}

/// `POST /device/`: the values that Kentik's own library sends have to be there.
fn create(request: &mut Received, devices: &mut Vec<Device>) -> (u16, Value) {
    if request.header("content-type") != ["application/json"] {
        request.faults.push("a device is created with content-type application/json".into());
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let device = &body["device"];
    let expected = [
        ("device_type", json!("host-nprobe-dns-www")),
        ("device_subtype", json!("kprobe")),
        ("device_bgp_type", json!("none")),
        ("cdn_attr", json!("N")),
    ];
    for (key, value) in expected {
        if device[key] != value {
            request.faults.push(format!("{key} of a new device is {}, not {value}", device[key]));
        }
    }
    let addresses = device["sending_ips"].as_array().cloned().unwrap_or_default();
    let addresses: Vec<String> =
        addresses.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect();
    let (Some(name), Some(_), false) =
        (device["device_name"].as_str(), device["plan_id"].as_u64(), addresses.is_empty())
    else {
        request.faults.push("a new device needs a name, a plan and an address".into());
        return (400, json!({"error": "device_name, plan_id and sending_ips are needed"}));
    };
    if name.contains('.') {
        request.faults.push("a dot in the name of a device is an underscore".into());
    }
    let id = devices.iter().map(|device| device.id).max().unwrap_or(0) + 1;
    let created = Device { id, name: name.to_owned(), addresses, ..Device::default() };
    let answer = created.json();
    devices.push(created);
    (201, answer)
}
