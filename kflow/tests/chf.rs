//! Records of all fields: there and back, from other writers, and what a message may make its reader do.

#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, missing_debug_implementations, reason = "generated code, see src/lib.rs")]
#[path = "../src/chf_capnp.rs"]
mod chf_capnp;
#[path = "../benches/reference/chf.rs"]
mod reference;
#[path = "support/chf.rs"]
mod support;

use capnp::message::{AllocationStrategy, Builder, HeapAllocator};
use chf_capnp::packed_c_h_f;
use kflow::codec::{ChfEncoder, Limits, decode_chf};
use kflow::{Chf, Custom, CustomValue, Error};
use proptest::prelude::*;
use support::any_chf;

fn encode(records: &[Chf]) -> Vec<u8> {
    ChfEncoder::new().encode(records).unwrap().to_vec()
}

fn decode(message: &[u8]) -> Result<Vec<Chf>, Error> {
    decode_chf(message, &Limits::default())
}

proptest! {
    #[test]
    fn decoding_what_was_encoded_gives_the_same_records(records in prop::collection::vec(any_chf(), 0..8)) {
        prop_assert_eq!(decode(&encode(&records)).unwrap(), records);
    }

    #[test]
    fn the_message_is_that_of_the_capnp_crate_in_its_canonical_form(
        mut records in prop::collection::vec(any_chf(), 0..8),
    ) {
        let mut reference = Vec::new();
        // Whose builder has no way to set a member without a value.
        records.iter_mut().for_each(|record| record.custom.retain(|custom| custom.value != CustomValue::Unknown));
        reference::encode_chf(&records, &mut reference);
        prop_assert_eq!(decode(&reference).unwrap(), &records[..]);
        prop_assert_eq!(canonical(&encode(&records)), canonical(&reference));
    }

    #[test]
    fn an_encoder_can_be_used_again(
        first in prop::collection::vec(any_chf(), 0..8),
        second in prop::collection::vec(any_chf(), 0..8),
    ) {
        let mut encoder = ChfEncoder::new();
        encoder.encode(&first).unwrap();
        prop_assert_eq!(encoder.encode(&second).unwrap(), encode(&second));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_damaged_message_is_decoded_or_refused(
        records in prop::collection::vec(any_chf(), 1..4),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut message = encode(&records);
        for (index, byte) in damages {
            let index = index.index(message.len());
            message[index] = byte;
        }
        let _ = decode(&message);
    }

    #[test]
    fn a_cut_message_is_refused(
        records in prop::collection::vec(any_chf(), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let message = encode(&records);
        prop_assert!(decode(&message[..cut.index(message.len())]).is_err());
    }

    #[test]
    fn a_message_in_many_segments_reads_the_same(records in prop::collection::vec(any_chf(), 0..6)) {
        prop_assert_eq!(decode(&in_many_segments(&records)).unwrap(), records);
    }
}

fn canonical(message: &[u8]) -> Vec<u8> {
    let message = capnp::serialize_packed::read_message(message, Default::default()).unwrap();
    capnp::Word::words_to_bytes(&message.canonicalize().unwrap()).to_vec()
}

/// The same message as another writer makes it that has no room for it in one piece.
fn in_many_segments(records: &[Chf]) -> Vec<u8> {
    let ours = encode(records);
    let message = capnp::serialize_packed::read_message(ours.as_slice(), Default::default()).unwrap();
    let root: packed_c_h_f::Reader<'_> = message.get_root().unwrap();
    let pieces = HeapAllocator::new()
        .first_segment_words(16)
        .max_segment_words(512)
        .allocation_strategy(AllocationStrategy::FixedSize);
    let mut copy = Builder::new(pieces);
    copy.set_root(root).unwrap();
    let mut packed = Vec::new();
    capnp::serialize_packed::write_message(&mut packed, &copy).unwrap();
    packed
}

#[test]
fn nothing_said_is_the_default() {
    let mut message = Builder::new_default();
    let root: packed_c_h_f::Builder<'_> = message.init_root();
    root.init_msgs(3);
    let mut packed = Vec::new();
    capnp::serialize_packed::write_message(&mut packed, &message).unwrap();
    assert_eq!(decode(&packed).unwrap(), vec![Chf::default(); 3]);
    assert_eq!(encode(&vec![Chf::default(); 3]), packed);
}

#[test]
fn counters_have_all_their_64_bits() {
    let record = Chf {
        timestamp_nano: i64::MIN,
        timestamp: -1,
        in_bytes: u64::MAX,
        in_pkts: u64::MAX - 1,
        out_bytes: 1 << 63,
        out_pkts: (1 << 63) - 1,
        src_eth_mac: u64::MAX,
        dst_eth_mac: 1 << 47,
        custom: vec![Custom { id: u32::MAX, is_dimension: true, value: CustomValue::U64(u64::MAX) }],
        ..Chf::default()
    };
    assert_eq!(decode(&encode(std::slice::from_ref(&record))).unwrap(), [record]);
}

#[test]
fn a_rate_in_hundredths_and_a_whole_one_are_told_apart() {
    let whole = Chf { sample_rate: u32::MAX, ..Chf::default() };
    assert_eq!(whole.sample_rate_hundredths(), u64::from(u32::MAX) * 100);
    let scaled = Chf { sample_rate: 250, sample_adj: true, ..Chf::default() };
    assert_eq!(scaled.sample_rate_hundredths(), 250);
}

#[test]
fn a_message_that_exceeds_a_limit_is_refused() {
    let mut records = vec![Chf::default(); 20];
    records[7].custom.push(Custom { id: 1, is_dimension: false, value: CustomValue::Text("x".repeat(800)) });
    let message = encode(&records);
    let bytes = (1 + 3 + 20 * 43 + 1 + 4 + 101) * 8;
    let exact = Limits { unpacked_bytes: bytes, nesting: Limits::NESTING_MIN, segments: 1, records: 20 };
    assert_eq!(decode_chf(&message, &exact).unwrap(), records);
    for limits in [
        Limits { unpacked_bytes: bytes - 8, ..exact },
        Limits { nesting: Limits::NESTING_MIN - 1, ..exact },
        Limits { segments: 0, ..exact },
        Limits { records: 19, ..exact },
    ] {
        assert!(matches!(decode_chf(&message, &limits), Err(Error::Malformed { .. })), "{limits:?}");
    }
    let pieces = in_many_segments(&records);
    assert_eq!(decode(&pieces).unwrap(), records);
    assert!(decode_chf(&pieces, &Limits { segments: 2, ..Limits::default() }).is_err());
}

#[test]
fn a_small_message_that_means_much_is_refused() {
    // A list of so many records that have no words.
    for (records, why) in [(1 << 20, "1048576 records"), ((1 << 29) - 1, "limit")] {
        let words = [3 << 32, 1 << 48, 1 | 7 << 32, records << 2];
        let message: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        let Err(Error::Malformed { what }) = decode(&message) else { panic!("it is refused") };
        assert!(what.contains(why), "{what}");
    }
}

#[test]
fn a_batch_that_no_reader_would_take_is_refused() {
    let text = "x".repeat(1 << 20);
    let record = Chf { flow_tags: text, ..Chf::default() };
    let mut encoder = ChfEncoder::new();
    let records = vec![record; 64];
    assert!(matches!(encoder.encode(&records), Err(Error::MessageTooLarge { .. })));
    assert_eq!(decode(encoder.encode(&records[..63]).unwrap()).unwrap(), records[..63]);
}
