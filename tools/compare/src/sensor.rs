//! The sensor over one capture, and what its records come to.
//!
//! The sensor runs as its users run it, with a config under which no conversation is split for its pauses, its
//! length or its end. Records of one 5-tuple are added up.

use crate::child;
use crate::conversation::{Conversation, Conversations, Key, Order};
use crate::facts::TCP;
use crate::field::Field;
use crate::folder::Folder;
use crate::message::{Messages, ours};
use crate::tshark::View;
use anyhow::{Context, bail, ensure};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The largest timeouts that the sensor takes. A closed flow lingers for trailing segments as long as it may.
const FLOW_CONFIG: &str =
    "[flow]\nidle_timeout_s = 3600\nactive_timeout_s = 86400\nclose_linger_ms = 86400000\n";
/// No transaction of a conversation is left out for their number.
const APPLICATIONS_CONFIG: &str = "[applications]\ntransactions_per_span = 4294967295\n";
/// Innermost conversations only. The section is not written for the outermost, which are the default.
const INNER_CONFIG: &str = "[tunnels]\ncount = \"inner\"\n";
const QUIET_CONFIG: &str = "[metrics]\nenabled = false\n[log]\nlevel = \"error\"\n";

/// The ledger's account of frames that are packets of flows.
const FLOW: &str = "flow";

/// A packet takes at least this many bytes of a capture file, its header included.
const FILE_BYTES_OF_A_PACKET: u64 = 48;
const FLOWS_MIN: u64 = 1 << 16;
const FLOWS_MAX: u64 = 1 << 22;

/// What the sensor says of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub conversations: Conversations,
    pub messages: Messages,
    /// Whether the records have the field, for each of the table.
    pub reported: Vec<bool>,
    /// Whether the records have room for what messages say.
    pub has_messages: bool,
    /// Frames by name of the account, those in flows apart.
    pub not_flow: BTreeMap<String, u64>,
    /// Why the sensor stopped before the end of the file.
    pub complaint: Option<String>,
}

/// Runs the sensor over the capture. Fails if it leaves no account or one that does not balance.
pub fn observe(
    sensor: &Path,
    capture: &Path,
    view: View,
    fields: &[Field],
    limit: Duration,
) -> anyhow::Result<Observed> {
    let folder = Folder::create().context("create a folder for the config")?;
    let config = folder.path().join("sensor.toml");
    let summary = folder.path().join("summary.json");
    fs::write(&config, config_text(view)).context("write the config")?;
    let bytes = fs::metadata(capture).with_context(|| format!("look at {}", capture.display()))?.len();
    let mut command = Command::new(sensor);
    command.arg("run").arg("--config").arg(&config).arg("--pcap").arg(capture);
    command.args(["--json", "-"]).arg("--summary").arg(&summary);
    command.args(["--flow-capacity", &flow_capacity(bytes).to_string()]);
    let finished = child::run(&mut command, limit, |output| Records::add_up(output, fields))?;
    let complaint = finished.stderr.lines().find(|line| line.contains("error")).unwrap_or_default();
    let records = finished.output.context("read the sensor's records")?;
    let Ok(summary) = fs::read_to_string(&summary) else {
        bail!("the sensor left no summary ({}): {complaint}", finished.status);
    };
    let account = Account::parse(&summary)?;
    if view == View::Outermost {
        let in_flows = account.in_flows;
        ensure!(
            records.packets == in_flows,
            "{} packets in records, {in_flows} in the ledger",
            records.packets
        );
    }
    let is_whole = finished.status.success();
    Ok(Observed {
        conversations: records.conversations,
        messages: records.messages,
        reported: records.reported,
        has_messages: records.has_messages,
        not_flow: account.not_flow,
        complaint: (!is_whole).then(|| format!("{} {complaint}", finished.status).trim().to_owned()),
    })
}

fn config_text(view: View) -> String {
    let tunnels = if view == View::Innermost { INNER_CONFIG } else { "" };
    format!("{FLOW_CONFIG}{APPLICATIONS_CONFIG}{tunnels}{QUIET_CONFIG}")
}

/// Room for a flow a packet, since a flow that is pushed out would be two.
fn flow_capacity(file_bytes: u64) -> u64 {
    (file_bytes / FILE_BYTES_OF_A_PACKET).clamp(FLOWS_MIN, FLOWS_MAX)
}

#[derive(Debug)]
struct Records {
    conversations: Conversations,
    messages: Messages,
    reported: Vec<bool>,
    has_messages: bool,
    packets: u64,
}

impl Records {
    fn add_up(output: BufReader<impl Read>, fields: &[Field]) -> anyhow::Result<Records> {
        let mut records = Records {
            conversations: Conversations::new(),
            messages: Messages::default(),
            reported: vec![false; fields.len()],
            has_messages: false,
            packets: 0,
        };
        for line in output.lines() {
            let line = line?;
            let record: Json = serde_json::from_str(&line).with_context(|| format!("record {line}"))?;
            records.add(&record, fields).with_context(|| format!("record {line}"))?;
        }
        Ok(records)
    }

