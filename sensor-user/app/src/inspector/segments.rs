//! Segments of a connection on their way to its parser: put in order, kept while something is missing, given up when it
//! will not come.

use super::{
    Flow, Payload,
    engine::{Engine, Offer},
};
use crate::{
    parser::Failure,
    pool::BUFFER_BYTES,
    stream::{Keeping, Kept, Progress, Side},
};

impl Engine {
    /// What the sender has of the other side, and the capture has not, will not come again.
    pub(super) fn heed_acknowledgement(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>) {
        let Some(acknowledged) = payload.acknowledged else { return };
        let other = payload.sender.other();
        if Kept::is_idle(&flow.sides[other.index()]) {
            return;
        }
        let of_other = Payload {
            sender: other,
            sender_port: payload.receiver_port,
            receiver_port: payload.sender_port,
            bytes: &[],
            ..*payload
        };
        while !flow.is_done {
            let side = &flow.sides[other.index()];
            let Some(hole_end) = kept.hole_end(side) else { return };
            let known = i64::from(acknowledged.wrapping_sub(side.next) as i32);
            if known < hole_end as i64 {
                return;
            }
            self.lose(flow, kept, &of_other, hole_end as u64);
            self.drive_kept(flow, kept, &of_other);
        }
    }

    pub(super) fn segment(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>) {
        let sender = payload.sender.index();
        let has_parser = flow.parser.is_some();
        let side = &mut flow.sides[sender];
        if side.progress == Progress::Done {
            // Another protocol may yet follow.
            return side.pass(payload);
        }
        let is_another =
            side.progress != Progress::New && payload.start.is_some() && side.start != payload.start;
        if is_another {
            // The ports are used again: another connection of the same flow.
            self.restart(flow, kept, payload.time_ns);
        }
        let side = &mut flow.sides[sender];
        if side.progress == Progress::New {
            side.start = payload.start;
            side.next = payload.start.unwrap_or(payload.sequence);
            let is_late = payload.start.is_none() && has_parser && !is_another;
            side.progress = if is_late { Progress::Lost } else { Progress::Aligned };
        }
        if flow.parser.is_none() && payload.start.is_none() && payload.wire_bytes == 1 {
            // A byte of any value, of which nobody knows what comes before, keeps the connection alive (RFC 1122
            // §4.2.3.6).
            side.next = payload.sequence.wrapping_add(1);
            return;
        }
        let Some((mut at, mut bytes)) = side.place(payload) else { return };
        let uncaptured = u64::from(payload.wire_bytes).saturating_sub(payload.bytes.len() as u64);
        loop {
            let side = &mut flow.sides[sender];
            if at == 0 && kept.contiguous(side).is_empty() && kept.hole_end(side).is_none() {
                let offer = Offer { payload, bytes, start_ns: payload.time_ns };
                let driven = self.drive(flow, &offer);
                let side = &mut flow.sides[sender];
                let taken = driven.taken.min(bytes.len() as u64) as usize;
                side.next = side.next.wrapping_add(taken as u32);
                side.skip = driven.taken - taken as u64;
                side.need = driven.need;
                if flow.is_done || taken == bytes.len() {
                    break;
                }
                let rest = &bytes[taken..];
                side.start_ns = payload.time_ns;
                if kept.keep(side, 0, rest) != Keeping::Kept {
                    self.counts.shed_buffers += 1;
                    self.lose(flow, kept, payload, rest.len() as u64);
                }
                break;
            }
            // What fits goes in, so that a parser sees a full buffer before it is given up.
            let room = if at <= kept.contiguous(side).len() { BUFFER_BYTES - at } else { bytes.len() };
            let (now, later) = bytes.split_at(bytes.len().min(room));
            if kept.contiguous(side).is_empty() {
                side.start_ns = payload.time_ns;
            }
            match kept.keep(side, at, now) {
                Keeping::Kept => {}
                Keeping::NoRoom => {
                    self.counts.shed_buffers += 1;
                    self.lose(flow, kept, payload, (at + bytes.len()) as u64);
                    break;
                }
                Keeping::TooFar => {
                    let Some(hole_end) = kept.hole_end(side) else {
                        // Nothing waits: this segment is where it goes on.
                        self.lose(flow, kept, payload, at as u64);
                        if flow.is_done {
                            break;
                        }
                        at = 0;
                        continue;
                    };
                    self.lose(flow, kept, payload, hole_end as u64);
                    self.drive_kept(flow, kept, payload);
                    let Some(placed) = flow.sides[sender].place(payload) else { break };
                    if flow.is_done {
                        break;
                    }
                    (at, bytes) = placed;
                    continue;
                }
            }
            self.drive_kept(flow, kept, payload);
            if later.is_empty() || flow.is_done {
                break;
            }
            let Some(placed) = flow.sides[sender].place(payload) else { break };
            (at, bytes) = placed;
        }
        if uncaptured > 0 && !flow.is_done && flow.sides[sender].progress != Progress::Done {
            self.pass_uncaptured(flow, kept, payload);
        }
    }

