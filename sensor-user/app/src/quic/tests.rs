//! Whole connections: what both sides send, and what the session is then said to be.

use super::opener::Role;
use super::sealer::{CLIENT_HELLO, SERVER_HELLO, Sealer, crypto, hex};
use crate::{
    counts::ProtocolCounts,
    harness::{Conversation, Outcome, STEP_NS, Sender::*},
    inspector::{Inspector, Payload},
    limits::Limits,
    parser::{Failure, Transport},
    privacy::Privacy,
};
use kflow::{
    FlowRecord,
    application::{AppProtocol, Application, protocols::quic},
};
use proptest::prelude::*;

const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
const RESERVED: u32 = 0x1a2a_3a4a;

fn conversation() -> Conversation {
    Conversation::udp(50_000, 4433)
}

/// A client's datagram with its whole hello.
fn client_datagram(version: u32) -> Vec<u8> {
    Sealer::client(version).seal_padded(&crypto(0, &hex(CLIENT_HELLO)))
}

/// A server's datagram with an acknowledgement and its whole hello.
fn server_datagram(version: u32) -> Vec<u8> {
    Sealer::server(version).seal(&server_frames())
}

fn server_frames() -> Vec<u8> {
    [hex("0200000000"), crypto(0, &hex(SERVER_HELLO))].concat()
}

/// A long header of another type of version 1, with so many bytes behind it.
fn sealed_packet(first: u8, bytes: u8) -> Vec<u8> {
    let header = [&[first, 0, 0, 0, 1, 8][..], &hex("8394c8f03e515708"), &[0, 0x40, bytes]].concat();
    [header, vec![0xa5; usize::from(bytes)]].concat()
}

