//! What a segment of TCP is beside data or an acknowledgement, in the words of Wireshark 4.0's TCP analysis, and how
//! many of each a connection has.

use serde::{Deserialize, Serialize};

/// What the generator means by a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpSign {
    /// Sent again after a timeout.
    Retransmission,
    /// Sent again at once, after two or more duplicate acknowledgements.
    FastRetransmission,
    /// Sent again although all of it had been acknowledged.
    SpuriousRetransmission,
    /// Overtaken by a later segment, within one round trip.
    OutOfOrder,
    /// Says nothing that the last segment of its side had not said.
    DuplicateAck,
    /// The first one behind a gap in the sequence.
    LostSegment,
    /// Acknowledges data that the capture does not have.
    AckOfUnseen,
    /// Announces a window of zero.
    ZeroWindow,
    /// One byte sent into a window of zero.
    ZeroWindowProbe,
    /// The byte before the next one, or nothing in its place.
    KeepAlive,
    /// The answer to it.
    KeepAliveAck,
    /// Nothing new but the window.
    WindowUpdate,
    /// In a packet marked "congestion experienced" (RFC 3168).
    CongestionExperienced,
    /// RST is set.
    Reset,
}

/// Both directions of a connection; of all connections under one key, if ports were used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpConversation {
    /// Segments that the source of the key sent.
    pub forward: TcpExpected,
    pub reverse: TcpExpected,
}

/// Segments of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpExpected {
    /// All that were sent again: after a timeout, fast and spurious.
    pub retransmitted: u64,
    pub fast_retransmits: u64,
    pub spurious_retransmits: u64,
    pub out_of_order: u64,
    pub duplicate_acks: u64,
    pub lost_segments: u64,
    /// Of data of the other side.
    pub acks_of_unseen: u64,
    pub zero_windows: u64,
    pub zero_window_probes: u64,
    pub keep_alives: u64,
    pub keep_alive_acks: u64,
    pub window_updates: u64,
    pub ecn_ce_packets: u64,
    pub resets: u64,
}

impl TcpExpected {
    pub(super) fn add(&mut self, signs: &[TcpSign]) {
        for sign in signs {
            *self.counter(*sign) += 1;
            if matches!(sign, TcpSign::FastRetransmission | TcpSign::SpuriousRetransmission) {
                self.retransmitted += 1;
            }
        }
    }

    fn counter(&mut self, sign: TcpSign) -> &mut u64 {
        match sign {
            TcpSign::Retransmission => &mut self.retransmitted,
            TcpSign::FastRetransmission => &mut self.fast_retransmits,
            TcpSign::SpuriousRetransmission => &mut self.spurious_retransmits,
            TcpSign::OutOfOrder => &mut self.out_of_order,
            TcpSign::DuplicateAck => &mut self.duplicate_acks,
            TcpSign::LostSegment => &mut self.lost_segments,
            TcpSign::AckOfUnseen => &mut self.acks_of_unseen,
            TcpSign::ZeroWindow => &mut self.zero_windows,
            TcpSign::ZeroWindowProbe => &mut self.zero_window_probes,
            TcpSign::KeepAlive => &mut self.keep_alives,
            TcpSign::KeepAliveAck => &mut self.keep_alive_acks,
            TcpSign::WindowUpdate => &mut self.window_updates,
            TcpSign::CongestionExperienced => &mut self.ecn_ce_packets,
            TcpSign::Reset => &mut self.resets,
        }
    }
}
