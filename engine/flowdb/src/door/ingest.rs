//! `POST /chf?sender_id=company:name:device&sid=0`: flows, as Kentik's receivers take them.
//!
//! The body goes to the engine as it came. 200 says that its rows are durable. A sender that names its batches
//! (`X-Kflow-Batch: sensor/epoch/sequence`) may send one again at any time: it counts once.
//!
//! 400: malformed, must not be sent again. 404: no such device. 413, 415: too large, an encoding that is not known.
//! 503 with `Retry-After`: nothing was taken. Beside flows, `/dns` and `/tsdb` take what senders send there, count it and
//! keep nothing.

use crate::devices::DeviceId;
use crate::door::House;
use crate::door::counters::Counters;
use crate::door::routes::{failure, refuse};
use crate::engine::{BatchIdentity, Delivery, Receipt};
use crate::error::Error;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kflow::body::ContentEncoding;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub async fn flows(
    State(house): State<Arc<House>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let counters = &house.counters;
    let (device, identity, encoding) = match read_head(query.as_deref().unwrap_or_default(), &headers) {
        Ok(head) => head,
        Err((status, what)) => {
            Counters::add(&counters.ingest_malformed, 1);
            return refuse(status, &what);
        }
    };
    let waiting = tokio::time::timeout(PLACE_WAIT, house.bodies.acquire()).await;
    let Ok(Ok(_place)) = waiting else {
        Counters::add(&counters.ingest_busy, 1);
        return failure(&Error::Busy("too many bodies at a time".to_owned()));
    };
    let body = match read_body(&house, body).await {
        Ok(body) => body,
        Err((status, what)) => {
            Counters::add(&counters.ingest_malformed, 1);
            return refuse(status, what);
        }
    };
    Counters::add(&counters.ingest_bytes, body.len() as u64);
    let delivery = Delivery { device, identity, encoding, body };
    // A task of its own: a sender that goes away does not leave a batch half taken.
    let engine = house.engine.clone();
    let taken = tokio::spawn(async move { engine.ingest(delivery).await }).await;
    let taken = taken.unwrap_or_else(|_| Err(Error::Store("the engine failed".to_owned())));
    let counter = match &taken {
        Ok(Receipt { is_repeated: true, .. }) => &counters.ingest_repeated,
        Ok(_) => &counters.ingest_taken,
        Err(Error::Malformed(_) | Error::UnknownDevice(_)) => &counters.ingest_malformed,
        Err(Error::Busy(_)) => &counters.ingest_busy,
        Err(_) => &counters.ingest_failed,
    };
    Counters::add(counter, 1);
    match taken {
        Ok(Receipt { rows, is_repeated }) => {
            if !is_repeated {
                Counters::add(&counters.ingest_rows, rows);
            }
            axum::Json(json!({ "rows": rows, "repeated": is_repeated })).into_response()
        }
        Err(error) => failure(&error),
    }
}

/// How long a body waits for a place before its sender is told to come again.
const PLACE_WAIT: Duration = Duration::from_secs(10);

type Head = (Option<DeviceId>, Option<BatchIdentity>, ContentEncoding);

/// Everything but the body.
fn read_head(query: &str, headers: &HeaderMap) -> Result<Head, (StatusCode, String)> {
    let bad = |what: String| (StatusCode::BAD_REQUEST, what);
    let device = device_of(query).map_err(bad)?;
    let identity = match headers.get("x-kflow-batch") {
        None => None,
        Some(value) => {
            let identity = value.to_str().ok().and_then(identity_of);
            Some(identity.ok_or_else(|| bad("x-kflow-batch is not sensor/epoch/sequence".to_owned()))?)
        }
    };
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Some(""), |value| value.to_str().ok());
    let encoding = encoding.and_then(ContentEncoding::from_name);
    let encoding = encoding.ok_or_else(|| {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding is gzip, zstd or nothing".to_owned())
    })?;
    Ok((device, identity, encoding))
}