    fn add(&mut self, record: &Json, fields: &[Field]) -> anyhow::Result<()> {
        let (key, order) = key(record).context("no 5-tuple")?;
        let read: Vec<_> = fields.iter().map(|field| field.read_ours(record, order)).collect();
        for (reported, value) in self.reported.iter_mut().zip(&read) {
            *reported |= value.is_some();
        }
        for direction in ["forward_packets", "reverse_packets"] {
            self.packets += record[direction].as_u64().with_context(|| format!("no {direction}"))?;
        }
        self.has_messages |= ours::add(&mut self.messages, key, record);
        let sum = self.conversations.entry(key).or_insert_with(|| Conversation {
            has_tcp: key.protocol == TCP,
            values: fields.iter().map(Field::nothing).collect(),
        });
        for (sum, value) in sum.values.iter_mut().zip(read) {
            if let Some(value) = value {
                sum.follow(value);
            }
        }
        Ok(())
    }
}

fn key(record: &Json) -> Option<(Key, Order)> {
    let side = |name: &str| {
        let address = record[format!("{name}_address")].as_str()?.parse().ok()?;
        Some((address, u16::try_from(record[format!("{name}_port")].as_u64()?).ok()?))
    };
    let protocol = u8::try_from(record["protocol"].as_u64()?).ok()?;
    Some(Key::new(protocol, side("source")?, side("destination")?))
}

/// The ledger of the summary.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    in_flows: u64,
    not_flow: BTreeMap<String, u64>,
}

impl Account {
    fn parse(summary: &str) -> anyhow::Result<Account> {
        let summary: Json = serde_json::from_str(summary).context("parse the sensor's summary")?;
        let ledger = &summary["ledger"];
        ensure!(ledger["balanced"] == true, "the sensor's ledger does not balance: {ledger}");
        let accounts = ledger["accounted_by"].as_object().context("no `accounted_by` in the ledger")?;
        let mut frames: BTreeMap<String, u64> =
            accounts.iter().filter_map(|(name, frames)| Some((name.clone(), frames.as_u64()?))).collect();
        let in_flows = frames.remove(FLOW).unwrap_or(0);
        frames.retain(|_, frames| *frames > 0);
        Ok(Account { in_flows, not_flow: frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{OUTER, Value};

    const RECORD: &str = r#"{"source_address":"192.0.2.9","source_port":80,"destination_address":"192.0.2.1",
        "destination_port":40000,"protocol":6,"forward_packets":2,"reverse_packets":1,"forward_bytes":300,
        "reverse_bytes":40,"total_network_latency_us":null}"#;

    fn add_up(records: &[String]) -> anyhow::Result<Records> {
        let lines: String = records.iter().map(|record| record.replace('\n', " ") + "\n").collect();
        Records::add_up(BufReader::new(lines.as_bytes()), &OUTER)
    }

    #[test]
    fn records_of_one_conversation_add_up() {
        let known = RECORD.replace("null", "41");
        let records = add_up(&[RECORD.to_owned(), known, RECORD.to_owned()]).unwrap();
        let (key, conversation) = records.conversations.first_key_value().unwrap();
        assert_eq!(key.to_string(), "6 192.0.2.1 40000 192.0.2.9 80");
        assert_eq!(records.packets, 9);
        assert_eq!(conversation.values[0], Value::Counts([3, 6]));
        assert_eq!(conversation.values[11], Value::Latencies(vec![41.0]));
    }

    #[test]
    fn fields_that_no_record_has_are_not_reported() {
        let records = add_up(&[RECORD.to_owned()]).unwrap();
        let names: Vec<_> =
            OUTER.iter().zip(records.reported).filter(|(_, is)| *is).map(|(field, _)| field.name).collect();
        assert_eq!(names, ["packets", "bytes", "initial_rtt"]);
    }

    #[test]
    fn record_without_a_5_tuple_is_an_error_that_quotes_it() {
        let error = add_up(&["{\"protocol\":6}".to_owned()]).unwrap_err();
        assert!(format!("{error:#}").contains("{\"protocol\":6}"), "{error:#}");
    }

    #[test]
    fn account_leaves_flows_and_empty_reasons_apart() {
        let summary =
            r#"{"ledger":{"balanced":true,"accounted_by":{"flow":7,"not_ip.arp":2,"ipv4.version":0}}}"#;
        let not_flow = BTreeMap::from([("not_ip.arp".to_owned(), 2)]);
        assert_eq!(Account::parse(summary).unwrap(), Account { in_flows: 7, not_flow });
        let error = Account::parse(&summary.replace("true", "false")).unwrap_err();
        assert!(error.to_string().contains("does not balance"), "{error}");
    }

    #[test]
    fn tunnels_are_configured_only_where_inner_packets_are_compared() {
        assert!(!config_text(View::Outermost).contains("tunnels"));
        let inner: toml::Table = config_text(View::Innermost).parse().unwrap();
        assert_eq!(inner["tunnels"]["count"].as_str(), Some("inner"));
        assert!(inner["flow"]["close_linger_ms"].as_integer() > Some(3_600_000));
    }

    #[test]
    fn table_has_room_for_a_flow_a_packet() {
        assert_eq!(flow_capacity(100), FLOWS_MIN);
        assert_eq!(flow_capacity(48_000_000), 1_000_000);
        assert_eq!(flow_capacity(u64::MAX), FLOWS_MAX);
    }
}
