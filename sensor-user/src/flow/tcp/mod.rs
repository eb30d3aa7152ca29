//! TCP performance of one connection, segment by segment, from one place on its path.
//!
//! In: the segments of both sides in the order in which they passed. Out: counters and times for the record.
//! `TCP.md` of the sensor defines each number. Which segment counts as what follows the sequence analysis of
//! Wireshark 4.0, so that the numbers agree with what people see there; sequence numbers compare by RFC 1982.
//!
//! ```text
//! segment of a side ─► window probe? keep-alive? gap before it? duplicate ACK?   (against what it sent before)
//!                    ─► ACK: a round trip of the other side's data, or of data that nobody saw?
//!                    ─► does not advance: spurious, fast, out of order, retransmitted   (against both)
//!                    ─► handshake, windows, options
//! ```
//!
//! What every segment touches is in [`Connection`], two cache lines; what only events touch is in [`Events`].

mod events;
mod options;
mod round_trips;
#[cfg(test)]
mod tests;

pub use events::{Events, SideEvents};
pub use round_trips::RoundTrips;

use crate::clock::Moment;

pub mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const ACK: u8 = 0x10;
}

use flag::{ACK, FIN, RST, SYN};

/// A fast retransmission follows the latest ACK within this time.
const FAST_RETRANSMIT_NS: u64 = 20_000_000;
/// Until the round trip is known, a late segment within this time of the highest one was reordered.
const REORDERING_DEFAULT_NS: u64 = 3_000_000;
/// Duplicate ACKs before a retransmission counts as fast: one fewer than RFC 5681 wants, for one may have passed
/// elsewhere.
const FAST_RETRANSMIT_ACKS: u16 = 2;

/// One TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub sequence: u32,
    pub acknowledgement: u32,
    /// As in the header, not scaled.
    pub window: u16,
    pub flags: u8,
    /// On the wire, captured or not.
    pub payload_bytes: u32,
    /// As far as they were captured.
    pub options: &'a [u8],
    pub time: Moment,
}

/// What every segment of a connection touches, and most ACKs: three cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Connection {
    sides: [Side; 2],
    /// When either side last sent new payload.
    pub message_time: Moment,
    /// From the latest SYN to the first ACK after it; zero until then.
    round_trip_ns: u64,
    /// Of what each side sent.
    pub round_trips: [RoundTrips; 2],
}

const _: () = assert!(size_of::<Connection>() == 192);

/// What one side sent.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Side {
    /// When `next` last grew.
    next_time: Moment,
    /// When the side last sent anything.
    last_time: Moment,
    /// When the data was sent whose ACK will be a round-trip sample.
    probe_time: Moment,
    /// End of that data.
    probe_end: u32,
    /// The sequence number after the highest one that was sent.
    next: u32,
    /// Acknowledgement number of its latest segment.
    last_ack: u32,
    /// Everything before this was seen or is known to be missing. Not before `next`, unless there is a hole.
    contiguous: u32,
    /// With `HOLE`: where the data begins again behind what is missing at `contiguous`.
    hole_end: u32,
    /// Of its latest segment, not scaled.
    window: u16,
    /// With `WINDOW`: the latest window that counts for the receiver, and the smallest of the span. Those beside
    /// SYN, FIN and RST do not.
    announced: u16,
    announced_min: u16,
    duplicate_acks: u16,
    /// OR of the `mark`s.
    marks: u16,
    /// With `SCALE`: the shift that its SYN offered.
    scale: u8,
}

const _: () = assert!(size_of::<Side>() == 56);

mod mark {
    /// Something was sent: `next`, `last_ack`, `window` are there.
    pub const SEEN: u16 = 1 << 0;
    /// The initial sequence number is known or guessed at.
    pub const INITIAL: u16 = 1 << 1;
    pub const SYN_SEEN: u16 = 1 << 2;
    /// The SYN offered window scaling.
    pub const SCALE: u16 = 1 << 3;
    /// The latest segment was a keep-alive.
    pub const KEEP_ALIVE: u16 = 1 << 4;
    /// The latest segment probed a zero window.
    pub const WINDOW_PROBE: u16 = 1 << 5;
    /// Waiting for the ACK of `probe_end`.
    pub const PROBE: u16 = 1 << 6;
    pub const HOLE: u16 = 1 << 7;
    pub const WINDOW: u16 = 1 << 8;
    /// The announced window is zero.
    pub const ZERO_WINDOW: u16 = 1 << 9;
    /// This side's SYN waits for the first ACK after it; also a SYN that was missed, once it is answered.
    pub const SYN_WAITS: u16 = 1 << 10;
}