/// The number at the end of `sender_id=company:name:device`. Names may have colons.
fn device_of(query: &str) -> Result<Option<DeviceId>, String> {
    for pair in query.split('&') {
        let Some(value) = pair.strip_prefix("sender_id=") else { continue };
        let sender = unescape(&value.replace('+', " ")).ok_or("sender_id is no percent-encoded text")?;
        let device = sender.rsplit_once(':').and_then(|(_, device)| device.parse().ok());
        let device = device.ok_or("sender_id is not company:name:device")?;
        return Ok((device != 0).then_some(DeviceId(device)));
    }
    Ok(None)
}

/// `sensor/epoch/sequence`, the sensor percent-encoded.
fn identity_of(text: &str) -> Option<BatchIdentity> {
    let mut parts = text.split('/');
    let (sensor, epoch, sequence) = (parts.next()?, parts.next()?, parts.next()?);
    let sensor = unescape(sensor)?;
    let is_whole = parts.next().is_none() && !sensor.is_empty() && sensor.len() <= SENSOR_BYTES_MAX;
    is_whole.then_some(())?;
    Some(BatchIdentity { sensor, epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
}

const SENSOR_BYTES_MAX: usize = 255;

/// Percent-decodes UTF-8.
pub fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads a body of flows, within its size and its time.
async fn read_body(house: &House, body: Body) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    let limits = &house.settings.limits;
    let read = axum::body::to_bytes(body, limits.body_bytes_max);
    match tokio::time::timeout(limits.body_timeout, read).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        // Either it is too large or the connection broke; then nobody reads the answer.
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than may be, or was cut off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// `POST /dns`: maps of MessagePack.
pub async fn dns(State(house): State<Arc<House>>, body: Body) -> Response {
    match read_body(&house, body).await {
        Err((status, what)) => refuse(status, what),
        Ok(body) if !matches!(body.first(), None | Some(0x80..=0x8f | 0xde | 0xdf)) => {
            refuse(StatusCode::BAD_REQUEST, "the body is no map of MessagePack")
        }
        Ok(body) => {
            Counters::add(&house.counters.sink_dns_bytes, body.len() as u64);
            axum::Json(json!({})).into_response()
        }
    }
}

/// `POST /tsdb`: a JSON list of the sender's own counters.
pub async fn tsdb(State(house): State<Arc<House>>, body: Body) -> Response {
    let body = match read_body(&house, body).await {
        Ok(body) => body,
        Err((status, what)) => return refuse(status, what),
    };
    match serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&body) {
        Ok(points) => {
            Counters::add(&house.counters.sink_tsdb_points, points.len() as u64);
            axum::Json(json!({})).into_response()
        }
        Err(_) => refuse(StatusCode::BAD_REQUEST, "the body is no list of JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_the_last_part_of_the_sender() {
        assert_eq!(device_of("sender_id=7%3Aa%3Ab%3A42&sid=0"), Ok(Some(DeviceId(42))));
        assert_eq!(device_of("sid=0&sender_id=7:name:42"), Ok(Some(DeviceId(42))));
        assert_eq!(device_of("sid=0&sender_id=7:name:0"), Ok(None));
        assert_eq!(device_of("offset=12"), Ok(None));
        for bad in
            ["sender_id=", "sender_id=42", "sender_id=7:name:x", "sender_id=%zz", "sender_id=7:a:99999999999"]
        {
            assert!(device_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_batch_is_named_by_three_parts() {
        let named = BatchIdentity { sensor: "a/b c".to_owned(), epoch: 18, sequence: 7 };
        assert_eq!(identity_of("a%2Fb%20c/18/7"), Some(named));
        for bad in [
            "",
            "a/1",
            "a/1/2/3",
            "/1/2",
            "a/x/2",
            "a/1/-2",
            "a%2/1/2",
            "%ff/1/2",
            "a/1/18446744073709551616",
        ] {
            assert_eq!(identity_of(bad), None, "{bad}");
        }
    }
}
