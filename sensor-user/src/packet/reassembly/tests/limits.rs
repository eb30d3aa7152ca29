//! Time, places and memory run out.

use super::{
    super::{
        Ending, ReassemblyLevels,
        blocks::{BLOCK_BYTES, BLOCK_MEMORY_BYTES},
    },
    *,
};

fn head(identification: u16) -> ip::Packet {
    fragment(&v4(), At { identification, offset: 0, more: true }, &payload(16))
}

fn tail(identification: u16) -> ip::Packet {
    fragment(&v4(), At { identification, offset: 16, more: false }, &payload(16))
}

#[test]
fn a_datagram_times_out_from_its_first_fragment_on() {
    let mut rig = Rig::new();
    rig.add(&head(1));
    rig.pass(TIMEOUT - Duration::from_nanos(1));
    rig.expire();
    rig.add(&head(1));
    assert_eq!(rig.reassembler.levels().assembling, 1);
    rig.pass(Duration::from_nanos(1));
    rig.expire();
    assert_eq!(rig.reassembler.levels(), ReassemblyLevels::default());
    assert_eq!(rig.reassembler.counts().ended(Ending::TimedOut), 1);
}

#[test]
fn a_fragment_that_comes_too_late_finds_nothing_even_if_nobody_looked() {
    let mut rig = Rig::new();
    rig.add(&tail(1));
    rig.pass(TIMEOUT);
    let outcome = rig.add(&head(1));
    assert_eq!((outcome.claimed, outcome.whole), (None, None));
    assert_eq!(rig.unclaimed.len(), 1);
    assert_eq!(rig.reassembler.counts().ended(Ending::TimedOut), 1);
}

#[test]
fn a_whole_datagram_tells_its_flow_until_the_timeout() {
    let mut rig = Rig::new();
    rig.add(&head(1));
    assert!(rig.add(&tail(1)).whole.is_some());
    rig.pass(TIMEOUT - Duration::from_nanos(1));
    assert!(rig.add(&tail(1)).flow.is_some());
    rig.pass(Duration::from_nanos(1));
    assert!(rig.add(&tail(1)).flow.is_none());
}

#[test]
fn time_that_runs_backwards_makes_nothing_younger() {
    let mut rig = Rig::new();
    rig.pass(TIMEOUT);
    rig.add(&head(1));
    rig.now = Moment(rig.now.0 - 20_000_000_000);
    rig.add(&head(2));
    rig.now = Moment(rig.now.0 + 20_000_000_000 + 30_000_000_000);
    rig.expire();
    assert_eq!(rig.reassembler.counts().ended(Ending::TimedOut), 2);
}

#[test]
fn expiry_looks_at_no_more_datagrams_than_it_may() {
    let mut rig = Rig::new();
    for identification in 0..10 {
        rig.add(&tail(identification));
    }
    rig.pass(TIMEOUT);
    rig.reassembler.expire(rig.now, 3, &mut |waited| rig.unclaimed.push(waited));
    assert_eq!((rig.unclaimed.len(), rig.reassembler.levels().assembling), (3, 7));
}

#[test]
fn what_waited_in_vain_goes_to_the_flow_without_ports() {
    for ip in [v4(), v6()] {
        let mut rig = Rig::new();
        let later = fragment(&ip, at(16, true), &payload(16));
        rig.add(&later);
        rig.add(&later);
        rig.flush();
        let [unclaimed] = rig.unclaimed[..] else { panic!("{:?}", rig.unclaimed) };
        assert_eq!((unclaimed.key, unclaimed.sender), flow_of(&later));
        assert_eq!((unclaimed.key.protocol(), unclaimed.waiting.packets), (17, 2));
        assert_eq!(rig.reassembler.counts().ended(Ending::Flushed), 1);
    }
}

#[test]
fn without_a_place_the_oldest_spent_datagram_goes_first_then_the_oldest() {
    let mut rig = Rig::with(3, 1 << 20);
    rig.add(&tail(1));
    rig.add(&head(2));
    rig.add(&tail(2));
    rig.add(&tail(3));
    rig.add(&tail(4));
    // The place of the whole one was taken, which is no eviction.
    assert_eq!(rig.reassembler.counts().ended(Ending::EvictedDatagrams), 0);
    assert!(rig.unclaimed.is_empty());
    rig.add(&tail(5));
    assert_eq!(rig.reassembler.counts().ended(Ending::EvictedDatagrams), 1);
    assert_eq!(rig.unclaimed.len(), 1);
    assert!(rig.add(&head(3)).whole.is_some());
    assert!(rig.add(&head(1)).whole.is_none());
}

