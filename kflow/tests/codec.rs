//! The codec's laws: decoding is the inverse of encoding, and every slice of bytes is a valid argument.

mod support;

use kflow::application::protocols::tls;
use kflow::application::{Draft, TEXT_BYTES_MAX};
use kflow::codec::{Encoder, RECORDS_MAX, decode};
use kflow::{AppProtocol, Application, Error, FlowRecord};
use proptest::prelude::*;
use support::any_record;

proptest! {
    #[test]
    fn decoding_what_was_encoded_gives_the_same_records(records in prop::collection::vec(any_record(), 0..40)) {
        let mut encoder = Encoder::new();
        let message = encoder.encode(&records).unwrap();
        prop_assert_eq!(decode(message).unwrap(), records);
    }

    #[test]
    fn an_encoder_can_be_used_again(
        first in prop::collection::vec(any_record(), 0..20),
        second in prop::collection::vec(any_record(), 0..20),
    ) {
        let mut encoder = Encoder::new();
        encoder.encode(&first).unwrap();
        let again = encoder.encode(&second).unwrap().to_vec();
        let mut fresh = Encoder::new();
        prop_assert_eq!(again, fresh.encode(&second).unwrap());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_damaged_message_is_decoded_or_refused(
        records in prop::collection::vec(any_record(), 1..4),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = Encoder::new().encode(&records).unwrap().to_vec();
        for (index, byte) in damages {
            let index = index.index(message.len());
            message[index] = byte;
        }
        let _ = decode(&message);
        message.truncate(cut.index(message.len()));
        let _ = decode(&message);
    }

    #[test]
    fn a_cut_message_is_refused(
        records in prop::collection::vec(any_record(), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let message = Encoder::new().encode(&records).unwrap().to_vec();
        prop_assert!(decode(&message[..cut.index(message.len())]).is_err());
    }
}

#[test]
fn the_largest_batch_is_encoded_and_decoded() {
    let record = FlowRecord {
        end_ns: u64::MAX,
        source: v6(),
        destination: v6(),
        ..record_of(handshake(&[TEXT_BYTES_MAX / TEXTS.len(); TEXTS.len()]))
    };
    let records = vec![record; RECORDS_MAX];
    assert_eq!(decode(Encoder::new().encode(&records).unwrap()).unwrap(), records);
}

#[test]
fn texts_come_back_whole_as_far_as_there_is_room_for_them_together() {
    let record = record_of(handshake(&[3000, 1096]));
    assert_eq!(decode(Encoder::new().encode(std::slice::from_ref(&record)).unwrap()).unwrap(), [record]);
    let record = record_of(handshake(&[3000, 1096, 7]));
    let cut = record_of(handshake(&[3000, 1096, 0]));
    assert_eq!(decode(Encoder::new().encode(&[record]).unwrap()).unwrap(), [cut]);
}

#[test]
fn texts_are_cut_at_a_character() {
    let long = |text: &str| {
        let mut draft = Draft::new(2 * TEXT_BYTES_MAX);
        draft.begin(AppProtocol::Tls);
        draft.text(tls::SERVER_NAME, text.as_bytes());
        record_of(draft.to_application(None))
    };
    let record = long(&format!("x{}", "é".repeat(TEXT_BYTES_MAX / 2)));
    let cut = long(&format!("x{}", "é".repeat(TEXT_BYTES_MAX / 2 - 1)));
    assert_eq!(decode(Encoder::new().encode(&[record]).unwrap()).unwrap(), [cut]);
}

#[test]
fn a_message_names_the_columns_of_applications_only_if_it_has_one() {
    let plain = [FlowRecord::default(), FlowRecord::default()];
    let with_one = [FlowRecord::default(), record_of(handshake(&[3]))];
    let names = |message: &[u8], name: &[u8]| message.windows(name.len()).any(|window| window == name);
    let mut encoder = Encoder::new();
    // A name of no more than a word is in the packed message as it is.
    assert!(!names(encoder.encode(&plain).unwrap(), b"INET_00"));
    assert!(names(encoder.encode(&with_one).unwrap(), b"INET_00"));
    assert!(!names(encoder.encode(&plain).unwrap(), b"INET_00"));
}

const TEXTS: [kflow::application::Key; 10] = [
    tls::SERVER_NAME,
    tls::ALPN,
    tls::JA3,
    tls::JA4,
    tls::JA3S,
    tls::CERTIFICATE_NAMES,
    tls::SELECTED_ALPN,
    tls::CLIENT_VERSIONS,
    tls::CLIENT_CIPHERS,
    tls::CERTIFICATE_ISSUER,
];

/// All numbers of TLS, and its first texts with so many bytes.
fn handshake(text_bytes: &[usize]) -> Application {
    let mut draft = Draft::new(2 * TEXT_BYTES_MAX);
    draft.begin(AppProtocol::Tls);
    for (key, bytes) in TEXTS.into_iter().zip(text_bytes) {
        draft.text(key, &vec![b'x'; *bytes]);
    }
    for key in [tls::VERSION, tls::CIPHER, tls::CLIENT_VERSION, tls::ALERT] {
        draft.number(key, u32::MAX);
    }
    draft.to_application(Some(u32::MAX))
}

fn record_of(application: Application) -> FlowRecord {
    FlowRecord {
        app_protocol: Some(application.protocol()),
        transactions: u32::MAX,
        application: Some(application),
        ..FlowRecord::default()
    }
}

#[test]
fn a_batch_that_is_too_large_is_refused() {
    let records = vec![FlowRecord::default(); RECORDS_MAX + 1];
    assert!(matches!(Encoder::new().encode(&records), Err(Error::TooManyRecords { .. })));
}

#[test]
fn a_message_with_bytes_after_it_is_refused() {
    let mut message = Encoder::new().encode(&[FlowRecord::default()]).unwrap().to_vec();
    message.push(0);
    assert!(decode(&message).is_err());
}

#[test]
fn a_message_that_unpacks_to_more_than_the_limit_is_refused() {
    // Segment table: one segment of 2^24 words, all of them zero.
    let mut message = vec![0b1000_0000, 1];
    message.extend([0x00, 0xFF].repeat(1 << 16));
    assert!(matches!(decode(&message), Err(Error::Malformed { .. })));
}

fn v6() -> kflow::Endpoint {
    kflow::Endpoint { address: [0xFD; 16].into(), ..kflow::Endpoint::default() }
}
