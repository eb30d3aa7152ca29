//! Fragments that no host would take, and those that captures cut.

use super::{
    super::{Ending, Refusal},
    *,
};

#[test]
fn teardrop_is_data_before_a_known_end() {
    // The second fragment lies within the first and is the last: its end is before data that came.
    let mut rig = Rig::new();
    rig.add(&fragment(&v4(), at(0, true), &[1; 40]));
    let outcome = rig.add(&fragment(&v4(), at(24, false), &[2; 4]));
    assert!(outcome.flow.is_some() && outcome.whole.is_none());
    // The other way round the first goes beyond the end.
    let mut reversed = Rig::new();
    reversed.add(&fragment(&v4(), at(24, false), &[2; 4]));
    let outcome = reversed.add(&fragment(&v4(), at(0, true), &[1; 40]));
    assert_eq!(outcome.claimed.map(|waiting| waiting.packets), Some(1));
    for rig in [rig, reversed] {
        assert_eq!(rig.reassembler.counts().refused(Refusal::BeyondEnd), 1);
    }
}

#[test]
fn ping_of_death_is_refused_and_told_its_flow() {
    let mut rig = Rig::new();
    let first = rig.add(&fragment(&v4(), at(0, true), &[1; 1480]));
    let outcome = rig.add(&fragment(&v4(), at(65528, false), &[1; 1000]));
    assert_eq!(outcome, first);
    assert_eq!(rig.reassembler.counts().refused(Refusal::BeyondMaximum), 1);
}

#[test]
fn a_datagram_whose_length_no_field_can_say_is_oversize() {
    let mut rig = Rig::new();
    let step = 1480;
    // 65 535 bytes of payload and 20 of header.
    for offset in (0..65_535).step_by(step) {
        let bytes = step.min(65_535 - offset);
        let more = offset + bytes < 65_535;
        let outcome = rig.add(&fragment(&v4(), at(offset as u16, more), &vec![3; bytes]));
        assert!(outcome.flow.is_some() && outcome.whole.is_none());
    }
    assert_eq!(rig.reassembler.counts().ended(Ending::Oversize), 1);
    assert_eq!(rig.reassembler.levels().memory_bytes, 0);
}

#[test]
fn malformed_fragments_are_counted_by_name_and_told_their_flow() {
    let head = fragment(&v4(), at(0, true), &payload(32));
    let cases: [(ip::Packet, Refusal); 6] = [
        (fragment(&v4(), at(32, true), &[]), Refusal::ZeroLength),
        (fragment(&v4(), at(32, true), &[0; 15]), Refusal::Misaligned),
        (fragment(&v4(), at(65_528, true), &[0; 16]), Refusal::BeyondMaximum),
        (fragment(&v4(), at(72, false), &[0; 8]), Refusal::BeyondEnd),
        (fragment(&v4(), at(40, false), &[0; 7]), Refusal::EndConflict),
        (fragment(&v4(), at(64, true), &[0; 8]), Refusal::BeyondEnd),
    ];
    for (packet, refusal) in cases {
        let mut rig = Rig::new();
        let flow = rig.add(&head).flow;
        rig.add(&fragment(&v4(), at(56, false), &[0; 7]));
        assert_eq!(rig.add(&packet), Outcome { flow, ..Outcome::default() }, "{refusal:?}");
        let counts = rig.reassembler.counts();
        assert_eq!(counts.refused(refusal), 1, "{refusal:?}");
        assert_eq!(counts.refused.iter().sum::<u64>(), 1, "{refusal:?}");
    }
}

#[test]
fn a_malformed_first_fragment_does_not_say_the_flow_of_others() {
    // Misaligned: hosts drop it, and take the next one.
    let mut rig = Rig::new();
    rig.add(&fragment(&v4(), at(32, false), &[0; 8]));
    let forged = rig.add(&fragment(&v4(), at(0, true), &[0x11; 31]));
    assert!(forged.flow.is_some() && forged.claimed.is_none());
    let genuine = rig.add(&fragment(&v4(), at(0, true), &payload(32)));
    assert_ne!(genuine.flow, forged.flow);
    assert_eq!(genuine.claimed.map(|waiting| waiting.packets), Some(1));
    assert_eq!(genuine.whole.map(|whole| whole[20..52].to_vec()), Some(payload(32)));
}

