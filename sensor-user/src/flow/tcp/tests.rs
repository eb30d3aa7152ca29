//! Small connections, each with one thing the matter, and laws that hold for any segments.

use super::{
    Connection, Events, Segment,
    flag::{ACK, FIN, RST, SYN},
};
use crate::clock::Moment;
use kflow::{TcpDirection, record::handshake};
use proptest::prelude::*;

const CLIENT: usize = 0;
const SERVER: usize = 1;
const MS: u64 = 1_000_000;
/// Initial sequence numbers; that of the server wraps after a few segments.
const INITIAL: [u32; 2] = [1000, u32::MAX - 250];

/// A connection that is spoken to in relative sequence numbers, as people read them.
struct Talk {
    connection: Connection,
    events: Events,
    now: u64,
    last_was_message: bool,
}

/// A segment as a test says it: who, relative sequence number, relative acknowledgement number, payload.
#[derive(Clone, Copy)]
struct Said<'a> {
    flags: u8,
    window: u16,
    options: &'a [u8],
}

const PLAIN: Said<'static> = Said { flags: ACK, window: 1000, options: &[] };

impl Talk {
    fn new() -> Talk {
        Talk {
            connection: Connection::NEW,
            events: Events::NEW,
            now: 1_000_000 * MS,
            last_was_message: false,
        }
    }

    /// SYN, 30 ms, SYN+ACK, 10 ms, ACK. Relative numbers go on at 1.
    fn established() -> Talk {
        let mut talk = Talk::new();
        talk.say(CLIENT, (0, 0), 0, Said { flags: SYN, ..PLAIN });
        talk.pause(30).say(SERVER, (0, 1), 0, Said { flags: SYN | ACK, ..PLAIN });
        talk.pause(10).say(CLIENT, (1, 1), 0, PLAIN);
        talk.pause(100);
        talk
    }

    fn pause(&mut self, milliseconds: u64) -> &mut Talk {
        self.now += milliseconds * MS;
        self
    }

    fn say(
        &mut self,
        who: usize,
        (sequence, ack): (u32, u32),
        payload_bytes: u32,
        said: Said<'_>,
    ) -> &mut Talk {
        let segment = Segment {
            sequence: INITIAL[who].wrapping_add(sequence),
            acknowledgement: if said.flags & ACK != 0 { INITIAL[1 - who].wrapping_add(ack) } else { 0 },
            window: said.window,
            flags: said.flags,
            payload_bytes,
            options: said.options,
            time: Moment(self.now),
        };
        self.last_was_message = self.connection.observe(who, &segment, &mut self.events);
        self
    }

    fn data(&mut self, who: usize, numbers: (u32, u32), payload_bytes: u32) -> &mut Talk {
        self.say(who, numbers, payload_bytes, PLAIN)
    }

    fn ack(&mut self, who: usize, numbers: (u32, u32)) -> &mut Talk {
        self.say(who, numbers, 0, PLAIN)
    }

    fn of(&self, who: usize) -> TcpDirection {
        let mut direction = self.events.direction(who, Moment(self.now));
        self.connection.round_trips[who].fill(&mut direction);
        direction
    }
}

/// What is left of a direction when round trips and what the handshake said are put aside.
fn troubles(direction: TcpDirection) -> TcpDirection {
    TcpDirection {
        first_flags: 0,
        rtt_min_us: None,
        rtt_mean_us: None,
        rtt_max_us: None,
        rtt_jitter_us: None,
        rtt_samples: 0,
        ..direction
    }
}

#[track_caller]
fn assert_trouble(talk: &Talk, who: usize, expected: TcpDirection) {
    assert_eq!(troubles(talk.of(who)), expected);
}

#[test]
fn connection_without_trouble_has_none() {
    let mut talk = Talk::established();
    talk.data(CLIENT, (1, 1), 100).pause(20).ack(SERVER, (1, 101));
    for n in 0..10 {
        talk.data(SERVER, (1 + n * 100, 101), 100).pause(1);
    }
    talk.pause(10).ack(CLIENT, (101, 1001));
    talk.say(CLIENT, (101, 1001), 0, Said { flags: FIN | ACK, ..PLAIN });
    talk.say(SERVER, (1001, 102), 0, Said { flags: FIN | ACK, ..PLAIN }).ack(CLIENT, (102, 1002));
    assert_trouble(&talk, CLIENT, TcpDirection::default());
    assert_trouble(&talk, SERVER, TcpDirection::default());
}

