//! Any bytes are a kflow message or an error, and the records of a message survive another round.
#![no_main]

use kflow::codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = codec::decode(bytes) else { return };
    let mut encoder = codec::Encoder::new();
    // Records that a foreign message holds may not be expressible; those that are come back the same.
    let Ok(message) = encoder.encode(&records) else { return };
    assert_eq!(codec::decode(message).expect("our own message decodes"), records);
});