#[test]
fn a_payload_cut_by_the_capture_is_accounted_but_not_assembled() {
    let fragments = v4().fragments(&udp(), &payload(3000), 1480, 7);
    let flow = Some(flow_of(&v4().packet(&udp(), &payload(3000))));
    let mut rig = Rig::new();
    for fragment in &fragments {
        let bytes = Ethernet::default().carry(fragment);
        let outcome = rig.add_frame(&bytes, bytes.len().min(96));
        assert_eq!((outcome.flow, outcome.whole), (flow, None));
    }
    // The last one is shorter than that.
    assert_eq!(rig.reassembler.counts().refused(Refusal::CaptureCut), 2);
    // The same datagram again, captured whole.
    let outcomes = rig.add_all(&fragments[..2]);
    assert!(outcomes[1].whole.is_some());
}

#[test]
fn where_captures_cut_first_fragments_the_latest_one_tells_the_flow() {
    let mut rig = Rig::new();
    for port in [4000, 4001] {
        let fragments = v4().fragments(&udp_from(port), &payload(2000), 1480, 7);
        let flow = Some(flow_of(&v4().packet(&udp_from(port), &payload(2000))));
        for fragment in &fragments {
            let bytes = Ethernet::default().carry(fragment);
            assert_eq!(rig.add_frame(&bytes, 96).flow, flow);
        }
    }
    // The first one whose bytes are there settles it.
    let settled = rig.add(&v4().fragments(&udp_from(4002), &payload(2000), 1480, 7)[0]);
    let other = rig.add(&v4().fragments(&udp_from(4003), &payload(2000), 1480, 7)[0]);
    assert_ne!(settled.flow, other.flow);
    assert_eq!(rig.add(&fragment(&v4(), at(1480, true), &[0; 8])).flow, settled.flow);
}

#[test]
fn a_length_beyond_all_bounds_is_beyond_the_maximum() {
    // Segmentation offload left the lengths at zero, and the frame claims four gigabytes.
    for ip in [v4(), v6()] {
        let mut packet = fragment(&ip, at(8, true), &payload(64));
        let length_at = if ip == v4() { 2 } else { 4 };
        packet.bytes[length_at..length_at + 2].fill(0);
        let frame = Frame { wire_bytes: u32::MAX, ..raw(&packet.bytes) };
        let packet = packet::decode(&frame).expect("it was built");
        let piece = Piece::of(&frame, &packet).expect("it is a fragment");
        let refusal = piece.malformation().expect("no datagram is that long");
        assert!(matches!(refusal, Refusal::BeyondMaximum | Refusal::Misaligned));
    }
}

#[test]
fn a_first_fragment_without_ports_is_counted() {
    let mut rig = Rig::new();
    let outcome = rig.add(&fragment(&v4(), at(0, true), &[0x12, 0x34]));
    assert!(outcome.flow.is_some());
    // Of IPv6: the extension headers fill the first fragment.
    let mut bytes = fragment(&v6(), at(0, true), &[17, 1, 1, 12, 0, 0, 0, 0]);
    bytes.bytes[40] = ip::protocol::DESTINATION_OPTIONS;
    assert!(rig.add(&bytes).flow.is_some());
    assert_eq!(rig.reassembler.counts().first_without_ports, 2);
    assert_eq!(rig.reassembler.counts().refused(Refusal::Misaligned), 1);
}

#[test]
fn an_ipv6_fragment_within_fragments_is_never_given_out() {
    // What is cut is itself a fragment: a fragment header, then data.
    let inner = [&[17, 0, 0, 0x09, 0, 0, 0, 1][..], &[5; 24]].concat();
    let mut rig = Rig::new();
    for (offset, more) in [(0, true), (16, false)] {
        let mut packet = fragment(&v6(), at(offset, more), &inner[usize::from(offset)..][..16]);
        packet.bytes[40] = ip::protocol::FRAGMENT;
        assert_eq!(rig.add(&packet).whole, None);
    }
    assert_eq!(rig.reassembler.counts().ended(Ending::Nested), 1);
}

#[test]
fn more_header_than_there_is_room_for_is_refused() {
    let options = [&[1, 238][..], &[0; 238]].concat();
    let ip = v6_with(vec![Extension::DestinationOptions(options)]);
    let mut rig = Rig::new();
    let outcomes = rig.add_all(&ip.fragments(&udp(), &payload(100), 64, 7));
    assert!(outcomes.iter().all(|outcome| outcome.flow.is_some() && outcome.whole.is_none()));
    assert_eq!(rig.reassembler.counts().refused(Refusal::HeaderTooLong), 1);
}
