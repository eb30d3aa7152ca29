//! Conversations of both programs side by side.
//!
//! Where the two define a thing differently for every packet of a kind, a rule here says so; what only single
//! packets explain is in the list of explanations.
//!
//! - **Fragments.** Theirs names the ports of a datagram at the fragment that completes it, ours at all fragments
//!   of a datagram whose first one was seen; theirs names the first extension header as the protocol of IPv6, ours
//!   the last. Between two addresses where either occurs, everything is compared as one conversation.
//! - **Addresses that are cut off.** Theirs counts such a packet under a conversation without a name, ours as no
//!   packet of a flow: it is compared as a frame that is not IP.
//! - **IPv6 payload length zero** (a jumbogram, or a segment that the sender's card has yet to cut): theirs counts
//!   the header alone, ours what the frame has.

use crate::conversation::{Conversation, Conversations, Key, insert};
use crate::facts::Facts;
use crate::field::{Field, Value};
use crate::judged::{Context, Judged, Pair};
use crate::message;
use crate::sensor::Observed;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Fields that are compared once a capture: frames that are in no conversation, and whether the file was read to
/// its end.
pub const NOT_IP: &str = "not_ip";
pub const READ: &str = "read_to_end";

const IPV6_HEADER_BYTES: u64 = 40;
const ZERO_LENGTH: &str = "IPv6 payload length zero: ours counts what the frame has, theirs the header alone";

pub fn compare(context: Context<'_>, fields: &[Field], ours: &Observed, theirs: &Facts) -> Judged {
    let mut judged = Judged::default();
    judged.add(context, not_ip(ours, theirs));
    judged.add(context, read_to_end(ours, theirs));
    let our_side = loosened(&ours.conversations, &theirs.loose_pairs);
    let their_side = loosened(&theirs.conversations, &theirs.loose_pairs);
    let nothing = Conversation { has_tcp: false, values: fields.iter().map(Field::nothing).collect() };
    for key in our_side.keys().chain(their_side.keys()).collect::<BTreeSet<_>>() {
        let ours = our_side.get(key).unwrap_or(&nothing);
        let theirs = their_side.get(key).unwrap_or(&nothing);
        let compared =
            fields.iter().enumerate().filter(|(_, field)| field.of.includes(ours.has_tcp || theirs.has_tcp));
        for (index, field) in compared {
            judged.add(context, pair(*key, field, index, ours, theirs));
        }
    }
    message::matching::compare(context, ours, theirs, &mut judged);
    judged
}

fn pair(key: Key, field: &Field, index: usize, ours: &Conversation, theirs: &Conversation) -> Pair {
    let (our_value, their_value) = (&ours.values[index], &theirs.values[index]);
    let is_equal = field.is_equal(their_value, our_value);
    Pair {
        field: field.name,
        conversation: Some(key),
        is_equal,
        is_nothing: our_value.is_nothing() && their_value.is_nothing(),
        // The first field of each table is the packets.
        missing_packets: shortage(&ours.values[0], &theirs.values[0]),
        ours: our_value.shown(),
        theirs: their_value.shown(),
        rule: (!is_equal && is_zero_length(&key, field, our_value, theirs, index)).then_some(ZERO_LENGTH),
    }
}

fn not_ip(ours: &Observed, theirs: &Facts) -> Pair {
    let not_flow: u64 = ours.not_flow.values().sum();
    let accounts: Vec<String> =
        ours.not_flow.iter().map(|(name, frames)| format!("{name} {frames}")).collect();
    Pair {
        field: NOT_IP,
        conversation: None,
        is_equal: not_flow == theirs.not_ip,
        is_nothing: not_flow == 0 && theirs.not_ip == 0,
        missing_packets: not_flow.saturating_sub(theirs.not_ip),
        ours: format!("{not_flow} ({})", accounts.join(", ")),
        theirs: theirs.not_ip.to_string(),
        rule: None,
    }
}

fn read_to_end(ours: &Observed, theirs: &Facts) -> Pair {
    let shown = |complaint: &Option<String>| complaint.clone().unwrap_or_else(|| "yes".to_owned());
    Pair {
        field: READ,
        conversation: None,
        // What theirs gives up on, ours may read or not.
        is_equal: ours.complaint.is_none() || theirs.error.is_some(),
        is_nothing: false,
        missing_packets: 0,
        ours: shown(&ours.complaint),
        theirs: shown(&theirs.error),
        rule: None,
    }
}

