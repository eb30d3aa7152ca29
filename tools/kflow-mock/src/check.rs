//! What a strict receiver finds in a flow request.

use crate::devices::Device;
use crate::request::Received;
use flate2::read::GzDecoder;
use kflow::chf::Chf;
use kflow::codec::{Limits, decode_chf};
use serde_json::{Value, json};
use std::io::Read;

/// Zero bytes in front of every message.
const PREFIX_BYTES: usize = 80;
/// Largest message that is unpacked.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Whether the credentials are right.
pub(crate) fn is_authorised(request: &Received, email: &str, token: &str) -> bool {
    request.header("x-ch-auth-email") == [email] && request.header("x-ch-auth-api-token") == [token]
}

/// Judges a request to `/chf` whose credentials are right: notes its faults and its records, and says
/// what the service answers.
pub(crate) fn flow(request: &mut Received, devices: &[Device]) -> (u16, Value) {
    if request.method != "POST" {
        request.faults.push(format!("the method is {}, not POST", request.method));
        return (405, json!({"error": "method not allowed"}));
    }
    head(request);
    match message(request) {
        Ok(records) => request.records = Some(records),
        Err(fault) => request.faults.push(fault),
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    match devices.iter().find(|device| device.query() == query) {
        Some(device) => {
            let foreign = request.records.iter().flatten().find(|record| record.device_id != device.id);
            let fault = foreign.map(|record| format!("a record is of device {}", record.device_id));
            request.faults.extend(fault);
        }
        None if !has_form(query) => request.faults.push(format!("the query is {query:?}")),
        None if request.faults.is_empty() => return (404, json!({"error": "unknown device"})),
        None => {}
    }
    match request.faults.first() {
        None => (200, json!({})),
        Some(fault) => (400, json!({"error": fault})),
    }
}

/// Judges a request to `/dns`: concatenated maps of MessagePack, which are not looked into.
pub(crate) fn dns(request: &mut Received) -> (u16, Value) {
    posted(request, "application/chfdns", |body| {
        let is_map = |byte: &u8| matches!(byte, 0x80..=0x8f | 0xde | 0xdf);
        body.first().is_some_and(is_map).then_some(()).ok_or("the body is no map of MessagePack")
    })
}

/// Judges a request to `/tsdb`: a JSON list of points.
pub(crate) fn metrics(request: &mut Received) -> (u16, Value) {
    posted(request, "application/json", |body| {
        let points: Vec<Value> = serde_json::from_slice(body).map_err(|_| "the body is no list of JSON")?;
        let whole = |point: &Value| {
            point["metric"].is_string() && point["timestamp"].is_i64() && point["value"].is_number()
        };
        if points.iter().all(whole) { Ok(()) } else { Err("a point lacks metric, timestamp or value") }
    })
}

fn posted(
    request: &mut Received,
    content_type: &str,
    body: impl FnOnce(&[u8]) -> Result<(), &'static str>,
) -> (u16, Value) {
    if request.method != "POST" {
        request.faults.push(format!("the method is {}, not POST", request.method));
    }
    if request.header("content-type") != [content_type] {
        request.faults.push(format!("the content-type is not {content_type}"));
    }
    if !request.header("content-encoding").is_empty() {
        request.faults.push("the body has an encoding".into());
    }
    if let Err(fault) = body(&request.body) {
        request.faults.push(fault.into());
    }
    match request.faults.first() {
        None => (200, json!({})),
        Some(fault) => (400, json!({"error": fault})),
    }
}

/// `sender_id=<company>%3A<name>%3A<device>&sid=0`, in this order and nothing else.
fn has_form(query: &str) -> bool {
    let Some(sender) = query.strip_prefix("sender_id=").and_then(|rest| rest.strip_suffix("&sid=0")) else {
        return false;
    };
    let parts: Vec<&str> = sender.split("%3A").collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let [company, name, device] = parts[..] else { return false };
    is_number(company) && is_number(device) && !name.is_empty() && !sender.contains(['&', ':', '=', '+'])
}

fn head(request: &mut Received) {
    let mut faults = Vec::new();
    let mut expect = |name: &str, expected: &[&str]| {
        let found = request.header(name);
        if found != expected {
            faults.push(format!("{name} is {found:?}, not {expected:?}"));
        }
    };
    expect("content-type", &["application/binary"]);
    expect("transfer-encoding", &[]);
    expect("content-length", &[&request.body.len().to_string()]);
    if request.header("host").len() != 1 {
        faults.push("there is not one host header".into());
    }
    match request.header("x-kflow-batch")[..] {
        [] => {}
        [name] if is_batch_name(name) => {}
        ref other => faults.push(format!("x-kflow-batch is {other:?}")),
    }
    request.faults.append(&mut faults);
}

/// `sensor/epoch/sequence`.
fn is_batch_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let [sensor, epoch, sequence] = parts[..] else { return false };
    !sensor.is_empty() && epoch.parse::<u64>().is_ok() && sequence.parse::<u64>().is_ok()
}

/// Unpacks the message.
fn message(request: &Received) -> Result<Vec<Chf>, String> {
    let bytes = match request.header("content-encoding")[..] {
        ["gzip"] => {
            let mut bytes = Vec::new();
            let mut decoder = GzDecoder::new(&request.body[..]);
            let read = decoder.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes);
            read.map_err(|error| format!("the body is no gzip: {error}"))?;
            if !decoder.into_inner().is_empty() {
                return Err("there are bytes behind the gzip".into());
            }
            bytes
        }
        [] => request.body.clone(),
        ref other => return Err(format!("content-encoding is {other:?}")),
    };
    let Some((prefix, packed)) = bytes.split_at_checked(PREFIX_BYTES) else {
        return Err("the message is shorter than its prefix".into());
    };
    if prefix.iter().any(|byte| *byte != 0) {
        return Err("the prefix is not 80 zero bytes".into());
    }
    decode_chf(packed, &Limits::default()).map_err(|error| format!("the message is broken: {error}"))
}
