//! Any file is read to its end or to an error, and every frame in it decodes without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor_user::{
    clock::Moment,
    packet,
    source::{BURST_FRAMES_MAX, Received, Source, pcap::PcapSource},
};
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut source) = PcapSource::from_reader(Cursor::new(bytes.to_vec())) else { return };
    let mut frames_lent = 0;
    loop {
        let received = source.receive(Moment(0), |frames| {
            assert!((1..=BURST_FRAMES_MAX).contains(&frames.len()));
            frames_lent += frames.len() as u64;
            for frame in frames {
                let _ = packet::decode(frame);
            }
        });
        match received {
            Ok(Received::Frames(_)) => {}
            Ok(Received::Nothing) => panic!("files never wait"),
            Ok(Received::End) | Err(_) => break,
        }
    }
    assert_eq!(source.frames_offered(), frames_lent);
});