use mark::{
    HOLE, INITIAL, KEEP_ALIVE, PROBE, SCALE, SEEN, SYN_SEEN, SYN_WAITS, WINDOW, WINDOW_PROBE, ZERO_WINDOW,
};

/// What a segment is before its data is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Begins behind the highest number seen: something is missing before it.
    BehindGap,
    KeepAlive,
    WindowProbe,
    DuplicateAck,
}

/// How data is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Timeout,
    Fast,
    Spurious,
}

/// `a` is after `b` (RFC 1982).
#[inline(always)]
fn is_after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

/// Nanoseconds from `earlier` to `later`; very many if time ran backwards.
#[inline(always)]
fn elapsed_ns(earlier: Moment, later: Moment) -> u64 {
    later.0.wrapping_sub(earlier.0)
}

impl Segment<'_> {
    #[inline(always)]
    fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Takes sequence numbers: carries data, SYN or FIN.
    #[inline(always)]
    fn takes_sequence(&self) -> bool {
        self.payload_bytes > 0 || self.has(SYN | FIN)
    }

    #[inline(always)]
    fn payload_end(&self) -> u32 {
        self.sequence.wrapping_add(self.payload_bytes)
    }

    #[inline(always)]
    fn end(&self) -> u32 {
        self.payload_end().wrapping_add(u32::from(self.has(SYN | FIN)))
    }
}

impl Connection {
    pub const NEW: Connection = Connection {
        sides: [Side::SILENT; 2],
        message_time: Moment(0),
        round_trip_ns: 0,
        round_trips: [RoundTrips::NONE; 2],
    };

    /// Whether a SYN of this side with this number begins another connection than the one that was seen.
    pub fn is_another(&self, sender: usize, sequence: u32, events: &Events) -> bool {
        self.sides[sender].has(INITIAL) && events.sides[sender].initial != sequence
    }

    /// Takes a segment of side 0 or 1 into account. Whether it carries payload that was not there before.
    #[inline(always)]
    pub fn observe(&mut self, sender: usize, segment: &Segment<'_>, events: &mut Events) -> bool {
        if segment.flags & (SYN | ACK) == SYN && self.is_another(sender, segment.sequence, events) {
            // Samples, like counters, go on over all connections of the flow.
            *self = Connection { round_trips: self.round_trips, ..Connection::NEW };
            events.begin_another();
        }
        let round_trip_ns = self.round_trip_ns;
        let [first, second] = &mut self.sides;
        let (own, other) = if sender == 0 { (first, second) } else { (second, first) };
        if !own.has(INITIAL) || !other.has(INITIAL) {
            guess_initial(own, other, segment, &mut events.sides, sender);
        }

        let kind = own.kind(segment, other);
        if kind != Kind::Plain {
            own.note(kind, segment, &mut events.sides[sender]);
        }
        if segment.acknowledgement != own.last_ack {
            own.duplicate_acks = 0;
        }
        if segment.has(ACK) {
            other.note_ack(segment, &mut self.round_trips[1 - sender], &mut events.sides[1 - sender]);
        }
        let mut is_repeated = false;
        if segment.takes_sequence() && kind != Kind::KeepAlive && !own.is_new(segment, other) {
            is_repeated = own.note_late(segment, other, round_trip_ns, &mut events.sides, sender);
        }
        let is_message = own.advance(segment, kind, is_repeated) && segment.payload_bytes > 0;
        own.remember(segment, kind, &mut events.sides[sender]);

        let is_handshake = segment.has(SYN) || (own.marks | other.marks) & SYN_WAITS != 0;
        if is_handshake {
            self.note_handshake(sender, segment, events);
        }
        if options::has_more_than_time(segment.options) {
            self.note_options(sender, segment, events);
        }
        is_message
    }

