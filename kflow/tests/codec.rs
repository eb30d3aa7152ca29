//! The codec's laws: decoding is the inverse of encoding, and every slice of bytes is a valid argument.

mod support;

use kflow::codec::{Encoder, RECORDS_MAX, decode};
use kflow::{Error, FlowRecord};
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
    let record = FlowRecord { end_ns: u64::MAX, source: v6(), destination: v6(), ..FlowRecord::default() };
    let records = vec![record; RECORDS_MAX];
    assert_eq!(decode(Encoder::new().encode(&records).unwrap()).unwrap(), records);
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
