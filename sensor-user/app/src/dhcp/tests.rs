use super::*;
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::Application;
use proptest::prelude::*;
use std::net::IpAddr;

const MAC: [u8; 6] = [0x02, 0, 0x5e, 0x10, 0xab, 0xcd];

/// A message in the making.
#[derive(Clone, Debug)]
struct Message(Vec<u8>);

impl Message {
    fn new(operation: u8, transaction_id: u32) -> Message {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&transaction_id.to_be_bytes());
        bytes[28..34].copy_from_slice(&MAC);
        Message(bytes)
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Message {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }

    fn cookie(self) -> Message {
        self.bytes(&COOKIE)
    }

    fn option(self, code: u8, value: &[u8]) -> Message {
        self.bytes(&[code, value.len() as u8]).bytes(value)
    }
}

/// What is made of one message.
fn read(message: &Message) -> Application {
    let outcome = Conversation::udp(68, 67).say(Source, &message.0).run();
    assert_eq!(failures(&outcome), [0; 5]);
    only(outcome)
}

fn only(outcome: Outcome) -> Application {
    let [application] = <[_; 1]>::try_from(outcome.transactions).unwrap();
    application
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Dhcp).failures
}

fn discover() -> Message {
    Message::new(REQUEST, 7).cookie().option(53, &[1])
}

fn address(text: &str) -> kflow::application::Datum<'static> {
    kflow::application::Datum::Address(text.parse::<IpAddr>().unwrap())
}

#[test]
fn a_request_says_who_asks_for_what() {
    let message = discover()
        .option(50, &[192, 0, 2, 77])
        .option(61, &[1, 2, 0, 0x5e, 0x10, 0xab, 0xcd])
        .bytes(&[0, 0, 0])
        .option(12, b"printer\0")
        .option(60, b"MSFT 5.0")
        .option(55, &[1, 3, 6, 121])
        .option(81, b"\0\0\0printer.example.org")
        .bytes(&[255, 12, 200]);
    let read = read(&message);
    assert_eq!(read.number(dhcp::OPERATION), Some(1));
    assert_eq!(read.number(dhcp::MESSAGE_TYPE), Some(1));
    assert_eq!(read.number(dhcp::TRANSACTION_ID), Some(7));
    assert_eq!(read.text(dhcp::CLIENT_MAC), Some("02:00:5e:10:ab:cd"));
    assert_eq!(read.value(dhcp::REQUESTED_ADDRESS), Some(address("192.0.2.77")));
    assert_eq!(read.text(dhcp::CLIENT_ID), Some("0102005e10abcd"));
    assert_eq!(read.text(dhcp::HOST_NAME), Some("printer"));
    assert_eq!(read.text(dhcp::VENDOR_CLASS), Some("MSFT 5.0"));
    assert_eq!(read.text(dhcp::PARAMETERS), Some("1,3,6,121"));
    assert_eq!(read.text(dhcp::FQDN), Some("printer.example.org"));
    assert_eq!(read.latency_us(), None);
}

#[test]
fn a_reply_says_what_the_client_gets() {
    let message = Message::new(REPLY, 8)
        .put(12, &[192, 0, 2, 1, 192, 0, 2, 78, 192, 0, 2, 2])
        .cookie()
        .option(53, &[5])
        .option(51, &86_400_u32.to_be_bytes())
        .option(54, &[192, 0, 2, 3])
        .option(15, b"example.org")
        .bytes(&[255]);
    let read = read(&message);
    assert_eq!(read.number(dhcp::OPERATION), Some(2));
    assert_eq!(read.value(dhcp::CLIENT_ADDRESS), Some(address("192.0.2.1")));
    assert_eq!(read.value(dhcp::YOUR_ADDRESS), Some(address("192.0.2.78")));
    assert_eq!(read.value(dhcp::SERVER_ADDRESS), Some(address("192.0.2.2")));
    assert_eq!(read.value(dhcp::SERVER_ID), Some(address("192.0.2.3")));
    assert_eq!(read.number(dhcp::LEASE_S), Some(86_400));
    assert_eq!(read.text(dhcp::DOMAIN), Some("example.org"));
}