    /// Sequence number of the first byte that a side sent, if its SYN was seen.
    pub fn stream_start(&self, sender: usize, events: &Events) -> Option<u32> {
        self.sides[sender].has(SYN_SEEN).then(|| events.sides[sender].initial.wrapping_add(1))
    }

    /// Whether a segment of this side was analysed.
    pub fn is_heard(&self, sender: usize) -> bool {
        self.sides[sender].has(SEEN)
    }

    /// The window that a side announced last and the smallest of the span, bytes; unknown while the scale is.
    pub fn windows(&self, sender: usize) -> (Option<u32>, Option<u32>) {
        let Some(scale) = self.scale(sender).filter(|_| self.sides[sender].has(WINDOW)) else {
            return (None, None);
        };
        let Side { announced, announced_min, .. } = self.sides[sender];
        (Some(u32::from(announced) << scale), Some(u32::from(announced_min) << scale))
    }

    /// The shift of a side's windows: what it offered counts only if both did (RFC 7323 §2.2).
    pub fn scale(&self, sender: usize) -> Option<u8> {
        let [own, other] = [sender, 1 - sender].map(|side| self.sides[side].marks);
        if own & other & SYN_SEEN == 0 {
            return None;
        }
        Some(if own & other & SCALE != 0 { self.sides[sender].scale } else { 0 })
    }

    /// Begins a new span of the same connection.
    pub fn restart_span(&mut self) {
        for side in &mut self.sides {
            side.announced_min = side.announced;
        }
        self.round_trips = [RoundTrips::NONE; 2];
    }

    #[inline(never)]
    fn note_handshake(&mut self, sender: usize, segment: &Segment<'_>, events: &mut Events) {
        let sides = &mut self.sides;
        if segment.has(SYN) {
            sides[sender].marks |= SYN_SEEN;
        }
        match segment.flags & (SYN | ACK) {
            SYN => {
                events.note_syn(sender, segment.time);
                if self.round_trip_ns == 0 {
                    sides[sender].marks |= SYN_WAITS;
                }
            }
            ACK => {
                self.round_trip_ns = events.note_first_ack(sender, segment);
                // A round trip in no time was none: the next ACK is looked at. Without the SYN there is none.
                if self.round_trip_ns > 0 || !events.has_syn() {
                    sides.iter_mut().for_each(|side| side.marks &= !SYN_WAITS);
                }
            }
            0 => {}
            _ => {
                events.note_syn_ack(sender, segment.time);
                if !events.has_syn() {
                    sides[1 - sender].marks |= SYN_WAITS;
                }
            }
        }
    }

    #[inline(never)]
    fn note_options(&mut self, sender: usize, segment: &Segment<'_>, events: &mut Events) {
        let side = &mut self.sides[sender];
        let events = &mut events.sides[sender];
        let found = options::read(segment.options);
        if let Some(sack) = found.sack {
            events.sack = sack;
        }
        if !segment.has(SYN) {
            return;
        }
        events.mss = found.mss;
        events.sack_permitted = found.sack_permitted;
        side.marks = side.marks & !SCALE | if found.window_scale.is_some() { SCALE } else { 0 };
        side.scale = found.window_scale.unwrap_or(0);
    }
}

impl Side {
    const SILENT: Side = Side {
        next_time: Moment(0),
        last_time: Moment(0),
        probe_time: Moment(0),
        probe_end: 0,
        next: 0,
        last_ack: 0,
        contiguous: 0,
        hole_end: 0,
        window: 0,
        announced: 0,
        announced_min: 0,
        duplicate_acks: 0,
        marks: 0,
        scale: 0,
    };

    #[inline(always)]
    fn has(&self, marks: u16) -> bool {
        self.marks & marks != 0
    }