#[test]
fn handshake_tells_the_round_trips_on_both_sides() {
    let talk = Talk::established();
    let events = talk.events;
    assert_eq!(events.server_network_us, Some(30_000));
    assert_eq!(events.client_network_us, Some(10_000));
    assert_eq!(events.total_network_us, Some(40_000));
    assert_eq!(events.handshake, handshake::SYN | handshake::SYN_ACK | handshake::ACK);
}

#[test]
fn handshake_that_was_missed_tells_nothing() {
    let mut talk = Talk::new();
    talk.data(CLIENT, (1, 1), 100).pause(5).data(SERVER, (1, 101), 10);
    assert_eq!(talk.events.total_network_us, None);
    assert_eq!(talk.events.handshake, 0);
    assert_eq!(talk.connection.windows(CLIENT), (None, None));
}

#[test]
fn handshake_without_its_syn_tells_the_round_trip_to_the_client() {
    let mut talk = Talk::new();
    talk.say(SERVER, (0, 1), 0, Said { flags: SYN | ACK, ..PLAIN });
    talk.pause(10).ack(CLIENT, (1, 1));
    talk.pause(5).data(CLIENT, (1, 1), 100).pause(5).ack(SERVER, (1, 101));
    let events = talk.events;
    assert_eq!(events.client_network_us, Some(10_000));
    assert_eq!((events.server_network_us, events.total_network_us), (None, None));
    assert_eq!(events.handshake, handshake::SYN_ACK | handshake::ACK);
}

#[test]
fn repeated_syn_counts_from_the_latest() {
    let mut talk = Talk::new();
    let syn = Said { flags: SYN, ..PLAIN };
    talk.say(CLIENT, (0, 0), 0, syn).pause(1000).say(CLIENT, (0, 0), 0, syn);
    talk.pause(25).say(SERVER, (0, 1), 0, Said { flags: SYN | ACK, ..PLAIN });
    talk.pause(5).ack(CLIENT, (1, 1));
    assert_eq!(talk.events.server_network_us, Some(25_000));
    assert_eq!(talk.events.total_network_us, Some(30_000));
    assert_eq!(talk.of(CLIENT).retransmitted_packets, 1);
}

#[test]
fn segment_sent_again_after_a_timeout_is_retransmitted() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(300).data(SERVER, (1, 1), 100);
    assert!(!talk.last_was_message);
    let expected =
        TcpDirection { retransmitted_packets: 1, retransmitted_bytes: 100, ..TcpDirection::default() };
    assert_trouble(&talk, SERVER, expected);
}

#[test]
fn segment_sent_again_after_its_ack_is_spurious() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(1).ack(CLIENT, (1, 101)).pause(300).data(SERVER, (1, 1), 100);
    let expected = TcpDirection {
        retransmitted_packets: 1,
        retransmitted_bytes: 100,
        spurious_retransmits: 1,
        ..TcpDirection::default()
    };
    assert_trouble(&talk, SERVER, expected);
}

#[test]
fn segment_sent_again_after_duplicate_acks_is_fast() {
    let mut talk = Talk::established();
    for n in 0..5 {
        // The second one is lost behind the place of capture.
        talk.data(SERVER, (1 + n * 100, 1), 100);
    }
    talk.pause(50);
    for _ in 0..4 {
        talk.ack(CLIENT, (1, 101));
    }
    talk.pause(1).data(SERVER, (101, 1), 100);
    assert_trouble(&talk, CLIENT, TcpDirection { duplicate_acks: 3, ..TcpDirection::default() });
    let expected = TcpDirection {
        retransmitted_packets: 1,
        retransmitted_bytes: 100,
        fast_retransmits: 1,
        ..TcpDirection::default()
    };
    assert_trouble(&talk, SERVER, expected);
}

