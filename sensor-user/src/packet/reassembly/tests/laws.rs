//! What holds for any fragments in any order.

use super::{
    super::{
        Ending, ReassemblyLevels,
        blocks::{BLOCK_BYTES, BLOCK_MEMORY_BYTES},
    },
    *,
};
use proptest::prelude::*;

/// A fragment of one datagram: offset in units, payload length, whether more follow, and what fills it.
type Cut = (u16, u16, bool, u8);

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let units = prop_oneof![4 => 0u16..12, 1 => 250u16..262, 1 => 8180u16..8192];
    let bytes = prop_oneof![4 => (0u16..6).prop_map(|units| units * 8), 1 => 0u16..40, 1 => 2000u16..2100];
    proptest::collection::vec(
        (units, bytes, prop_oneof![3 => Just(true), 1 => Just(false)], any::<u8>()),
        1..40,
    )
}

/// The policy byte by byte: first wins, the end is where the first last fragment says.
#[derive(Default)]
struct Model {
    bytes: std::collections::BTreeMap<usize, u8>,
    end: Option<usize>,
    is_spent: bool,
}

impl Model {
    /// The payload, once it is whole.
    fn add(&mut self, (unit, bytes, more, fill): Cut) -> Option<Vec<u8>> {
        let start = usize::from(unit) * 8;
        let end = start + usize::from(bytes);
        let reached = self.bytes.keys().next_back().map_or(0, |last| last + 1);
        let is_taken = bytes > 0
            && (!more || bytes % 8 == 0)
            && end <= 65_535
            && self.end.is_none_or(|known| if more { end <= known } else { end == known })
            && (more || end >= reached);
        if self.is_spent || !is_taken {
            return None;
        }
        if !more {
            self.end = Some(end);
        }
        for byte in start..end {
            self.bytes.entry(byte).or_insert(fill);
        }
        self.is_spent = self.end == Some(self.bytes.len());
        self.is_spent.then(|| self.bytes.values().copied().collect())
    }
}

