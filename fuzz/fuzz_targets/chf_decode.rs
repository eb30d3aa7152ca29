//! Any bytes are a message of records of all fields, within limits, or an error; what is read survives another round.
#![no_main]

use kflow::Chf;
use kflow::codec::{ChfEncoder, Limits, decode_chf};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { unpacked_bytes: 1 << 20, nesting: 8, segments: 16, records: 1_000 };

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = decode_chf(bytes, &LIMITS) else { return };
    assert!(records.len() <= LIMITS.records);
    let pointed_to = records.iter().map(bytes_pointed_to).sum::<usize>();
    // A custom column without words counts as one word, and text that was not UTF-8 grows by its replacements.
    assert!(pointed_to <= LIMITS.unpacked_bytes * 8, "{pointed_to}");
    let mut encoder = ChfEncoder::new();
    let message =
        encoder.encode(&records).expect("what was read within a limit is written within a larger one");
    let again = decode_chf(message, &Limits::default()).expect("our own message decodes");
    // Not a number is not equal to itself, but is printed like itself.
    assert!(again == records || format!("{again:?}") == format!("{records:?}"));
});

fn bytes_pointed_to(record: &Chf) -> usize {
    let texts = [&record.src_flow_tags, &record.dst_flow_tags, &record.flow_tags, &record.src_bgp_as_path];
    texts.into_iter().map(String::len).sum::<usize>() + record.custom.len() * size_of::<kflow::Custom>()
}