/// Conversations of the given pairs of addresses as one each.
fn loosened(conversations: &Conversations, pairs: &BTreeSet<(IpAddr, IpAddr)>) -> Conversations {
    let mut loose = Conversations::new();
    for (key, conversation) in conversations {
        insert(&mut loose, loose_key(key, pairs), conversation.clone());
    }
    loose
}

/// The key under which a conversation is compared.
pub fn loose_key(key: &Key, pairs: &BTreeSet<(IpAddr, IpAddr)>) -> Key {
    if pairs.contains(&key.addresses()) { key.of_addresses() } else { *key }
}

/// How much less ours is; zero if any direction is more.
pub fn shortage(ours: &Value, theirs: &Value) -> u64 {
    let (Value::Counts(ours), Value::Counts(theirs)) = (ours, theirs) else { return 0 };
    let directions = theirs.iter().zip(ours).map(|(theirs, ours)| theirs.checked_sub(*ours));
    directions.sum::<Option<u64>>().unwrap_or(0)
}

fn is_zero_length(key: &Key, field: &Field, ours: &Value, theirs: &Conversation, index: usize) -> bool {
    let (Value::Counts(ours), Value::Counts(bytes), Value::Counts(packets)) =
        (ours, &theirs.values[index], &theirs.values[0])
    else {
        return false;
    };
    let is_header_alone = |side: usize| {
        packets[side] > 0 && bytes[side] == packets[side] * IPV6_HEADER_BYTES && ours[side] > bytes[side]
    };
    let is_bytes = field.theirs == "ip_bytes" && key.a.0.is_ipv6();
    is_bytes && [0, 1].into_iter().all(|side| ours[side] == bytes[side] || is_header_alone(side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explained::Explanations;
    use crate::field::OUTER;
    use crate::message::Messages;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeMap;

    /// Ours, as if the sensor had said what is given in the form of facts.
    fn observed(conversations: &Json, not_flow: u64) -> Observed {
        Observed {
            conversations: facts(conversations, 0).conversations,
            messages: Messages::default(),
            has_messages: false,
            reported: vec![true; OUTER.len()],
            not_flow: BTreeMap::from([("not_ip.arp".to_owned(), not_flow)]),
            complaint: None,
        }
    }

    fn facts(conversations: &Json, not_ip: u64) -> Facts {
        let line = json!({"packets": 9, "not_ip": not_ip, "conversations": conversations});
        Facts::read(&line, &OUTER).unwrap()
    }

    fn judge(ours: &Observed, theirs: &Facts) -> Judged {
        let explanations = Explanations::parse("").unwrap();
        let context = Context { capture: "x.pcap", explanations: &explanations, accounts: &ours.not_flow };
        compare(context, &OUTER, ours, theirs)
    }

    fn packets(name: &str, there: u64) -> Json {
        json!({name: {"packets_ab": there}})
    }

    #[test]
    fn same_conversations_are_equal_whichever_side_was_first() {
        let ours = json!({"6 192.0.2.1 40000 192.0.2.9 80": {"packets_ab": 3, "retransmission_ab": 1}});
        let theirs = json!({"6 192.0.2.9 80 192.0.2.1 40000": {"packets_ba": 3, "retransmission_ba": 1}});
        let judged = judge(&observed(&ours, 2), &facts(&theirs, 2));
        assert_eq!(judged.differences, []);
        let counts = judged.counts["retransmission"];
        assert_eq!((counts.compared, counts.equal, counts.nonzero, counts.nonzero_equal), (1, 1, 1, 1));
        assert_eq!(judged.counts["zero_window"].nonzero, 0);
    }

    #[test]
    fn fields_of_tcp_are_compared_in_tcp_only() {
        let theirs = packets("17 192.0.2.1 5 192.0.2.9 53", 1);
        let judged = judge(&observed(&theirs, 0), &facts(&theirs, 0));
        assert_eq!(judged.counts["packets"].compared, 1);
        assert!(!judged.counts.contains_key("retransmission"));
    }

    #[test]
    fn conversation_of_one_program_alone_is_a_difference() {
        let theirs = packets("17 192.0.2.1 5 192.0.2.9 53", 4);
        let judged = judge(&observed(&json!({}), 4), &facts(&theirs, 0));
        let shown: Vec<_> =
            judged.differences.iter().map(|d| (d.field, d.ours.as_str(), d.theirs.as_str())).collect();
        assert_eq!(shown, [("not_ip", "4 (not_ip.arp 4)", "0"), ("packets", "0/0", "4/0")]);
    }

    #[test]
    fn fragments_are_compared_by_their_addresses() {
        let theirs = json!({
            "17 192.0.2.1 5 192.0.2.9 53": {"packets_ab": 1, "fragments_ab": 1},
            "17 192.0.2.1 0 192.0.2.9 0": {"packets_ab": 2, "fragments_ab": 2},
        });
        let ours = json!({"17 192.0.2.1 5 192.0.2.9 53": {"packets_ab": 3, "fragments_ab": 3}});
        let judged = judge(&observed(&ours, 0), &facts(&theirs, 0));
        assert_eq!(judged.differences, []);
        assert_eq!(judged.counts["fragments"].compared, 1);
    }

    #[test]
    fn packet_without_a_name_is_a_frame_that_is_not_ip() {
        let theirs = facts(&packets("17 192.0.2.1 0  0", 1), 3);
        assert_eq!(judge(&observed(&json!({}), 4), &theirs).differences, []);
        assert_eq!(judge(&observed(&json!({}), 3), &theirs).differences.len(), 1);
    }

    #[test]
    fn payload_length_zero_of_ipv6_is_a_matter_of_definition() {
        let name = "58 2001:db8::1 0 2001:db8::2 0";
        let said = |bytes: u64| json!({name: {"packets_ab": 2, "ip_bytes_ab": bytes}});
        let reason = |ours: u64, theirs: u64| {
            let judged = judge(&observed(&said(ours), 0), &facts(&said(theirs), 0));
            judged.differences[0].reason
        };
        assert_eq!(reason(144, 80), Some(crate::judged::Reason::Rule(ZERO_LENGTH)));
        assert_eq!(reason(144, 81), None);
        let alone = judge(&observed(&said(144), 0), &facts(&json!({}), 0));
        assert!(alone.differences.iter().all(|difference| difference.reason.is_none()));
        assert_eq!(reason(72, 80), None);
    }

    #[test]
    fn file_may_be_given_up_if_the_other_program_gives_it_up() {
        let mut ours = observed(&json!({}), 0);
        ours.complaint = Some("cut short".to_owned());
        let mut theirs = facts(&json!({}), 0);
        assert_eq!(judge(&ours, &theirs).differences[0].field, READ);
        theirs.error = Some("cut short".to_owned());
        assert_eq!(judge(&ours, &theirs).differences, []);
    }

    /// Protocol, both sides; packets and fragments there and back.
    type Part = (u8, [(u8, u16); 2], [u64; 2], [u64; 2]);

    /// Sides are few, so that they meet.
    fn part() -> impl Strategy<Value = Part> {
        let side = (1..4u8, 0..3u16);
        (prop::sample::select(vec![1u8, 6, 17]), [side.clone(), side], [0..9u64, 0..9], [0..2u64, 0..2])
    }

    proptest! {
        #[test]
        fn whoever_is_first_and_however_it_is_split_a_conversation_equals_itself(
            parts in prop::collection::vec((part(), any::<bool>()), 0..20),
        ) {
            let (mut theirs, mut ours) = (Conversations::new(), Conversations::new());
            let mut loose_pairs = BTreeSet::new();
            for ((protocol, [source, destination], packets, fragments), turn) in parts {
                let side = |(host, port)| (IpAddr::from([192, 0, 2, host]), port);
                let seen_by = |is_turned: bool| {
                    let (a, b) = if is_turned { (destination, source) } else { (source, destination) };
                    let (key, order) = Key::new(protocol, side(a), side(b));
                    let turned = |[there, back]: [u64; 2]| if is_turned { [back, there] } else { [there, back] };
                    let mut values: Vec<Value> = OUTER.iter().map(Field::nothing).collect();
                    values[0] = Value::Counts(order.apply(turned(packets)));
                    values[3] = Value::Counts(order.apply(turned(fragments)));
                    (key, Conversation { has_tcp: protocol == 6, values })
                };
                let (key, conversation) = seen_by(false);
                if fragments != [0, 0] {
                    loose_pairs.insert(key.addresses());
                }
                insert(&mut theirs, key, conversation);
                // A side that talks to itself has no other to be first.
                let (key, conversation) = seen_by(turn && source != destination);
                insert(&mut ours, key, conversation);
            }
            let ours = Observed { conversations: ours, ..observed(&json!({}), 0) };
            let theirs = Facts { conversations: theirs, loose_pairs, ..facts(&json!({}), 0) };
            prop_assert_eq!(judge(&ours, &theirs).differences, []);
        }
    }
}
