//! The device API, as far as those who send flows ask it: below `/api/internal`, and a list at `/api/v5/devices`.
//!
//! A device is found by its number, its name (dots count as underscores) or an address that it sends from. Numbers and
//! rates are strings where Kentik's API has strings. Interfaces and exports are taken note of and not kept.

use crate::columns::Catalog;
use crate::devices::{Device, DeviceId, NewDevice};
use crate::door::House;
use crate::door::ingest::unescape;
use crate::door::routes::{failure, refuse};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// `GET /device/{key}`.
pub async fn look_up(State(house): State<Arc<House>>, uri: Uri) -> Response {
    // Of the path as it came: a name may have an escaped slash.
    let key = uri.path().rsplit('/').next().and_then(unescape).unwrap_or_default();
    match find(&house, &key) {
        Some(device) => Json(json!({ "device": describe(&house, &device) })).into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("there is no device {key:?}")),
    }
}

fn find(house: &House, key: &str) -> Option<Arc<Device>> {
    let devices = house.engine.devices();
    if let Ok(id) = key.parse()
        && let Some(device) = devices.by_id(DeviceId(id))
    {
        return Some(device);
    }
    if let Ok(address) = key.parse::<IpAddr>() {
        return devices.by_address(address.to_canonical());
    }
    devices.by_name(key).or_else(|| devices.by_name(&key.replace('.', "_")))
}

/// `GET /devices`, `GET /api/v5/devices`.
pub async fn list(State(house): State<Arc<House>>) -> Response {
    let devices: Vec<Value> =
        house.engine.devices().list().iter().map(|device| summarise(&house, device)).collect();
    Json(json!({ "devices": devices })).into_response()
}

#[derive(Deserialize)]
struct Creation {
    device: CreatedDevice,
    #[serde(default)]
    site: Option<Site>,
}

#[derive(Deserialize)]
struct CreatedDevice {
    device_name: String,
    #[serde(default)]
    device_subtype: String,
    #[serde(default)]
    device_type: String,
    #[serde(default)]
    device_description: String,
    #[serde(default)]
    device_sample_rate: Value,
    #[serde(default)]
    sending_ips: Vec<String>,
}

#[derive(Deserialize)]
struct Site {
    #[serde(default)]
    title: String,
}

/// `POST /device/` and `POST /deviceAndSite`. One that there is already is answered as if it were new.
pub async fn create(State(house): State<Arc<House>>, body: Bytes) -> Response {
    if !house.settings.devices.may_create {
        return refuse(StatusCode::FORBIDDEN, "devices are not created by those who send");
    }
    let Creation { device, site } = match serde_json::from_slice(&body) {
        Ok(creation) => creation,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("no device: {error}")),
    };
    let mut addresses = Vec::new();
    for text in &device.sending_ips {
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) => return refuse(StatusCode::BAD_REQUEST, &format!("{text:?} is no address")),
        }
    }
    let sample_rate = match &device.device_sample_rate {
        Value::String(text) => text.trim().parse().unwrap_or(0),
        other => other.as_u64().and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0),
    };
    let kind = if device.device_subtype.is_empty() { device.device_type } else { device.device_subtype };
    let new = NewDevice {
        name: device.device_name.replace('.', "_"),
        kind,
        site: site.map(|site| site.title).unwrap_or_default(),
        description: device.device_description,
        addresses,
        sample_rate,
    };
    let for_task = Arc::clone(&house);
    // The register is written to disk.
    let created = tokio::task::spawn_blocking(move || for_task.engine.devices().create(new)).await;
    match created {
        Ok(Ok(device)) => {
            tracing::info!(device = device.name, id = device.id.0, "device created");
            (StatusCode::CREATED, Json(json!({ "device": describe(&house, &device) }))).into_response()
        }
        Ok(Err(crate::error::Error::Config(what))) => refuse(StatusCode::BAD_REQUEST, &what),
        Ok(Err(error)) => failure(&error),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the register failed"),
    }
}

/// `GET /device/{id}/interfaces`.
pub async fn interfaces() -> Response {
    Json(json!([])).into_response()
}

/// `PUT /company/{company}/device/{device}/tags/snmp`, `PUT /cloudExport/status/{id}`: taken and not kept.
pub async fn note() -> Response {
    Json(json!({})).into_response()
}

/// A device as senders want it.
fn describe(house: &House, device: &Device) -> Value {
    let customs: Vec<Value> = Catalog::shared()
        .customs()
        .iter()
        .map(|column| {
            json!({ "field_id": column.id.to_string(), "col_name": column.name, "col_type": column.type_name })
        })
        .collect();
    let mut value = summarise(house, device);
    value["custom_columns"] = json!("");
    value["custom_column_data"] = customs.into();
    value
}

fn summarise(house: &House, device: &Device) -> Value {
    let settings = &house.settings.devices;
    let rate = if device.flow_rate_max == 0 { settings.flow_rate } else { device.flow_rate_max };
    json!({
        "id": device.id.0.to_string(),
        "company_id": settings.company_id.to_string(),
        "device_name": device.name,
        "device_type": "host-nprobe-dns-www",
        "device_subtype": if device.kind.is_empty() { "kprobe" } else { &device.kind },
        "device_description": device.description,
        "site": { "site_name": device.site },
        "ip": device.addresses.first().map(IpAddr::to_string).unwrap_or_default(),
        "sending_ips": device.addresses,
        "device_sample_rate": device.sample_rate.to_string(),
        "device_bgp_type": "none",
        "plan": { "id": 1, "name": "flowdb" },
        "cdn_attr": "N",
        "max_flow_rate": rate,
        "table": device.table_name(),
    })
}
