//! The sender's own counters, as the collector's time-series endpoint takes them: a JSON array of points.
//!
//! Each meter gives two points: its count (`type` is `count`) and its rate per second over a minute (`one-minute`). Values of
//! zero are left out.

use kflow_delivery::Device;
use serde_json::{Map, Value, json};

use crate::meter::{Meter, Meters};
use crate::settings::Settings;

/// Who reports: what is the same in each point.
#[derive(Clone, Debug)]
pub struct Tags {
    pub program: String,
    pub version: String,
    pub company_id: u64,
    pub device_id: u32,
    pub host: String,
}

/// The points of this moment; `None` if all of them are zero.
pub fn points(meters: &Meters, tags: &Tags, now_s: u64) -> Option<String> {
    let mut points = Vec::new();
    for (name, meter) in [
        ("Total", &meters.flows_in),
        ("DownsampleFPS", &meters.flows_out),
        ("RateLimitDrops", &meters.flows_dropped),
        ("BytesSent", &meters.bytes_out),
    ] {
        for (kind, value) in values(meter) {
            if value > 0 {
                points.push(json!({
                    "metric": format!("chf.client_{name}"),
                    "timestamp": now_s,
                    "value": value,
                    "tags": tags.with_type(kind),
                }));
            }
        }
    }
    (!points.is_empty()).then(|| Value::Array(points).to_string())
}

fn values(meter: &Meter) -> [(&'static str, u64); 2] {
    // A rate is never negative, and one that is too large for a number is no rate.
    [("count", meter.count), ("one-minute", meter.per_second_1m as u64)]
}

impl Tags {
    pub fn of(settings: &Settings, device: &Device) -> Tags {
        Tags {
            program: settings.program.clone(),
            version: settings.version.clone(),
            company_id: device.company_id,
            device_id: device.id,
            host: host_name(),
        }
    }

    fn with_type(&self, kind: &str) -> Map<String, Value> {
        let tags = [
            ("ver", format!("{}-{}", self.program, self.version)),
            ("ft", self.program.clone()),
            ("dt", "libkflow".to_owned()),
            ("level", "primary".to_owned()),
            ("cid", self.company_id.to_string()),
            ("did", self.device_id.to_string()),
            ("host", self.host.clone()),
            ("type", kind.to_owned()),
        ];
        tags.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }
}

/// The name of this machine up to its first dot.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let short = name.trim().split('.').next().unwrap_or_default();
    if short.is_empty() { "unknown".to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Counts;

    fn tags() -> Tags {
        Tags {
            program: "probe".into(),
            version: "1.2.3".into(),
            company_id: 1,
            device_id: 2,
            host: "here".into(),
        }
    }

    #[test]
    fn each_meter_gives_its_count_and_its_rate_unless_they_are_zero() {
        let mut meters = Meters::default();
        assert_eq!(points(&meters, &tags(), 7), None);
        meters.tick(&Counts { flows_in: 50, flows_out: 3, ..Counts::default() });
        let points: Value = serde_json::from_str(&points(&meters, &tags(), 7).unwrap()).unwrap();
        let told: Vec<(&str, &str, u64)> = points
            .as_array()
            .unwrap()
            .iter()
            .map(|point| {
                let kind = point["tags"]["type"].as_str().unwrap();
                (point["metric"].as_str().unwrap(), kind, point["value"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("chf.client_Total", "count", 50),
                ("chf.client_Total", "one-minute", 10),
                ("chf.client_DownsampleFPS", "count", 3)
            ]
        );
        assert_eq!(points[0]["timestamp"], 7);
        assert_eq!(points[0]["tags"]["ver"], "probe-1.2.3");
        assert_eq!(points[0]["tags"]["cid"], "1");
        assert_eq!(points[0]["tags"]["did"], "2");
    }
}
