//! What the sensor's records say of messages.
//!
//! A record has the fields of one transaction, or of its flow's session; a field that it does not say is missing or
//! null. Of codes of DNS the four bits of the header are compared, which is what theirs lists; ours has those of EDNS too.

use super::dns::{Message, Question};
use super::{FIELDS, Messages, Per, text, theirs};
use crate::conversation::Key;
use serde_json::Value as Json;

/// The member that records have if the sensor looks for applications at all.
const PROTOCOL: &str = "app_protocol";
const DNS: &str = "dns_";
const HEADER_RCODE: u64 = 0xf;
const NO_ADDRESS: &str = "0.0.0.0";

/// Adds what a record says. Whether it could say anything.
pub fn add(messages: &mut Messages, key: Key, record: &Json) -> bool {
    for field in FIELDS.iter().filter(|field| !field.name.starts_with(DNS)) {
        let Some(value) = said(record, field.name) else { continue };
        let is_known = field.per == Per::Session && messages.named(&key, field.name).contains(&value);
        if !is_known && value != NO_ADDRESS {
            messages.add(key, field.name, value);
        }
    }
    if let Some(transaction) = transaction_of_dns(key, record) {
        theirs::add_dns(messages, &transaction);
    }
    record.get(PROTOCOL).is_some()
}

fn said(record: &Json, field: &str) -> Option<String> {
    match record.get(field)? {
        Json::String(value) => Some(text::of_field(field)(value)),
        Json::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A message without a question is none that theirs lists.
fn transaction_of_dns(key: Key, record: &Json) -> Option<Message> {
    let name = text::name(record.get("dns_query")?.as_str()?);
    let id = u16::try_from(record.get("dns_id")?.as_u64()?).ok()?;
    let kind = said(record, "dns_query_type").unwrap_or_default();
    let rcode = record.get("dns_rcode").and_then(Json::as_u64).map(|code| (code & HEADER_RCODE).to_string());
    Some(Message { key, id, question: Question { name, kind }, rcode })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said_of(records: &[Json], field: &str) -> (Vec<String>, bool) {
        let (key, _) = Key::parse("6 192.0.2.1 40000 192.0.2.9 80").unwrap();
        let mut messages = Messages::default();
        let could =
            records.iter().map(|record| add(&mut messages, key, record)).fold(false, |any, each| any | each);
        (messages.named(&key, field).to_vec(), could)
    }

    #[test]
    fn transactions_are_said_each_and_a_session_once() {
        let request = json!({"app_protocol": "http", "http_method": "GET", "http_status": 200});
        assert_eq!(said_of(&[request.clone(), request.clone()], "http_method").0, ["GET", "GET"]);
        assert_eq!(said_of(&[request], "http_status").0, ["200"]);
        let session = json!({"app_protocol": "tls", "tls_server_name": "example.com", "tls_ja3": null});
        assert_eq!(said_of(&[session.clone(), session.clone()], "tls_server_name").0, ["example.com"]);
        assert_eq!(said_of(&[session], "tls_ja3").0, [] as [&str; 0]);
    }

    #[test]
    fn transaction_of_dns_is_named_by_its_identifier() {
        let record = json!({"app_protocol": "dns", "dns_query": "", "dns_query_type": 2, "dns_id": 255,
            "dns_rcode": null});
        assert_eq!(said_of(std::slice::from_ref(&record), "dns_query").0, ["0x00ff <Root>"]);
        assert_eq!(said_of(std::slice::from_ref(&record), "dns_query_type").0, ["0x00ff 2"]);
        assert_eq!(said_of(std::slice::from_ref(&record), "dns_rcode").0, [] as [&str; 0]);
        let extended = json!({"dns_query": "", "dns_id": 255, "dns_rcode": 23});
        assert_eq!(said_of(&[extended], "dns_rcode").0, ["0x00ff 7"]);
    }

    #[test]
    fn sensor_that_looks_for_no_applications_is_known_by_its_records() {
        assert!(said_of(&[json!({"app_protocol": null})], "http_method").1);
        assert!(!said_of(&[json!({"protocol": 6})], "http_method").1);
    }
}