#[test]
fn every_message_is_a_transaction_and_replies_of_the_same_flow_have_latencies() {
    let reply = |id| Message::new(REPLY, id).cookie().option(53, &[2]);
    let outcome = Conversation::udp(67, 67)
        .say(Source, &Message::new(REQUEST, 1).cookie().0)
        .say(Source, &Message::new(REQUEST, 2).cookie().0)
        .say(Source, &Message::new(REQUEST, 1).cookie().0)
        .say(Destination, &reply(2).0)
        .say(Destination, &reply(1).0)
        .say(Destination, &reply(1).0)
        .say(Source, &reply(2).0)
        .run();
    let mut latencies: Vec<_> = outcome
        .transactions
        .iter()
        .filter(|read| read.number(dhcp::OPERATION) == Some(2))
        .map(Application::latency_us)
        .collect();
    latencies.sort_unstable();
    assert_eq!(outcome.transactions.len(), 7);
    let step_us = (STEP_NS / 1000) as u32;
    assert_eq!(latencies, [None, None, Some(2 * step_us), Some(2 * step_us)]);
    assert_eq!(outcome.counts.read(AppProtocol::Dhcp).unanswered, 0);
}

#[test]
fn options_go_on_in_the_file_and_in_the_server_name() {
    let message = Message::new(REQUEST, 9)
        .put(108, &[12, 3, b'a', b'b', b'c', 255])
        .put(44, &[15, 3, b'o', b'r', b'g', 255])
        .cookie()
        .option(52, &[3]);
    let both = read(&message);
    assert_eq!((both.text(dhcp::HOST_NAME), both.text(dhcp::DOMAIN)), (Some("abc"), Some("org")));
    let file_alone = read(&message.clone().put(242, &[1]));
    assert_eq!((file_alone.text(dhcp::HOST_NAME), file_alone.text(dhcp::DOMAIN)), (Some("abc"), None));
    let name_alone = read(&message.put(242, &[2]));
    assert_eq!((name_alone.text(dhcp::HOST_NAME), name_alone.text(dhcp::DOMAIN)), (None, Some("org")));
}

#[test]
fn pieces_of_a_long_option_belong_together() {
    let message = Message::new(REQUEST, 9)
        .put(108, &[60, 3, b'o', b'n', b'g', 255])
        .cookie()
        .option(60, b"a l")
        .option(52, &[1])
        .option(53, &[3]);
    assert_eq!(read(&message).text(dhcp::VENDOR_CLASS), Some("a long"));
}

#[test]
fn a_fully_qualified_name_comes_as_text_or_in_labels() {
    let labels = b"\x04\0\0\x04host\x07example\x03org\0";
    assert_eq!(read(&discover().option(81, labels)).text(dhcp::FQDN), Some("host.example.org"));
    let partial = b"\x05\0\0\x04host";
    assert_eq!(read(&discover().option(81, partial)).text(dhcp::FQDN), Some("host"));
}

#[test]
fn other_hardware_addresses_are_hex() {
    let of_eight = read(&Message(Message::new(REQUEST, 1).put(2, &[8]).cookie().0));
    assert_eq!(of_eight.text(dhcp::CLIENT_MAC), Some("02005e10abcd0000"));
    let of_none = read(&Message(Message::new(REQUEST, 1).put(2, &[0]).cookie().0));
    assert_eq!(of_none.text(dhcp::CLIENT_MAC), None);
}

#[test]
fn bootp_has_no_message_type() {
    for message in [Message::new(REQUEST, 3), Message::new(REQUEST, 3).bytes(&[0; 64])] {
        let read = read(&message);
        assert_eq!(read.number(dhcp::TRANSACTION_ID), Some(3));
        assert_eq!(read.number(dhcp::MESSAGE_TYPE), None);
    }
}

