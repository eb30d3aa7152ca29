//! Bodies of requests: there and back, and what a body may make its reader do.

use flate2::Compression;
use flate2::write::GzEncoder;
use kflow::Error;
use kflow::body::{BodyReader, BodyWriter, ContentEncoding, PREFIX_BYTES};
use proptest::prelude::*;
use std::io::Write;

const BYTES_MAX: usize = 1 << 20;

fn read(body: &[u8], encoding: ContentEncoding) -> Result<Vec<u8>, Error> {
    BodyReader::new(BYTES_MAX).read(body, encoding).map(<[u8]>::to_vec)
}

fn write(message: &[u8], encoding: ContentEncoding) -> Vec<u8> {
    BodyWriter::new(encoding).write(message).to_vec()
}

/// As another program makes it.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

fn any_encoding() -> impl Strategy<Value = ContentEncoding> {
    prop::sample::select(&ContentEncoding::ALL[..])
}

/// Repetitive and not.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let piece = (prop::collection::vec(any::<u8>(), 1..200), 1usize..60);
    prop::collection::vec(piece, 0..4)
        .prop_map(|pieces| pieces.iter().flat_map(|(bytes, times)| bytes.repeat(*times)).collect())
}

proptest! {
    #[test]
    fn a_body_has_the_message_that_was_written(message in any_message(), encoding in any_encoding()) {
        prop_assert_eq!(read(&write(&message, encoding), encoding).unwrap(), message);
    }

    #[test]
    fn a_writer_and_a_reader_can_be_used_again(
        first in any_message(),
        second in any_message(),
        encoding in any_encoding(),
    ) {
        let mut writer = BodyWriter::new(encoding);
        let mut reader = BodyReader::new(BYTES_MAX);
        let body = writer.write(&first).to_vec();
        prop_assert_eq!(reader.read(&body, encoding).unwrap(), first);
        let _ = reader.read(&body[..body.len() / 2], encoding);
        let body = writer.write(&second).to_vec();
        prop_assert_eq!(&body, &write(&second, encoding));
        prop_assert_eq!(reader.read(&body, encoding).unwrap(), second);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), encoding in any_encoding()) {
        let _ = read(&bytes, encoding);
        let magic: &[u8] = match encoding {
            ContentEncoding::Identity => &[],
            ContentEncoding::Gzip => &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3],
            ContentEncoding::Zstd => &[0x28, 0xB5, 0x2F, 0xFD],
        };
        let _ = read(&[magic, &bytes].concat(), encoding);
    }

    #[test]
    fn a_damaged_body_is_never_taken_for_whole(
        message in any_message(),
        encoding in prop::sample::select(&[ContentEncoding::Gzip, ContentEncoding::Zstd][..]),
        place in any::<prop::sample::Index>(),
        byte in 1u8..=255,
    ) {
        let mut body = write(&message, encoding);
        let place = place.index(body.len());
        prop_assert!(read(&body[..place], encoding).is_err());
        body[place] ^= byte;
        // What the checksum does not cover, such as the time in the header, may differ.
        if let Ok(damaged) = read(&body, encoding) {
            prop_assert_eq!(damaged, message);
        }
    }

    #[test]
    fn what_follows_a_coding_is_refused(
        message in any_message(),
        encoding in prop::sample::select(&[ContentEncoding::Gzip, ContentEncoding::Zstd][..]),
        rest in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        prop_assert!(read(&[write(&message, encoding), rest].concat(), encoding).is_err());
    }
}

#[test]
fn a_prefix_is_skipped_if_there_is_one() {
    let message = [0x10, 0x05, 0x50, 0x01, 0x01];
    let named = |name: &[u8]| {
        let mut body = name.to_vec();
        body.resize(PREFIX_BYTES, 0);
        body.extend(message);
        body
    };
    let mut five_zeros = vec![0xAA; PREFIX_BYTES];
    five_zeros[..5].fill(0);
    five_zeros.extend(message);
    for body in [message.to_vec(), named(b""), named(b"1234:my_device:5678^"), five_zeros] {
        assert_eq!(read(&body, ContentEncoding::Identity).unwrap(), message);
        assert_eq!(read(&gzip(&body), ContentEncoding::Gzip).unwrap(), message);
        assert_eq!(read(&zstd(&body), ContentEncoding::Zstd).unwrap(), message);
    }
    for other in [named(b"1234:my_device:5678"), named(b"my_device^"), named(b"1:2:3^\0x")] {
        assert_eq!(read(&other, ContentEncoding::Identity).unwrap(), other);
    }
    assert!(read(&[0; PREFIX_BYTES - 1], ContentEncoding::Identity).is_err());
    assert_eq!(read(&[0; PREFIX_BYTES], ContentEncoding::Identity).unwrap(), []);
}

#[test]
fn members_and_frames_that_follow_each_other_are_one() {
    let content: Vec<u8> = (0..=255u8).cycle().take(1_000).collect();
    let (first, second) = content.split_at(300);
    let members = [gzip(first), gzip(b""), gzip(second)].concat();
    assert_eq!(read(&members, ContentEncoding::Gzip).unwrap(), content);
    // A frame to skip has a length and anything in it.
    let skipped = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frames = [&skipped[..], &zstd(first), &skipped, &zstd(second)].concat();
    assert_eq!(read(&frames, ContentEncoding::Zstd).unwrap(), content);
    assert!(read(&skipped[..10], ContentEncoding::Zstd).is_err());
}

#[test]
fn a_body_without_a_coding_is_refused() {
    for encoding in [ContentEncoding::Gzip, ContentEncoding::Zstd] {
        assert!(read(b"", encoding).is_err());
        assert!(read(b"\x10\x05\x50", encoding).is_err());
    }
    assert_eq!(read(b"", ContentEncoding::Identity).unwrap(), []);
}

#[test]
fn a_body_is_as_large_as_the_limit_and_no_larger() {
    for size in [BYTES_MAX - PREFIX_BYTES, BYTES_MAX - PREFIX_BYTES + 1] {
        let message = vec![7; size];
        for encoding in ContentEncoding::ALL {
            let result = read(&write(&message, encoding), encoding);
            if size + PREFIX_BYTES <= BYTES_MAX {
                assert_eq!(result.unwrap(), message);
            } else {
                assert!(matches!(result, Err(Error::BodyTooLarge { bytes_max: BYTES_MAX })), "{encoding:?}");
            }
        }
    }
    let members = [gzip(&vec![1; BYTES_MAX]), gzip(&[1])].concat();
    assert!(matches!(read(&members, ContentEncoding::Gzip), Err(Error::BodyTooLarge { .. })));
    let frames = [zstd(&vec![1; BYTES_MAX]), zstd(&[1])].concat();
    assert!(matches!(read(&frames, ContentEncoding::Zstd), Err(Error::BodyTooLarge { .. })));
}

#[test]
fn a_window_that_is_not_for_http_is_refused() {
    // Magic, no flags, window of 16 MiB; then an empty last block.
    let frame = |window: u8| [0x28, 0xB5, 0x2F, 0xFD, 0x00, window, 0x01, 0x00, 0x00];
    assert_eq!(read(&frame(13 << 3), ContentEncoding::Zstd).unwrap(), []);
    assert!(read(&frame(14 << 3), ContentEncoding::Zstd).is_err());
}