#[test]
fn without_memory_the_one_that_held_it_longest_gives_it_up_but_tells_its_flow() {
    let mut rig = Rig::with(16, 2 * BLOCK_MEMORY_BYTES);
    rig.add(&head(1));
    rig.add(&tail(2));
    rig.add(&head(3));
    let counts = rig.reassembler.counts();
    assert_eq!((counts.ended(Ending::EvictedMemory), counts.ended(Ending::EvictedDatagrams)), (1, 0));
    assert_eq!(rig.reassembler.levels().memory_bytes, 2 * BLOCK_MEMORY_BYTES);
    let late = rig.add(&tail(1));
    assert!(late.flow.is_some() && late.whole.is_none());
    assert_eq!(rig.reassembler.counts().late, 1);
    // The second is pushed out while it waits: its first fragment claims it all the same.
    rig.add(&head(4));
    let first = rig.add(&head(2));
    assert_eq!(first.claimed.map(|waiting| waiting.packets), Some(1));
    assert!(rig.unclaimed.is_empty());
}

#[test]
fn a_datagram_larger_than_the_memory_is_given_up_and_told_its_flow() {
    let mut rig = Rig::with(16, 2 * BLOCK_MEMORY_BYTES);
    let outcomes = rig.add_all(&v4().fragments(&udp(), &payload(3 * BLOCK_BYTES), 1024, 7));
    assert!(outcomes.iter().all(|outcome| outcome.flow.is_some() && outcome.whole.is_none()));
    assert_eq!(rig.reassembler.counts().ended(Ending::EvictedMemory), 1);
    assert_eq!(rig.reassembler.levels().memory_bytes, 0);
}

#[test]
fn without_any_memory_flows_are_still_told() {
    let mut rig = Rig::with(16, 0);
    let mut fragments = v4().fragments(&udp(), &payload(3000), 1480, 7);
    fragments.swap(0, 1);
    let outcomes = rig.add_all(&fragments);
    assert_eq!(outcomes[0].flow, None);
    assert_eq!(outcomes[1].claimed.map(|waiting| waiting.packets), Some(1));
    assert!(outcomes[2].flow.is_some());
}

#[test]
fn one_fragment_may_take_the_memory_of_all_others() {
    let mut rig = Rig::with(64, 32 * BLOCK_MEMORY_BYTES);
    for identification in 100..132 {
        rig.add(&head(identification));
    }
    let big = fragment(&v4(), at(0, true), &payload(65_512));
    assert!(rig.add(&big).flow.is_some());
    assert_eq!(rig.reassembler.counts().ended(Ending::EvictedMemory), 32);
    assert_eq!(rig.reassembler.levels().memory_bytes, 32 * BLOCK_MEMORY_BYTES);
}

#[test]
fn hashes_that_are_alike_push_out_their_own_oldest() {
    let mut rig = Rig::with(32, 1 << 20);
    let chain = |packet: &ip::Packet| {
        let frame = raw(&packet.bytes);
        let packet = packet::decode(&frame).expect("it was built");
        Piece::of(&frame, &packet).expect("it is a fragment").id.hash(KEY) % 32
    };
    let alike: Vec<u16> = (0..=u16::MAX).filter(|id| chain(&tail(*id)) == 0).take(17).collect();
    for identification in &alike {
        rig.add(&tail(*identification));
    }
    assert_eq!(rig.reassembler.counts().ended(Ending::EvictedCrowded), 1);
    assert_eq!(rig.reassembler.levels().assembling, 16);
    assert!(rig.add(&head(alike[1])).whole.is_some());
    assert!(rig.add(&head(alike[0])).whole.is_none());
}

#[test]
fn a_prediction_covers_what_the_parts_take() {
    let config = ReassemblyConfig { datagrams: 1000, memory_bytes: 1 << 20, timeout: TIMEOUT };
    let predicted = Reassembler::predicted_bytes(config);
    assert!((1 << 20..3 << 20).contains(&predicted), "{predicted}");
    let mut reassembler = Reassembler::new(config, KEY);
    reassembler.touch();
    assert_eq!(reassembler.levels(), ReassemblyLevels::default());
}
