//! Capture files of messages, for those who read capture files.

use std::fs;
use std::path::Path;

/// Datagrams from one port to another, one a millisecond.
pub fn write_datagrams(path: &Path, messages: &[Vec<u8>], port: u16) {
    write(
        path,
        messages.iter().map(|message| {
            let header = [40_000, port, 8 + message.len() as u16, 0].into_iter().flat_map(u16::to_be_bytes);
            (17, header.chain(message.iter().copied()).collect())
        }),
    );
}

/// The segments of a connection that sends all messages, behind its handshake.
pub fn write_stream(path: &Path, messages: &[Vec<u8>], port: u16) {
    const SEGMENT_BYTES: usize = 1_448;
    const ACK: u16 = 0x10;
    let stream = messages.concat();
    let segment = |sequence: u32, payload: &[u8]| {
        let ports = [40_000, port].into_iter().flat_map(u16::to_be_bytes);
        let numbers = [sequence, 1].into_iter().flat_map(u32::to_be_bytes);
        let rest = [5 << 12 | ACK, 0xFFFF, 0, 0].into_iter().flat_map(u16::to_be_bytes);
        (6, ports.chain(numbers).chain(rest).chain(payload.iter().copied()).collect::<Vec<u8>>())
    };
    let chunks = stream.chunks(SEGMENT_BYTES).zip(0..);
    write(path, chunks.map(|(payload, index)| segment(1 + index * SEGMENT_BYTES as u32, payload)));
}

/// Packets of IPv4, each a protocol and what it carries.
fn write(path: &Path, packets: impl Iterator<Item = (u8, Vec<u8>)>) {
    const LINK_TYPE_RAW: u32 = 101;
    let mut file = Vec::new();
    // Magic number, version 2.4, no offset, no accuracy, bytes of a packet at most, link type.
    for word in [0xA1B2_C3D4, 2 << 16 | 4, 0, 0, 0x4_0000, LINK_TYPE_RAW] {
        file.extend_from_slice(&u32::to_be_bytes(word));
    }
    for ((protocol, carried), index) in packets.zip(0..) {
        let length = 20 + carried.len() as u32;
        for word in [1_795_000_000, 1_000 * index, length, length] {
            file.extend_from_slice(&u32::to_be_bytes(word));
        }
        let time_to_live_and_protocol = 64 << 24 | u32::from(protocol) << 16;
        for word in [0x4500_0000 | length, index << 16, time_to_live_and_protocol, 0x7F00_0001, 0x7F00_0001] {
            file.extend_from_slice(&u32::to_be_bytes(word));
        }
        file.extend_from_slice(&carried);
    }
    fs::write(path, file).unwrap();
}