#[test]
fn what_makes_no_sense_is_malformed_and_what_was_said_before_counts() {
    let wrong = [
        discover().option(12, b"host").bytes(&[61, 20, 1]),
        discover().option(12, b"host").bytes(&[61]),
        discover().option(12, b"host").option(51, &[1, 2, 3]),
        discover().option(12, b"host").option(54, &[1, 2, 3, 4, 5]),
        discover().option(12, b"host").option(81, &[0, 0]),
        discover().option(12, b"host").option(81, &[4, 0, 0, 64, 1]),
    ];
    for message in wrong {
        let outcome = Conversation::udp(68, 67).say(Source, &message.0).run();
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1);
        let read = only(outcome);
        assert_eq!(read.number(dhcp::MESSAGE_TYPE), Some(1));
        assert_eq!(read.text(dhcp::HOST_NAME), Some("host"));
    }
}

#[test]
fn a_hardware_address_longer_than_its_field_is_malformed() {
    let outcome = Conversation::udp(68, 67)
        .say(Source, &discover().0)
        .say(Source, &discover().put(2, &[17]).0)
        .say(Source, &discover().put(0, &[3]).0)
        .say(Source, &[])
        .run();
    assert_eq!(failures(&outcome)[Failure::Malformed as usize], 3);
    assert_eq!(outcome.transactions.len(), 1);
}

#[test]
fn every_beginning_of_a_message_is_taken_for_what_it_is() {
    let whole = discover().option(12, b"host").bytes(&[255]);
    for length in 0..whole.0.len() {
        let outcome = Conversation::udp(68, 67).say(Source, &whole.0[..length]).run();
        // Fields that have fixed places are there as soon as the last of them is.
        assert_eq!(outcome.transactions.len(), usize::from(length >= 44), "{length}");
        let is_sound = failures(&outcome) == [0; 5];
        // Without the end option, the message may end behind any other one.
        let ends_behind_something = matches!(length, 0..44 | 236 | 240 | 243 | 249);
        assert_eq!(is_sound, ends_behind_something, "{length}");
    }
}

#[test]
fn a_message_that_the_capture_cut_is_cut_and_what_was_said_before_counts() {
    let message = discover().option(12, b"host").bytes(&[255]);
    for length in 44..message.0.len() {
        let outcome = Conversation::udp(68, 67).say(Source, &message.0).cut_to(length).run();
        let failures = failures(&outcome);
        assert_eq!(failures.iter().sum::<u64>(), failures[Failure::Cut as usize], "{length}");
        let read = only(outcome);
        assert_eq!(read.text(dhcp::CLIENT_MAC), Some("02:00:5e:10:ab:cd"));
        assert_eq!(read.number(dhcp::MESSAGE_TYPE).is_some(), length >= 243);
    }
}

#[test]
fn other_ports_need_the_cookie() {
    let on = |ports: (u16, u16), message: &Message| {
        Conversation::udp(ports.0, ports.1).say(Source, &message.0).run().protocol
    };
    let bootp = Message::new(REQUEST, 3).bytes(&[0; 64]);
    assert_eq!(on((40_000, 4011), &discover()), Some(AppProtocol::Dhcp));
    assert_eq!(on((40_000, 4011), &bootp), None);
    assert_eq!(on((40_000, 67), &bootp), None);
    assert_eq!(on((68, 67), &bootp), Some(AppProtocol::Dhcp));
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        start in prop::sample::select(vec![0, 4, 44, 236, 240]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        overload in 0u8..4,
    ) {
        let message = Message(discover().option(52, &[overload]).0[..start].to_vec()).bytes(&bytes);
        Conversation::udp(68, 67).say(Source, &discover().0).say(Destination, &message.0).run();
    }

    #[test]
    fn options_survive_any_place_and_padding(
        name in "[a-z]{1,40}",
        place in 0usize..3,
        pads in 0usize..20,
    ) {
        let mut option = vec![0; pads];
        option.extend_from_slice(&[12, name.len() as u8]);
        option.extend_from_slice(name.as_bytes());
        option.push(255);
        let message = Message::new(REQUEST, 1);
        let message = match place {
            0 => message.cookie().bytes(&option),
            1 => message.put(108, &option).cookie().option(52, &[1]).bytes(&[255]),
            _ => message.put(44, &option).cookie().option(52, &[2]).bytes(&[255]),
        };
        let read = read(&message);
        prop_assert_eq!(read.text(dhcp::HOST_NAME), Some(name.as_str()));
    }
}