#[test]
fn range_sent_four_times_is_repeated_once() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100);
    for _ in 0..4 {
        talk.pause(300).data(SERVER, (1, 1), 100);
    }
    let direction = talk.of(SERVER);
    assert_eq!((direction.retransmitted_packets, direction.repeated_retransmits), (4, 1));
}

#[test]
fn segments_that_overtake_each_other_are_out_of_order() {
    let mut talk = Talk::established();
    talk.data(SERVER, (101, 1), 100).data(SERVER, (1, 1), 100).data(SERVER, (201, 1), 100);
    talk.pause(1).ack(CLIENT, (1, 301));
    let expected = TcpDirection { lost_segments: 1, out_of_order_packets: 1, ..TcpDirection::default() };
    assert_trouble(&talk, SERVER, expected);
}

#[test]
fn acknowledged_data_that_never_passed_is_a_capture_gap() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).data(SERVER, (301, 1), 100).pause(1).ack(CLIENT, (1, 401));
    talk.data(SERVER, (401, 1), 100).pause(1).ack(CLIENT, (1, 501));
    let expected =
        TcpDirection { lost_segments: 1, capture_gaps: 1, capture_gap_bytes: 200, ..TcpDirection::default() };
    assert_trouble(&talk, SERVER, expected);
}

#[test]
fn ack_beyond_everything_seen_is_a_capture_gap() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(1).ack(CLIENT, (1, 1101));
    talk.data(SERVER, (1101, 1), 100).pause(1).ack(CLIENT, (1, 1201));
    let direction = talk.of(SERVER);
    assert_eq!((direction.capture_gaps, direction.capture_gap_bytes), (1, 1000));
}

#[test]
fn hole_that_is_filled_later_is_no_capture_gap() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).data(SERVER, (201, 1), 100).pause(200).data(SERVER, (101, 1), 100);
    talk.pause(1).ack(CLIENT, (1, 301));
    let direction = talk.of(SERVER);
    assert_eq!((direction.lost_segments, direction.capture_gaps), (1, 0));
}

#[test]
fn keep_alive_and_its_ack_are_neither_retransmission_nor_duplicate() {
    let mut talk = Talk::established();
    talk.data(CLIENT, (1, 1), 100).pause(1).ack(SERVER, (1, 101));
    for _ in 0..3 {
        talk.pause(10_000).data(CLIENT, (100, 1), 1).pause(1).ack(SERVER, (1, 101));
        talk.pause(10_000).ack(CLIENT, (100, 1)).pause(1).ack(SERVER, (1, 101));
    }
    assert_trouble(&talk, CLIENT, TcpDirection { keep_alives: 6, ..TcpDirection::default() });
    assert_trouble(&talk, SERVER, TcpDirection::default());
}

#[test]
fn zero_window_is_counted_and_timed_and_probes_are_no_retransmissions() {
    let closed = Said { window: 0, ..PLAIN };
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(1).say(CLIENT, (1, 101), 0, closed);
    talk.pause(500).data(SERVER, (101, 1), 1).pause(1).say(CLIENT, (1, 101), 0, closed);
    talk.pause(499).ack(CLIENT, (1, 101)).pause(1).data(SERVER, (101, 1), 100);
    assert_trouble(
        &talk,
        CLIENT,
        TcpDirection { zero_windows: 2, zero_window_us: 1_000_000, ..TcpDirection::default() },
    );
    assert_trouble(&talk, SERVER, TcpDirection::default());
}

#[test]
fn byte_of_a_window_probe_that_found_room_is_no_capture_gap() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(1).say(CLIENT, (1, 101), 0, Said { window: 0, ..PLAIN });
    talk.pause(500).data(SERVER, (101, 1), 1).pause(1).ack(CLIENT, (1, 102));
    talk.data(SERVER, (102, 1), 100).pause(1).ack(CLIENT, (1, 202));
    assert_eq!((talk.of(SERVER).capture_gaps, talk.of(SERVER).capture_gap_bytes), (0, 0));
}

