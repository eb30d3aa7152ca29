//! Any bytes are the body of a request in each coding, within the limit, or an error; any message survives being one.
//!
//! Input: one byte that says the coding, then the body, which is also taken for a message.
#![no_main]

use kflow::body::{BodyReader, BodyWriter, ContentEncoding};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((coding, body)) = input.split_first() else { return };
    let encoding = ContentEncoding::ALL[usize::from(*coding) % ContentEncoding::ALL.len()];
    let mut reader = BodyReader::new(BYTES_MAX);
    if let Ok(message) = reader.read(body, encoding) {
        assert!(message.len() <= BYTES_MAX);
    }
    // The same reader, whatever it went through.
    let mut writer = BodyWriter::new(encoding);
    let written = writer.write(body);
    assert_eq!(reader.read(written, encoding).expect("our own body is read"), body);
});