/// A ClientHello with so many bytes of an extension that nobody knows.
fn long_hello(server_name: &str, bytes: usize) -> Vec<u8> {
    let vector = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let name = [&[0][..], &vector(server_name.as_bytes())].concat();
    let server_name = [&[0, 0][..], &vector(&vector(&name))].concat();
    let unknown = [&[0xfa, 0xce][..], &vector(&vec![0x5a; bytes])].concat();
    let extensions = vector(&[server_name, unknown].concat());
    let start = [&[0x03, 0x03][..], &[0x77; 32], &[0], &vector(&[0x13, 0x01]), &[1, 0]].concat();
    let body = [start, extensions].concat();
    [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

fn session(outcome: &Outcome) -> &Application {
    outcome.session.as_ref().expect("a session is known")
}

fn counts(outcome: &Outcome) -> &ProtocolCounts {
    outcome.counts.read(AppProtocol::Quic)
}

fn failures(outcome: &Outcome) -> Vec<Failure> {
    let failures = &counts(outcome).failures;
    Failure::ALL.into_iter().filter(|failure| failures[*failure as usize] > 0).collect()
}

fn assert_is_example(outcome: &Outcome) {
    let session = session(outcome);
    assert_eq!(session.text(quic::SERVER_NAME), Some("example.com"));
    assert_eq!(session.text(quic::ALPN), Some("alpn"));
    assert_eq!(session.text(quic::CLIENT_CIPHERS), Some("4865-4866"));
    assert_eq!(session.number(quic::CIPHER), Some(0x1301));
    assert_eq!(counts(outcome).transactions, 1);
}

#[test]
fn both_hellos_are_of_the_session() {
    let outcome = conversation().say(Source, &client_datagram(1)).say(Destination, &server_datagram(1)).run();
    assert_is_example(&outcome);
    assert_eq!(outcome.protocol, Some(AppProtocol::Quic));
    let session = session(&outcome);
    assert_eq!(session.number(quic::VERSION), Some(1));
    assert_eq!(session.text(quic::JA3).map(str::len), Some(32));
    assert!(session.text(quic::JA4).is_some_and(|ja4| ja4.starts_with("q13d0211an_")));
    assert_eq!(session.latency_us(), Some((STEP_NS / 1000) as u32));
    assert_eq!(failures(&outcome), []);
}

#[test]
fn every_version_of_the_table_is_opened() {
    let drafts = (22..=34).map(|draft| 0xff00_0000 + draft);
    let mvfst = [0xface_b001, 0xface_b002, 0xface_b00e];
    let google = [u32::from_be_bytes(*b"T051")];
    for version in [VERSION_1, VERSION_2, 0x709a_50c4].into_iter().chain(drafts).chain(mvfst).chain(google) {
        let client = client_datagram(version);
        let outcome = conversation().say(Source, &client).say(Destination, &server_datagram(version)).run();
        assert_is_example(&outcome);
        assert_eq!(session(&outcome).number(quic::VERSION), Some(u64::from(version)));
    }
}

#[test]
fn whoever_sends_the_first_packet_is_the_client() {
    let outcome = conversation().say(Destination, &client_datagram(1)).say(Source, &server_datagram(1)).run();
    assert_is_example(&outcome);
}

#[test]
fn a_hello_in_two_packets_is_whole_whichever_comes_first() {
    let hello = long_hello("two.example", 1500);
    let (first, second) = hello.split_at(1100);
    let client = Sealer::client(1);
    let first = client.seal_padded(&crypto(0, first));
    let second = Sealer { number: 3, ..client }.seal_padded(&crypto(1100, second));
    for [one, two] in [[&first, &second], [&second, &first]] {
        let outcome =
            conversation().say(Source, one).say(Source, two).say(Destination, &server_datagram(1)).run();
        assert_eq!(session(&outcome).text(quic::SERVER_NAME), Some("two.example"));
        assert_eq!(session(&outcome).number(quic::CIPHER), Some(0x1301));
        assert_eq!(session(&outcome).latency_us(), Some(1000), "counts from the end of the hello");
    }
}

#[test]
fn packets_that_travel_together_are_all_looked_at() {
    let client = [sealed_packet(0xd3, 30), client_datagram(1)].concat();
    let short = [0x41; 40];
    let server = [server_datagram(1), sealed_packet(0xe3, 60), short.to_vec()].concat();
    let outcome = conversation().say(Source, &client).say(Destination, &server).run();
    assert_is_example(&outcome);
    assert_eq!(failures(&outcome), []);
}

#[test]
fn early_data_may_come_before_the_hello() {
    let outcome = conversation()
        .say(Source, &sealed_packet(0xd3, 60))
        .say(Source, &client_datagram(1))
        .say(Destination, &server_datagram(1))
        .run();
    assert_is_example(&outcome);
}

#[test]
fn after_a_retry_keys_follow_from_the_new_id() {
    let retry = [&hex("f000000001 00 08 f067a5502a4262b5 746f6b656e")[..], &[0xee; 16]].concat();
    let id = hex("f067a5502a4262b5");
    let client = Sealer {
        first_destination: id.clone(),
        destination: id.clone(),
        token: b"token".to_vec(),
        number: 3,
        ..Sealer::client(1)
    };
    let server = Sealer { first_destination: id, ..Sealer::server(1) };
    let outcome = conversation()
        .say(Source, &client_datagram(1))
        .say(Destination, &retry)
        .say(Source, &client.seal_padded(&crypto(0, &hex(CLIENT_HELLO))))
        .say(Destination, &server.seal(&server_frames()))
        .run();
    assert_is_example(&outcome);
    assert_eq!(session(&outcome).latency_us(), Some(1000));
    assert_eq!(failures(&outcome), []);
}

#[test]
fn version_negotiation_is_no_failure() {
    let mut unknown = client_datagram(1);
    unknown[1..5].copy_from_slice(&RESERVED.to_be_bytes());
    let negotiation = hex("80 00000000 00 08 8394c8f03e515708 0a0a0a0a 00000001 6b3343cf");
    let outcome = conversation()
        .say(Source, &unknown)
        .say(Destination, &negotiation)
        .say(Source, &client_datagram(1))
        .say(Destination, &server_datagram(1))
        .run();
    assert_is_example(&outcome);
    assert_eq!(session(&outcome).number(quic::VERSION), Some(1), "the first version that is known");
    assert_eq!(failures(&outcome), []);
}

#[test]
fn a_server_may_go_on_in_another_version() {
    let outcome = conversation()
        .say(Source, &client_datagram(VERSION_1))
        .say(Destination, &server_datagram(VERSION_2))
        .run();
    assert_is_example(&outcome);
    assert_eq!(session(&outcome).number(quic::VERSION), Some(1));
}

#[test]
fn a_client_may_begin_another_connection_from_the_same_port() {
    let id = hex("0102030405060708");
    let client = Sealer { first_destination: id.clone(), destination: id.clone(), ..Sealer::client(1) };
    let server = Sealer { first_destination: id, ..Sealer::server(1) };
    let outcome = conversation()
        .say(Source, &client.seal_padded(&crypto(0, &long_hello("unanswered.example", 10))))
        .say(Source, &client_datagram(1))
        .say(Destination, &server_datagram(1))
        .run();
    assert_is_example(&outcome);
    let outcome = conversation()
        .say(Source, &client_datagram(1))
        .say(Destination, &server.seal(&server_frames()))
        .say(Source, &client.seal_padded(&crypto(0, &hex(CLIENT_HELLO))))
        .say(Destination, &server.seal(&server_frames()))
        .run();
    assert_is_example(&outcome);
    assert_eq!(failures(&outcome), [Failure::Malformed], "the answer to what was not seen");
}

#[test]
fn without_the_first_packet_nothing_is_opened() {
    let outcome = Conversation::udp(443, 50_000).say(Source, &server_datagram(1)).run();
    assert_eq!(failures(&outcome), [Failure::Gap]);
    assert_eq!(session(&outcome).number(quic::VERSION), Some(1), "what is known is said");
    assert_eq!(session(&outcome).number(quic::CIPHER), None);
}

#[test]
fn a_packet_that_was_changed_is_passed_over() {
    let mut changed = client_datagram(1);
    changed[600] ^= 1;
    let outcome = conversation()
        .say(Source, &changed)
        .say(Source, &client_datagram(1))
        .say(Destination, &server_datagram(1))
        .run();
    assert_is_example(&outcome);
    assert_eq!(failures(&outcome), [Failure::Gap]);
}

#[test]
fn of_a_datagram_that_the_capture_cut_the_version_is_known() {
    let datagram = client_datagram(1);
    let payload = Payload {
        slot: 0,
        is_fresh: true,
        transport: Transport::Udp,
        sender: Source,
        sender_port: 50_000,
        receiver_port: 443,
        bytes: &datagram[..96],
        wire_bytes: 1200,
        sequence: 0,
        start: None,
        acknowledged: None,
        time_ns: STEP_NS,
    };
    let mut inspector = Inspector::new(
        Limits { flows: 1, parsers: 1, drafts: 1, buffers: 1, ..Limits::default() },
        Privacy::default(),
    );
    inspector.inspect(&payload, &mut |_| {});
    let annotation = inspector.annotate(0, true, &FlowRecord::default(), &mut |_| {});
    assert_eq!(annotation.application.unwrap().number(quic::VERSION), Some(1));
    let failures = inspector.counts().read(AppProtocol::Quic).failures;
    assert_eq!(failures[Failure::Cut as usize], 1);
}

#[test]
fn a_hello_that_makes_no_sense_is_malformed_and_the_session_stands() {
    let broken = [&[1, 0, 0, 4][..], b"oops"].concat();
    let client = Sealer::client(1).seal_padded(&crypto(0, &broken));
    let outcome = conversation().say(Source, &client).say(Destination, &server_datagram(1)).run();
    assert_eq!(failures(&outcome), [Failure::Malformed]);
    assert_eq!(session(&outcome).text(quic::SERVER_NAME), None);
    assert_eq!(session(&outcome).number(quic::CIPHER), Some(0x1301));
}

#[test]
fn pieces_beyond_the_limits_are_counted() {
    let far = Sealer::client(1).seal_padded(&crypto(16_000, &[0; 1000]));
    let farther = Sealer::client(1).seal_padded(&[&[0x06][..], &hex("80010000 05"), b"piece"].concat());
    let scattered: Vec<u8> = (1..=60).flat_map(|place| crypto(place * 3, b"x")).collect();
    let scattered = Sealer::client(1).seal_padded(&scattered);
    for (datagram, expected) in [(far, &[][..]), (farther, &[Failure::Limit]), (scattered, &[Failure::Limit])]
    {
        let outcome = conversation().say(Source, &datagram).run();
        assert_eq!(failures(&outcome), expected);
    }
}

#[test]
fn without_a_buffer_a_hello_in_pieces_is_not_read() {
    let hello = hex(CLIENT_HELLO);
    let (first, second) = hello.split_at(100);
    let pieces = Sealer::client(1).seal_padded(&[crypto(100, second), crypto(0, first)].concat());
    let limits = Limits { flows: 4, parsers: 4, drafts: 4, buffers: 0, ..Limits::default() };
    let outcome = conversation().with_limits(limits).say(Source, &pieces).run();
    assert_eq!(session(&outcome).text(quic::SERVER_NAME), None);
    assert!(outcome.counts.shed_buffers > 0);
}

#[test]
fn a_flow_is_looked_into_only_while_it_is_young() {
    let mut conversation = conversation();
    for number in 0..16 {
        let ping = Sealer { number, ..Sealer::client(1) }.seal_padded(&[0x01]);
        conversation = conversation.say(Source, &ping);
    }
    let outcome = conversation.say(Source, &client_datagram(1)).run();
    assert_eq!(session(&outcome).text(quic::SERVER_NAME), None);
}

#[test]
fn a_datagram_has_so_many_packets_and_no_more() {
    let many: Vec<u8> = (0..9).flat_map(|_| sealed_packet(0xe3, 30)).collect();
    let outcome = conversation().say(Source, &client_datagram(1)).say(Source, &many).run();
    assert_eq!(failures(&outcome), [Failure::Limit]);
}

#[test]
fn versions_of_mvfst_that_are_not_known_are_still_quic() {
    let mut datagram = client_datagram(1);
    datagram[1..5].copy_from_slice(&0xface_b013u32.to_be_bytes());
    let outcome = conversation().say(Source, &datagram).run();
    assert_eq!(outcome.protocol, Some(AppProtocol::Quic));
    assert_eq!(session(&outcome).number(quic::VERSION), Some(0xface_b013));
    assert_eq!(failures(&outcome), [Failure::Unsupported]);
}

mod google {
    use super::*;

    /// A client's message with a server name and a user agent.
    fn hello() -> Vec<u8> {
        let values: [(&[u8; 4], &[u8]); 4] =
            [(b"PAD\0", &[b'-'; 800]), (b"SNI\0", b"www.example"), (b"VER\0", b"Q043"), (b"UAID", b"Test/1")];
        let mut message = [&b"CHLO"[..], &(values.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let mut end = 0u32;
        for (tag, value) in values {
            end += value.len() as u32;
            message.extend(tag);
            message.extend(end.to_le_bytes());
        }
        message.extend(values.iter().flat_map(|(_, value)| *value));
        message
    }

    /// A packet number of four bytes, a hash, and what a STREAM frame carries of the handshake.
    fn clear_payload(private_flags: &[u8], length: [u8; 2]) -> Vec<u8> {
        let hash = [0xaa; 12];
        let frame = [&[0xa0, 0x01][..], &length, &hello()].concat();
        [&[0, 0, 0, 1][..], &hash, private_flags, &frame].concat()
    }

    fn assert_is_example(outcome: &Outcome, version: [u8; 4]) {
        let session = session(outcome);
        assert_eq!(session.text(quic::SERVER_NAME), Some("www.example"));
        assert_eq!(session.text(quic::USER_AGENT), Some("Test/1"));
        assert_eq!(session.number(quic::VERSION), Some(u64::from(u32::from_be_bytes(version))));
        assert_eq!(session.latency_us(), Some(1000));
        assert_eq!(counts(outcome).transactions, 1);
        assert_eq!(failures(outcome), []);
    }

    #[test]
    fn hellos_under_a_public_header_are_read() {
        let bytes = hello().len() as u16;
        let versions = [
            (*b"Q025", &[0x00][..], bytes.to_le_bytes()),
            (*b"Q030", &[0x03, 0x07], bytes.to_le_bytes()),
            (*b"Q035", &[], bytes.to_le_bytes()),
            (*b"Q043", &[], bytes.to_be_bytes()),
        ];
        for (version, private_flags, length) in versions {
            let header = [&[0x29][..], &[0x11; 8], &version].concat();
            let client = [header, clear_payload(private_flags, length)].concat();
            let negotiation = [&[0x09][..], &[0x11; 8], b"Q043"].concat();
            let outcome = conversation()
                .say(Source, &client)
                .say(Destination, &[0x00, 0x01, 0x55, 0x66])
                .say(Destination, &negotiation)
                .run();
            assert_is_example(&outcome, version);
        }
    }

    #[test]
    fn a_hello_under_a_long_header_in_the_clear_is_read() {
        let length = (hello().len() as u16).to_be_bytes();
        let header = [&[0xc3][..], b"Q046", &[0x50], &[0x11; 8]].concat();
        let client = [header, clear_payload(&[], length)].concat();
        let outcome = conversation().say(Source, &client).say(Destination, &[0x43, 0x01, 0x55]).run();
        assert_is_example(&outcome, *b"Q046");
    }

    #[test]
    fn a_sealed_hello_of_tags_is_read() {
        let version = *b"Q050";
        let frame = |message: &[u8]| {
            let mut frame = crypto(0, message);
            frame[0] = 0x08;
            frame
        };
        let client = Sealer::client(u32::from_be_bytes(version)).seal_padded(&frame(&hello()));
        let rejection = [&b"REJ\0"[..], &[0; 4]].concat();
        let server = Sealer::server(u32::from_be_bytes(version)).seal_padded(&frame(&rejection));
        let outcome = conversation().say(Source, &client).say(Destination, &server).run();
        assert_is_example(&outcome, version);
    }

    #[test]
    fn refusals_are_no_answer() {
        let header = [&[0x29][..], &[0x11; 8], b"Q043"].concat();
        let length = (hello().len() as u16).to_be_bytes();
        let client = [header, clear_payload(&[], length)].concat();
        let negotiation = [&[0x09][..], &[0x11; 8], b"Q046"].concat();
        let reset = [&[0x0a][..], &[0x11; 8], b"PRST"].concat();
        let conversation = conversation().say(Source, &client).say(Destination, &negotiation);
        let outcome = conversation.say(Destination, &reset).run();
        assert_eq!(counts(&outcome).transactions, 0);
        assert_eq!(session(&outcome).text(quic::SERVER_NAME), Some("www.example"));
    }
}

/// Cuts a hello into frames and packets by these numbers: how long each piece is, after how many a packet ends, and
/// which two change places.
fn scrambled(hello: &[u8], lengths: &[usize], ends: &[usize], swaps: &[(usize, usize)]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut at = 0;
    for length in lengths.iter().cycle() {
        let end = (at + length).min(hello.len());
        frames.push(crypto(at, &hello[at..end]));
        at = end;
        if at == hello.len() {
            break;
        }
    }
    for (one, other) in swaps {
        let count = frames.len();
        frames.swap(one % count, other % count);
    }
    let mut datagrams = Vec::new();
    let mut ends = ends.iter().cycle();
    while !frames.is_empty() {
        let count = (*ends.next().unwrap()).min(frames.len());
        let number = datagrams.len() as u32;
        let payload: Vec<u8> =
            frames.drain(..count).flat_map(|frame| [frame, vec![0, 0x01]].concat()).collect();
        datagrams.push(Sealer { number, ..Sealer::client(1) }.seal_padded(&payload));
    }
    datagrams
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_scrambled_hello_gives_the_same_session(
        bytes in 0usize..2500,
        lengths in prop::collection::vec(150usize..400, 1..8),
        ends in prop::collection::vec(1usize..4, 1..4),
        swaps in prop::collection::vec(any::<(usize, usize)>(), 0..20),
    ) {
        let hello = long_hello("scrambled.example", bytes);
        let say_all = |datagrams: Vec<Vec<u8>>| {
            let said = datagrams.iter().fold(conversation(), |said, datagram| said.say(Source, datagram));
            said.say(Destination, &server_datagram(1)).run().what()
        };
        let datagrams = scrambled(&hello, &lengths, &ends, &swaps);
        prop_assume!(datagrams.len() <= 16);
        let plain = scrambled(&hello, &[400], &[3], &[]);
        let expected = say_all(plain);
        prop_assert_eq!(expected.2.as_ref().unwrap().text(quic::SERVER_NAME), Some("scrambled.example"));
        prop_assert_eq!(say_all(datagrams), expected);
    }

    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(any::<u8>(), 0..1500),
        payload in prop::collection::vec(any::<u8>(), 0..1000),
        version in prop::sample::select(vec![1, VERSION_2, 0xff00_001d, u32::from_be_bytes(*b"Q050")]),
    ) {
        let client = Sealer::client(version);
        let server = Sealer { role: Role::Server, ..Sealer::server(version) };
        conversation()
            .say(Source, &client.seal_padded(&payload))
            .say(Destination, &server.seal_padded(&payload))
            .say(Source, &[&client_datagram(1)[..50], &bytes].concat())
            .say(Destination, &bytes)
            .run();
    }

    #[test]
    fn a_datagram_with_any_byte_changed_is_taken(
        changes in prop::collection::vec((0usize..60, any::<u8>()), 1..6),
        version in prop::sample::select(vec![1, VERSION_2, 0xff00_0017]),
    ) {
        let mut datagram = client_datagram(version);
        for (place, byte) in changes {
            datagram[place] = byte;
        }
        let outcome = conversation().say(Source, &client_datagram(1)).say(Source, &datagram).run();
        prop_assert_eq!(session(&outcome).text(quic::SERVER_NAME), Some("example.com"));
    }
}