#[test]
fn window_scales_only_if_both_sides_offer_it() {
    let scale = |shift| [3, 3, shift, 0];
    let (seven, two) = (scale(7), scale(2));
    let mut talk = Talk::new();
    talk.say(CLIENT, (0, 0), 0, Said { flags: SYN, window: 64_000, options: &seven });
    talk.say(SERVER, (0, 1), 0, Said { flags: SYN | ACK, window: 64_000, options: &two });
    talk.say(CLIENT, (1, 1), 0, Said { window: 500, ..PLAIN }).say(
        CLIENT,
        (1, 1),
        10,
        Said { window: 300, ..PLAIN },
    );
    talk.say(SERVER, (1, 11), 0, Said { window: 500, ..PLAIN });
    assert_eq!(talk.connection.windows(CLIENT), (Some(300 << 7), Some(300 << 7)));
    assert_eq!(talk.connection.windows(SERVER), (Some(500 << 2), Some(500 << 2)));

    let mut talk = Talk::new();
    talk.say(CLIENT, (0, 0), 0, Said { flags: SYN, options: &seven, ..PLAIN });
    talk.say(SERVER, (0, 1), 0, Said { flags: SYN | ACK, ..PLAIN });
    talk.say(CLIENT, (1, 1), 0, Said { window: 500, ..PLAIN });
    assert_eq!(talk.connection.scale(CLIENT), Some(0));
    assert_eq!(talk.connection.windows(CLIENT), (Some(500), Some(500)));
}

#[test]
fn handshake_options_are_remembered() {
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
    let mut talk = Talk::new();
    talk.say(CLIENT, (0, 0), 0, Said { flags: SYN, options: &options, ..PLAIN });
    let direction = talk.of(CLIENT);
    assert_eq!((direction.mss, direction.sack_permitted, direction.first_flags), (Some(1460), true, SYN));
    // Not known before the other side's SYN was seen.
    assert_eq!(talk.connection.scale(CLIENT), None);
}

#[test]
fn acks_give_round_trips_but_not_of_retransmitted_data() {
    let mut talk = Talk::established();
    // Its first sample was the SYN+ACK's.
    talk.data(SERVER, (1, 1), 100).pause(20).ack(CLIENT, (1, 101));
    talk.data(SERVER, (101, 1), 100).pause(300).data(SERVER, (101, 1), 100).pause(1).ack(CLIENT, (1, 201));
    let direction = talk.of(SERVER);
    assert_eq!(direction.rtt_samples, 2);
    assert_eq!((direction.rtt_min_us, direction.rtt_max_us), (Some(10_000), Some(20_000)));
    assert_eq!((direction.rtt_mean_us, direction.rtt_jitter_us), (Some(15_000), Some(625)));
    assert_eq!(talk.of(CLIENT).rtt_samples, 1);
}

#[test]
fn syn_with_another_number_begins_another_connection() {
    let mut talk = Talk::established();
    talk.data(SERVER, (1, 1), 100).pause(300).data(SERVER, (1, 1), 100);
    let before = talk.of(SERVER);
    talk.say(CLIENT, (500_000, 0), 0, Said { flags: SYN, ..PLAIN });
    assert_eq!(talk.events.handshake, handshake::SYN);
    assert_eq!(talk.of(SERVER).retransmitted_packets, before.retransmitted_packets);
    assert_eq!(talk.of(CLIENT).retransmitted_packets, 0);
}

#[test]
fn refused_connection_is_timed_by_its_reset() {
    let mut talk = Talk::new();
    talk.say(CLIENT, (0, 0), 0, Said { flags: SYN, ..PLAIN });
    talk.pause(12).say(SERVER, (0, 1), 0, Said { flags: RST | ACK, window: 0, ..PLAIN });
    assert_eq!(talk.events.total_network_us, Some(12_000));
    assert_eq!(talk.events.handshake, handshake::SYN);
    assert_eq!(talk.of(SERVER).zero_windows, 0);
}

