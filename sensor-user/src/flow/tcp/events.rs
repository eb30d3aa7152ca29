//! What happened on a connection: counters and times that only events touch.

use super::{Repeat, Segment, flag, options::Sack};
use crate::{clock::Moment, flow::microseconds};
use kflow::{TcpDirection, record::handshake};

/// Retransmissions of one range from which on they count as repeated.
const REPEATED_MIN: u8 = 3;

/// Of one connection. What the handshake said outlives a span; counters do not.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Events {
    pub(super) sides: [SideEvents; 2],
    /// Of the latest SYN and SYN+ACK.
    syn_time: Moment,
    syn_ack_time: Moment,
    /// If the SYN was missed, who its SYN+ACK is for.
    syn_sender: u8,
    /// OR of [`kflow::record::handshake`].
    pub handshake: u8,
    pub client_network_us: Option<u32>,
    pub server_network_us: Option<u32>,
    pub total_network_us: Option<u32>,
}

/// What happened to what one side sent.
#[derive(Clone, Copy, Debug)]
pub struct SideEvents {
    pub(super) counts: Counts,
    retransmitted_bytes: u64,
    pub(super) capture_gap_bytes: u64,
    zero_window_since: Moment,
    zero_window_us: u32,
    /// Where the latest retransmission began, and how many in a row began there.
    repeated_sequence: u32,
    repeated_times: u8,
    /// The initial sequence number, or a guess at it.
    pub(super) initial: u32,
    pub(super) first_flags: u8,
    pub(super) mss: Option<u16>,
    pub(super) sack_permitted: bool,
    pub(super) sack: Sack,
}

/// Segments of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    retransmitted_packets: Count,
    fast_retransmits: Count,
    spurious_retransmits: Count,
    repeated_retransmits: Count,
    pub out_of_order_packets: Count,
    pub duplicate_acks: Count,
    pub lost_segments: Count,
    pub capture_gaps: Count,
    pub keep_alives: Count,
    pub zero_windows: Count,
}

/// Stays at the largest number it can hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(u32);

impl Count {
    pub fn add_one(&mut self) {
        self.0 = self.0.saturating_add(1);
    }
}

impl Events {
    pub const NEW: Events = Events {
        sides: [SideEvents::NEW; 2],
        syn_time: Moment(0),
        syn_ack_time: Moment(0),
        syn_sender: 0,
        handshake: 0,
        client_network_us: None,
        server_network_us: None,
        total_network_us: None,
    };

    /// The ports are used again: counters go on over all connections of the flow, the rest is the new one's.
    pub(super) fn begin_another(&mut self) {
        let sides = self.sides.map(|side| SideEvents {
            counts: side.counts,
            retransmitted_bytes: side.retransmitted_bytes,
            capture_gap_bytes: side.capture_gap_bytes,
            zero_window_us: side.zero_window_us,
            ..SideEvents::NEW
        });
        *self = Events { sides, ..Events::NEW };
    }

    /// Begins a new span of the same connection.
    pub fn restart_span(&mut self, now: Moment) {
        for side in &mut self.sides {
            side.counts = Counts::default();
            side.retransmitted_bytes = 0;
            side.capture_gap_bytes = 0;
            side.zero_window_us = 0;
            if side.zero_window_since != Moment(0) {
                side.zero_window_since = now;
            }
        }
    }

    pub(super) fn note_syn(&mut self, sender: usize, now: Moment) {
        self.handshake |= handshake::SYN;
        self.syn_sender = sender as u8;
        self.syn_time = now;
    }

    pub(super) fn has_syn(&self) -> bool {
        self.handshake & handshake::SYN != 0
    }

    pub(super) fn note_syn_ack(&mut self, sender: usize, now: Moment) {
        if !self.has_syn() {
            self.syn_sender = 1 - sender as u8;
        }
        let is_answer = self.has_syn() && usize::from(self.syn_sender) != sender;
        if is_answer && self.handshake & handshake::SYN_ACK == 0 {
            self.server_network_us = Some(microseconds(now.since(self.syn_time)));
        }
        self.handshake |= handshake::SYN_ACK;
        self.syn_ack_time = now;
    }