/// A step of a sequence that runs into every limit.
#[derive(Clone, Debug)]
enum Step {
    Add { is_v6: bool, identification: u16, cut: Cut, captured_bytes: usize },
    Pass { seconds: u64 },
    Back { seconds: u64 },
    Expire { datagrams_max: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cut = (0u16..5, prop_oneof![Just(8u16), Just(16), 0u16..30, Just(5000)], any::<bool>(), any::<u8>());
    let captured_bytes = prop_oneof![4 => Just(usize::MAX), 1 => 60usize..100];
    let add = (any::<bool>(), 0u16..8, cut, captured_bytes).prop_map(
        |(is_v6, identification, cut, captured_bytes)| Step::Add {
            is_v6,
            identification,
            cut,
            captured_bytes,
        },
    );
    proptest::collection::vec(
        prop_oneof![
            12 => add,
            1 => (0u64..20).prop_map(|seconds| Step::Pass { seconds }),
            1 => (0u64..20).prop_map(|seconds| Step::Back { seconds }),
            1 => (0usize..3).prop_map(|datagrams_max| Step::Expire { datagrams_max }),
        ],
        1..200,
    )
}

/// Packets, network bytes and frame bytes.
type Sums = [u64; 3];

fn sums_of(waiting: &Waiting) -> Sums {
    [u64::from(waiting.packets), waiting.network_bytes, waiting.frame_bytes]
}

fn plus(a: Sums, b: Sums) -> Sums {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn key_of(packet: &[u8]) -> FlowKey {
    packet::decode(&raw(packet)).expect("a whole packet").key
}

proptest! {
    #[test]
    fn any_order_with_duplicates_gives_the_packet_that_was_cut(
        is_v6 in any::<bool>(),
        bytes in 9usize..6000,
        fragment_units in 1usize..200,
        order in any::<proptest::sample::Index>(),
        extra in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10),
        seed in any::<u64>(),
    ) {
        let ip = if is_v6 { v6() } else { v4() };
        let packet = ip.packet(&udp(), &payload(bytes));
        let fragments = ip.fragments(&udp(), &payload(bytes), fragment_units * 8, 7);
        prop_assume!(fragments.len() > 1);
        let mut picks: Vec<usize> = (0..fragments.len()).collect();
        picks.extend(extra.iter().map(|index| index.index(fragments.len())));
        picks.rotate_left(order.index(fragments.len()));
        picks.sort_by_key(|pick| (*pick as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rig = Rig::new();
        let mut wholes = 0;
        for pick in picks {
            let outcome = rig.add(&fragments[pick]);
            if let Some((key, sender)) = outcome.flow {
                prop_assert_eq!((key, sender), flow_of(&packet));
            }
            if let Some(whole) = outcome.whole {
                wholes += 1;
                prop_assert_eq!(&whole, &packet.bytes);
            }
        }
        prop_assert!(wholes >= 1);
        prop_assert_eq!(rig.reassembler.counts().conflicting, 0);
    }

    #[test]
    fn overlapping_fragments_behave_like_a_map_of_bytes(is_v6 in any::<bool>(), cuts in cuts()) {
        let ip = if is_v6 { v6() } else { v4() };
        let (mut rig, mut model) = (Rig::new(), Model::default());
        for cut in cuts {
            let (unit, bytes, more, fill) = cut;
            if unit == 0 && (!more || model.is_spent) {
                // Not a fragment, or the start of another datagram.
                continue;
            }
            let packet = fragment(&ip, at(unit * 8, more), &vec![fill; usize::from(bytes)]);
            let whole = rig.add(&packet).whole;
            let header_bytes = if is_v6 { 40 } else { 20 };
            let expected = model.add(cut).filter(|payload| is_v6 || payload.len() <= 65_515);
            prop_assert_eq!(whole.map(|whole| whole[header_bytes..].to_vec()), expected);
        }
    }

    #[test]
    fn every_packet_is_resolved_claimed_unclaimed_or_waiting_and_every_limit_holds(
        datagrams in 1usize..5, blocks in 0usize..4, steps in steps(),
    ) {
        let memory_bytes = blocks * BLOCK_MEMORY_BYTES;
        let mut rig = Rig::with(datagrams, memory_bytes);
        let (mut went_in, mut resolved, mut claimed) = ([0; 3], [0; 3], [0; 3]);
        for step in steps {
            match step {
                Step::Add { is_v6, identification, cut: (unit, bytes, more, fill), captured_bytes } => {
                    if unit == 0 && !more {
                        continue;
                    }
                    let ip = if is_v6 { v6() } else { v4() };
                    let place = At { identification, offset: unit * 8, more };
                    let packet = fragment(&ip, place, &vec![fill; usize::from(bytes)]);
                    let frame = Ethernet::default().carry(&packet);
                    let before = rig.reassembler.counts();
                    let outcome = rig.add_frame(&frame, frame.len().min(captured_bytes.max(70)));
                    let own = [1, packet.bytes.len() as u64, frame.len() as u64];
                    went_in = plus(went_in, own);
                    if let Some((key, _)) = outcome.flow {
                        resolved = plus(resolved, own);
                        prop_assert_eq!(key.end(Side::Low).0.is_ipv6(), is_v6);
                    }
                    if let Some(waiting) = outcome.claimed {
                        prop_assert_eq!(unit, 0);
                        claimed = plus(claimed, sums_of(&waiting));
                    }
                    if let Some(whole) = outcome.whole {
                        // Later fragments are told the flow that the whole packet has.
                        prop_assert!(unit == 0 || outcome.flow.map(|(key, _)| key) == Some(key_of(&whole)));
                        prop_assert_eq!(packet::decode(&raw(&whole)).map(|packet| packet.fragment), Ok(packet::Fragment::Whole));
                    }
                    // The work: one datagram for its place, one for each block.
                    let after = rig.reassembler.counts();
                    let evictions = |ending| after.ended(ending) - before.ended(ending);
                    prop_assert!(evictions(Ending::EvictedDatagrams) + evictions(Ending::TimedOut) <= 1);
                    prop_assert!(evictions(Ending::EvictedMemory) <= 1 + u64::from(bytes).div_ceil(BLOCK_BYTES as u64));
                }
                Step::Pass { seconds } => rig.pass(Duration::from_secs(seconds)),
                Step::Back { seconds } => rig.now = Moment(rig.now.0 - seconds * 1_000_000_000),
                Step::Expire { datagrams_max } => {
                    rig.reassembler.expire(rig.now, datagrams_max, &mut |waited| rig.unclaimed.push(waited));
                }
            }
            let levels = rig.reassembler.levels();
            prop_assert!(levels.assembling + levels.spent <= datagrams);
            prop_assert!(levels.memory_bytes <= memory_bytes);
            let counts = rig.reassembler.counts();
            prop_assert_eq!(counts.begun, counts.ended.iter().sum::<u64>() + levels.assembling as u64);
        }
        rig.flush();
        prop_assert_eq!(rig.reassembler.levels(), ReassemblyLevels::default());
        let unclaimed = rig.unclaimed.iter().fold([0; 3], |sum, one| plus(sum, sums_of(&one.waiting)));
        prop_assert!(rig.unclaimed.iter().all(|one| one.key.end(Side::Low).1 == 0));
        prop_assert_eq!(went_in, plus(plus(resolved, claimed), unclaimed));
        let counts = rig.reassembler.counts();
        prop_assert_eq!([counts.fragments, counts.resolved], [went_in[0], resolved[0]]);
        prop_assert_eq!([counts.claimed, counts.unclaimed], [claimed[0], unclaimed[0]]);
    }
}