#[test]
fn simultaneous_open_is_a_handshake() {
    let mut talk = Talk::new();
    let (syn, syn_ack) = (Said { flags: SYN, ..PLAIN }, Said { flags: SYN | ACK, ..PLAIN });
    talk.say(CLIENT, (0, 0), 0, syn).pause(5).say(SERVER, (0, 0), 0, syn);
    talk.pause(20).say(CLIENT, (0, 1), 0, syn_ack).pause(5).say(SERVER, (0, 1), 0, syn_ack);
    talk.pause(20).data(CLIENT, (1, 1), 10);
    assert_eq!(
        talk.events.handshake & (handshake::SYN | handshake::SYN_ACK),
        handshake::SYN | handshake::SYN_ACK
    );
    assert!(talk.events.total_network_us.is_some());
}

proptest! {
    #[test]
    fn any_segments_add_up(
        segments in prop::collection::vec(
            (0usize..2, 0u32..2000, 0u32..2000, 0u32..300, any::<u8>(), 0u16..3, 0u64..400, options()),
            1..200,
        ),
    ) {
        let mut talk = Talk::new();
        let mut sent = [0u32; 2];
        for (who, sequence, ack, payload_bytes, flags, window, pause, options) in segments {
            talk.pause(pause);
            talk.say(who, (sequence, ack), payload_bytes, Said { flags, window, options: &options });
            sent[who] += 1;
        }
        for who in [CLIENT, SERVER] {
            let TcpDirection {
                retransmitted_packets, fast_retransmits, spurious_retransmits, repeated_retransmits,
                out_of_order_packets, duplicate_acks, lost_segments, keep_alives, zero_windows, rtt_min_us,
                rtt_mean_us, rtt_max_us, rtt_samples, ..
            } = talk.of(who);
            // A segment is one of these at most …
            prop_assert!(retransmitted_packets + out_of_order_packets + duplicate_acks + keep_alives <= sent[who]);
            prop_assert!(lost_segments <= sent[who] && zero_windows <= sent[who]);
            // … and these are kinds of retransmissions.
            prop_assert!(fast_retransmits + spurious_retransmits <= retransmitted_packets);
            prop_assert!(repeated_retransmits * 3 <= retransmitted_packets);
            prop_assert!(rtt_min_us <= rtt_mean_us && rtt_mean_us <= rtt_max_us);
            prop_assert_eq!(rtt_samples > 0, rtt_min_us.is_some());
        }
    }

    #[test]
    fn sequence_numbers_may_begin_anywhere(shift in any::<u32>(), script in script()) {
        let run = |shift: u32| {
            let (mut connection, mut events) = (Connection::NEW, Events::NEW);
            for (n, (who, sequence, ack, payload_bytes, flags)) in script.iter().enumerate() {
                // Never zero: an acknowledgement number of zero is one that is not there.
                let base = 10_000u32.wrapping_add(shift);
                let segment = Segment {
                    sequence: base.wrapping_add(*sequence),
                    acknowledgement: base.wrapping_add(*ack).max(1),
                    window: 100,
                    flags: *flags,
                    payload_bytes: *payload_bytes,
                    options: &[],
                    time: Moment(MS * 1000 + n as u64 * MS),
                };
                connection.observe(*who, &segment, &mut events);
            }
            [CLIENT, SERVER].map(|who| events.direction(who, Moment(MS * 10_000)))
        };
        // Where the base makes an acknowledgement number zero, another analysis is right.
        prop_assume!(script.iter().all(|(_, _, ack, ..)| 10_000u32.wrapping_add(shift).wrapping_add(*ack) > 1));
        prop_assert_eq!(run(shift), run(0));
    }
}

/// Who, sequence number, acknowledgement number, payload, flags.
fn script() -> impl Strategy<Value = Vec<(usize, u32, u32, u32, u8)>> {
    let flags = prop_oneof![8 => Just(ACK), 1 => Just(SYN), 1 => Just(SYN | ACK), 1 => Just(FIN | ACK), 1 => Just(RST)];
    prop::collection::vec((0usize..2, 0u32..1000, 0u32..1000, 0u32..200, flags), 1..60)
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![2, 4, 5, 0xb4, 3, 3, 7, 4, 2]),
        Just(vec![1, 1, 5, 10, 0, 0, 4, 0, 0, 0, 5, 0]),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}