    #[inline(always)]
    fn kind(&self, segment: &Segment<'_>, other: &Side) -> Kind {
        if !self.has(SEEN) {
            return Kind::Plain;
        }
        let is_plain = !segment.has(SYN | FIN | RST);
        if segment.sequence == self.next {
            let is_repeated = segment.acknowledgement == self.last_ack && segment.window == self.window;
            return match segment.payload_bytes {
                // An ACK that a keep-alive asked for is no duplicate.
                0 if is_repeated && is_plain && segment.window != 0 && !other.has(KEEP_ALIVE) => {
                    Kind::DuplicateAck
                }
                1 if other.has(SEEN) && other.window == 0 => Kind::WindowProbe,
                _ => Kind::Plain,
            };
        }
        if is_after(segment.sequence, self.next) {
            return if segment.has(RST) { Kind::Plain } else { Kind::BehindGap };
        }
        let is_one_before = segment.sequence == self.next.wrapping_sub(1);
        if segment.payload_bytes <= 1 && is_one_before && is_plain {
            return Kind::KeepAlive;
        }
        Kind::Plain
    }

    #[inline(never)]
    fn note(&mut self, kind: Kind, segment: &Segment<'_>, events: &mut SideEvents) {
        match kind {
            Kind::BehindGap => {
                events.counts.lost_segments.add_one();
                // One hole at a time is enough to tell that data is missing.
                if !self.has(HOLE) && is_after(segment.sequence, self.contiguous) {
                    self.marks |= HOLE;
                    self.hole_end = segment.sequence;
                }
            }
            Kind::KeepAlive => events.counts.keep_alives.add_one(),
            Kind::DuplicateAck => {
                self.duplicate_acks = self.duplicate_acks.saturating_add(1);
                events.counts.duplicate_acks.add_one();
            }
            Kind::Plain | Kind::WindowProbe => {}
        }
    }

