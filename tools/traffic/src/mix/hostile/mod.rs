//! What attackers and broken senders make. Each conversation is one attack; what a sensor has to count is known to the
//! packet all the same.
//!
//! ```text
//! fragments   overlaps, floods, gaps, parts beyond 65 535 bytes
//! segments    TCP that contradicts itself
//! tunnels     64 deep, cut, empty
//! lengths     fields that are zero or lie, stacks of tags, labels and extension headers
//! ```
//!
//! Where a sensor may see things in more than one way, the rule is this one:
//!
//! - IP's own length field counts, even if it says less than the header or more than the frame has. An IPv4 total length
//!   of zero stands for all that the frame has, and so does an IPv6 payload length of zero if the frame is too long to
//!   have been padded.
//! - Ports are zero if the first bytes of the transport header are not inside of that length.
//! - More than four VLAN tags or eight extension headers, or a hundred labels, belong to no flow.

mod fragments;
mod lengths;
mod segments;
mod tunnels;

use super::planned::PlannedFrame;
use super::random::Random;
use super::talk::Pair;

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    match random.between(0, 9) {
        0..3 => fragments::plan(pair, random),
        3..6 => segments::plan(pair, random),
        6 | 7 => tunnels::plan(pair, random),
        _ => lengths::plan(pair, random),
    }
}