    /// The first ACK after a SYN, whoever sent it. Returns the time since then; nothing if the SYN was missed.
    pub(super) fn note_first_ack(&mut self, sender: usize, segment: &Segment<'_>) -> u64 {
        let is_client = usize::from(self.syn_sender) == sender && segment.flags & flag::RST == 0;
        if is_client && self.handshake & handshake::ACK == 0 {
            self.handshake |= handshake::ACK;
            if self.handshake & handshake::SYN_ACK != 0 {
                self.client_network_us = Some(microseconds(segment.time.since(self.syn_ack_time)));
            }
        }
        let elapsed_ns = if self.has_syn() { segment.time.since(self.syn_time) } else { 0 };
        if elapsed_ns > 0 {
            self.total_network_us = Some(microseconds(elapsed_ns));
        }
        elapsed_ns
    }

    /// For the record. `last` is the time of the span's last packet.
    pub fn direction(&self, sender: usize, last: Moment) -> TcpDirection {
        let side = &self.sides[sender];
        let Counts {
            retransmitted_packets,
            fast_retransmits,
            spurious_retransmits,
            repeated_retransmits,
            out_of_order_packets,
            duplicate_acks,
            lost_segments,
            capture_gaps,
            keep_alives,
            zero_windows,
        } = side.counts;
        TcpDirection {
            first_flags: side.first_flags,
            mss: side.mss,
            sack_permitted: side.sack_permitted,
            retransmitted_packets: retransmitted_packets.0,
            retransmitted_bytes: side.retransmitted_bytes,
            fast_retransmits: fast_retransmits.0,
            spurious_retransmits: spurious_retransmits.0,
            repeated_retransmits: repeated_retransmits.0,
            out_of_order_packets: out_of_order_packets.0,
            duplicate_acks: duplicate_acks.0,
            lost_segments: lost_segments.0,
            capture_gaps: capture_gaps.0,
            capture_gap_bytes: side.capture_gap_bytes,
            keep_alives: keep_alives.0,
            zero_windows: zero_windows.0,
            zero_window_us: side.zero_window_us_until(last),
            ..TcpDirection::default()
        }
    }
}

impl SideEvents {
    const NEW: SideEvents = SideEvents {
        counts: Counts {
            retransmitted_packets: Count(0),
            fast_retransmits: Count(0),
            spurious_retransmits: Count(0),
            repeated_retransmits: Count(0),
            out_of_order_packets: Count(0),
            duplicate_acks: Count(0),
            lost_segments: Count(0),
            capture_gaps: Count(0),
            keep_alives: Count(0),
            zero_windows: Count(0),
        },
        retransmitted_bytes: 0,
        capture_gap_bytes: 0,
        zero_window_since: Moment(0),
        zero_window_us: 0,
        repeated_sequence: 0,
        repeated_times: 0,
        initial: 0,
        first_flags: 0,
        mss: None,
        sack_permitted: false,
        sack: Sack::NONE,
    };

    pub(super) fn note_repeat(&mut self, segment: &Segment<'_>, repeat: Repeat) {
        self.counts.retransmitted_packets.add_one();
        self.retransmitted_bytes += u64::from(segment.payload_bytes);
        match repeat {
            Repeat::Timeout => {}
            Repeat::Fast => self.counts.fast_retransmits.add_one(),
            Repeat::Spurious => self.counts.spurious_retransmits.add_one(),
        }
        if self.repeated_times > 0 && self.repeated_sequence == segment.sequence {
            self.repeated_times = self.repeated_times.saturating_add(1);
            if self.repeated_times == REPEATED_MIN {
                self.counts.repeated_retransmits.add_one();
            }
            return;
        }
        self.repeated_sequence = segment.sequence;
        self.repeated_times = 1;
    }

    pub(super) fn begin_zero_window(&mut self, now: Moment) {
        self.zero_window_since = now;
    }

    pub(super) fn end_zero_window(&mut self, now: Moment) {
        self.zero_window_us = self.zero_window_us_until(now);
        self.zero_window_since = Moment(0);
    }

    /// With the window that is zero right now, if it is.
    fn zero_window_us_until(&self, now: Moment) -> u32 {
        if self.zero_window_since == Moment(0) {
            return self.zero_window_us;
        }
        self.zero_window_us.saturating_add(microseconds(now.since(self.zero_window_since)))
    }
}