    /// An ACK for what this side sent: a round trip, or news of data that did not pass here.
    #[inline(always)]
    fn note_ack(&mut self, segment: &Segment<'_>, round_trips: &mut RoundTrips, events: &mut SideEvents) {
        let ack = segment.acknowledgement;
        if self.has(PROBE) && !is_after(self.probe_end, ack) {
            self.marks &= !PROBE;
            round_trips.add(segment.time.since(self.probe_time));
        }
        if self.has(SEEN) && is_after(ack, self.contiguous) {
            self.note_capture_gap(ack, events);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_capture_gap(&mut self, ack: u32, events: &mut SideEvents) {
        let is_hole_over = self.has(HOLE) && !is_after(self.hole_end, ack);
        let missing_end = if is_hole_over { self.hole_end } else { ack };
        events.counts.capture_gaps.add_one();
        events.capture_gap_bytes += u64::from(missing_end.wrapping_sub(self.contiguous));
        self.duplicate_acks = 0;
        if self.has(HOLE) && !is_hole_over {
            // The rest of the hole may still come.
            self.contiguous = ack;
            return;
        }
        self.marks &= !HOLE;
        self.contiguous = if is_after(self.next, ack) { self.next } else { ack };
    }

    /// Goes on where the side stopped, or farther on.
    #[inline(always)]
    fn is_new(&self, segment: &Segment<'_>, other: &Side) -> bool {
        let is_advancing = !self.has(SEEN) || !is_after(self.next, segment.sequence);
        is_advancing && !(segment.payload_bytes > 0 && other.has_acknowledged(segment))
    }

    /// Whether the payload of the other side's segment was all acknowledged before.
    #[inline(always)]
    fn has_acknowledged(&self, segment: &Segment<'_>) -> bool {
        self.last_ack != 0 && !is_after(segment.payload_end(), self.last_ack)
    }

    /// Says what a segment is that does not go on where the side stopped; whether it was sent before.
    #[inline(never)]
    fn note_late(
        &self,
        segment: &Segment<'_>,
        other: &Side,
        round_trip_ns: u64,
        events: &mut [SideEvents; 2],
        sender: usize,
    ) -> bool {
        if segment.payload_bytes > 0 && other.has_acknowledged(segment) {
            events[sender].note_repeat(segment, Repeat::Spurious);
            return true;
        }
        // The byte before it was that of a window probe or a keep-alive.
        if segment.payload_bytes > 1 && segment.sequence == self.next.wrapping_sub(1) {
            return false;
        }
        let is_fast = other.duplicate_acks >= FAST_RETRANSMIT_ACKS
            && elapsed_ns(other.last_time, segment.time) < FAST_RETRANSMIT_NS
            && (other.last_ack == segment.sequence
                || events[1 - sender].sack.lacks(segment.sequence, segment.payload_end()));
        if is_fast {
            events[sender].note_repeat(segment, Repeat::Fast);
            return true;
        }
        let reordering_ns = if round_trip_ns == 0 { REORDERING_DEFAULT_NS } else { round_trip_ns };
        if elapsed_ns(self.next_time, segment.time) < reordering_ns && self.next != segment.end() {
            events[sender].counts.out_of_order_packets.add_one();
            return false;
        }
        events[sender].note_repeat(segment, Repeat::Timeout);
        true
    }

    /// Moves on to the end of a segment; whether that is farther than before.
    #[inline(always)]
    fn advance(&mut self, segment: &Segment<'_>, kind: Kind, is_repeated: bool) -> bool {
        if !self.has(SEEN) {
            self.contiguous = segment.sequence;
            self.next = segment.sequence;
            self.next_time = segment.time;
        }
        let end = segment.end();
        if is_after(end, self.contiguous) && !is_after(segment.sequence, self.contiguous) {
            self.fill(end);
        }
        // Its byte was seen, but is sent again unless the other side had room for it.
        if kind == Kind::WindowProbe {
            return false;
        }
        let is_farther = is_after(end, self.next);
        if is_farther {
            self.next = end;
            self.next_time = segment.time;
        }
        if is_repeated {
            // Nobody can tell which of the two an ACK will be for (Karn's rule).
            self.marks &= !PROBE;
        } else if is_farther && !self.has(PROBE | HOLE) && segment.takes_sequence() {
            self.marks |= PROBE;
            self.probe_end = end;
            self.probe_time = segment.time;
        }
        is_farther
    }

    /// Moves `contiguous` on over data that follows it directly.
    #[inline(always)]
    fn fill(&mut self, end: u32) {
        self.contiguous = end;
        if self.has(HOLE) && !is_after(self.hole_end, end) {
            self.marks &= !HOLE;
            self.contiguous = if is_after(self.next, end) { self.next } else { end };
        }
    }

    #[inline(always)]
    fn remember(&mut self, segment: &Segment<'_>, kind: Kind, events: &mut SideEvents) {
        self.window = segment.window;
        self.last_ack = segment.acknowledgement;
        self.last_time = segment.time;
        let latest = match kind {
            Kind::KeepAlive => KEEP_ALIVE,
            Kind::WindowProbe => WINDOW_PROBE,
            _ => 0,
        };
        self.marks = self.marks & !(KEEP_ALIVE | WINDOW_PROBE) | latest | SEEN;
        if segment.has(SYN | FIN | RST) {
            return;
        }
        if segment.window == 0 || self.has(ZERO_WINDOW) {
            self.note_zero_window(segment, kind, events);
        }
        let least = if self.has(WINDOW) { self.announced_min } else { segment.window };
        self.announced_min = least.min(segment.window);
        self.announced = segment.window;
        self.marks |= WINDOW;
    }

    #[cold]
    #[inline(never)]
    fn note_zero_window(&mut self, segment: &Segment<'_>, kind: Kind, events: &mut SideEvents) {
        if segment.window > 0 {
            self.marks &= !ZERO_WINDOW;
            return events.end_zero_window(segment.time);
        }
        // Who probes the other side's window does not speak of its own.
        if kind != Kind::WindowProbe {
            events.counts.zero_windows.add_one();
        }
        if !self.has(ZERO_WINDOW) {
            self.marks |= ZERO_WINDOW;
            events.begin_zero_window(segment.time);
        }
    }
}

/// The first segment of a side tells where its numbers begin, or nearly; an ACK tells it of the other side.
#[inline(never)]
fn guess_initial(
    own: &mut Side,
    other: &mut Side,
    segment: &Segment<'_>,
    events: &mut [SideEvents; 2],
    sender: usize,
) {
    if !own.has(INITIAL) {
        own.marks |= INITIAL;
        events[sender].initial = segment.sequence.wrapping_sub(u32::from(!segment.has(SYN)));
        events[sender].first_flags = segment.flags;
    }
    if !other.has(INITIAL) && segment.has(ACK) {
        other.marks |= INITIAL;
        events[1 - sender].initial = segment.acknowledgement.wrapping_sub(1);
    }
}