    /// What the capture cut off a segment is missing, unless nobody wants to see it.
    fn pass_uncaptured(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>) {
        let sender = payload.sender.index();
        let side = &mut flow.sides[sender];
        let end = payload.sequence.wrapping_add(payload.wire_bytes);
        let missing = end.wrapping_sub(side.next);
        if missing as i32 <= 0 || kept.hole_end(side).is_some() {
            return;
        }
        let skipped = side.skip.min(u64::from(missing));
        side.skip -= skipped;
        side.next = side.next.wrapping_add(skipped as u32);
        let missing = u64::from(missing) - skipped;
        if missing > 0 {
            self.lose(flow, kept, payload, missing);
        }
    }

    /// Bytes from the next one on will not come. What is kept behind them stays.
    pub(super) fn lose(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>, bytes: u64) {
        let sender = payload.sender;
        let side = &mut flow.sides[sender.index()];
        let rest = kept.contiguous(side);
        if let Some(parser) = flow.parser
            && side.progress == Progress::Aligned
            && !rest.is_empty()
        {
            let input = Offer { payload, bytes: rest, start_ns: side.start_ns }.input();
            self.with_state(flow, parser, |state, output| state.salvage(&input, output));
        }
        let side = &mut flow.sides[sender.index()];
        kept.advance(side, bytes);
        // Nothing is kept of bytes that were never there.
        side.next = side.next.wrapping_add(side.skip as u32);
        side.skip = 0;
        side.need = 0;
        side.progress = Progress::Lost;
        let Some(parser) = flow.parser else { return };
        let can_resume = self.with_state(flow, parser, |state, output| state.resume(sender, output));
        if !can_resume {
            self.note_failure(flow, Failure::Gap);
            self.settle(flow);
        }
    }

    /// Offers what is kept of a side, as long as it gets anywhere.
    pub(super) fn drive_kept(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>) {
        let sender = payload.sender.index();
        loop {
            let side = &flow.sides[sender];
            let bytes = kept.contiguous(side);
            if bytes.is_empty() || bytes.len() < side.need || flow.is_done || side.progress == Progress::Done
            {
                break;
            }
            let driven = self.drive(flow, &Offer { payload, bytes, start_ns: side.start_ns });
            let side = &mut flow.sides[sender];
            side.need = driven.need;
            if driven.taken == 0 {
                break;
            }
            side.start_ns = payload.time_ns;
            kept.advance(side, driven.taken);
        }
        if flow.is_done || flow.sides[sender].progress == Progress::Done {
            kept.release(&mut flow.sides[sender]);
        }
    }
}

impl Flow {
    /// Takes leave of a segment that is next in its stream, if nobody wants to see any of it. Whether it was so: most
    /// segments of bodies are.
    #[inline]
    pub(super) fn pass_over(&mut self, payload: &Payload<'_>) -> bool {
        let bytes = payload.bytes.len();
        if !Kept::is_idle(&self.sides[payload.sender.other().index()]) {
            return false;
        }
        let side = &mut self.sides[payload.sender.index()];
        let is_passed = side.progress == Progress::Aligned
            && side.skip >= bytes as u64
            && side.next == payload.sequence
            && (payload.start.is_none() || payload.start == side.start)
            && payload.wire_bytes as usize == bytes;
        if is_passed {
            side.skip -= bytes as u64;
            side.next = side.next.wrapping_add(bytes as u32);
        }
        is_passed
    }
}

impl Side {
    /// Takes leave of a segment unseen.
    fn pass(&mut self, payload: &Payload<'_>) {
        let end = payload.sequence.wrapping_add(payload.wire_bytes);
        if (end.wrapping_sub(self.next) as i32) > 0 {
            self.next = end;
        }
    }

    /// Where a segment's bytes belong, counted from the next one, and those of them that are new and wanted.
    fn place<'a>(&mut self, payload: &Payload<'a>) -> Option<(usize, &'a [u8])> {
        let bytes = payload.bytes;
        let mut at = i64::from(payload.sequence.wrapping_sub(self.next) as i32);
        let end = at + bytes.len() as i64;
        if self.skip > 0 && end > 0 {
            let skipped = self.skip.min(end as u64);
            self.skip -= skipped;
            self.next = self.next.wrapping_add(skipped as u32);
            at -= skipped as i64;
        }
        let old = usize::try_from(-at).unwrap_or(0);
        let bytes = bytes.get(old..)?;
        if bytes.is_empty() {
            return None;
        }
        Some((usize::try_from(at).unwrap_or(0), bytes))
    }
}
