//! Any packets to a tiny reassembler: every fragment comes out under one flow, limits hold, and what is whole is no
//! fragment and of the flow that was told.
//!
//! Input: number of datagrams, number of blocks, one byte each; then steps of one byte each. Zero to three: a packet,
//! whose length, two bytes, and bytes follow; bit 0 says that it was padded, bit 1 that its last eight bytes were not
//! captured. Four: expiry. Others: that many seconds pass.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor_ebpf::hash::HashKey;
use sensor_user::{
    clock::Moment,
    packet::{
        self, Fragment, NotFlow,
        reassembly::{Piece, Reassembler, ReassemblyConfig, ReassemblyLevels, Unclaimed, Waiting},
    },
    source::{Frame, LinkType},
};
use std::time::Duration;

const BLOCK_MEMORY_BYTES: usize = 2080;
const EXPIRE: u8 = 4;

/// Packets, network bytes, frame bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums([u64; 3]);

impl Sums {
    fn add(&mut self, amounts: [u64; 3]) {
        for (sum, amount) in self.0.iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    fn add_waiting(&mut self, waiting: &Waiting) {
        assert!(waiting.packets > 0 && waiting.first <= waiting.last);
        self.add([u64::from(waiting.packets), waiting.network_bytes, waiting.frame_bytes]);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[datagrams, blocks], mut rest)) = input.split_first_chunk::<2>() else { return };
    let config = ReassemblyConfig {
        datagrams: 1 + usize::from(datagrams % 8),
        memory_bytes: usize::from(blocks % 64) * BLOCK_MEMORY_BYTES,
        timeout: Duration::from_secs(30),
    };
    let mut reassembler = Reassembler::new(config, HashKey { endpoint: 1, flow: 2 });
    let (mut went_in, mut came_out) = (Sums::default(), Sums::default());
    let mut now = Moment(1 << 60);
    while let Some((&step, behind)) = rest.split_first() {
        rest = behind;
        let mut unclaimed = |unclaimed: Unclaimed| came_out.add_waiting(&unclaimed.waiting);
        if step == EXPIRE {
            reassembler.expire(now, 2, &mut unclaimed);
            continue;
        }
        if step > EXPIRE {
            now = now.plus(Duration::from_secs(u64::from(step)));
            continue;
        }
        let Some((length, behind)) = rest.split_first_chunk::<2>() else { break };
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(u16::from_le_bytes(*length))));
        rest = behind;
        let wire_bytes = bytes.len() as u32 + u32::from(step & 1) * 6;
        let captured = if step & 2 == 0 { bytes } else { &bytes[..bytes.len().saturating_sub(8)] };
        let frame = Frame { bytes: captured, wire_bytes, time: now, link: LinkType::RAW, ..Frame::EMPTY };
        let Ok(packet) = packet::decode(&frame) else { continue };
        let Some(piece) = Piece::of(&frame, &packet) else { continue };
        let own = [1, u64::from(packet.network_bytes), u64::from(wire_bytes)];
        went_in.add(own);
        let added = reassembler.add(&piece, &mut unclaimed);
        if let Some(claimed) = &added.claimed {
            assert!(added.flow.is_some());
            came_out.add_waiting(claimed);
        }
        if added.flow.is_some() {
            came_out.add(own);
        }
        if let Some(whole) = added.whole {
            let (flow, _) = added.flow.expect("what is whole has its first fragment");
            let frame = Frame { bytes: whole, wire_bytes: whole.len() as u32, ..frame };
            match packet::decode(&frame) {
                Ok(decoded) => {
                    assert_eq!(decoded.fragment, Fragment::Whole);
                    // The headers of IPv6 may have been cut; a first fragment says what it says itself.
                    assert!(whole[0] >> 4 == 6 || packet.fragment == Fragment::First || decoded.key == flow);
                }
                Err(reason) => assert_eq!(reason, NotFlow::Ipv6ExtensionDepth),
            }
        }
        let (counts, levels) = (reassembler.counts(), reassembler.levels());
        assert!(levels.assembling + levels.spent <= config.datagrams);
        assert!(levels.memory_bytes <= config.memory_bytes);
        assert_eq!(counts.begun, counts.ended.iter().sum::<u64>() + levels.assembling as u64);
    }
    reassembler.flush(&mut |unclaimed| came_out.add_waiting(&unclaimed.waiting));
    assert_eq!(reassembler.levels(), ReassemblyLevels::default());
    assert_eq!(went_in, came_out);
});
