//! A frame before it is given out: its bytes, what the generator means by it, and when it is due.

use std::cmp::Ordering;

use super::{ConversationKey, InnerKey, TcpSign};
use crate::frame::tunnel::TunnelKind;
use crate::message::Said;

/// A frame and what the generator means by it.
#[derive(Clone, Debug)]
pub struct PlannedFrame {
    pub bytes: Vec<u8>,
    pub description: &'static str,
    pub meaning: Meaning,
    /// Since the frame before it; some usual gap if it does not matter.
    pub wait_ns: Option<u64>,
}

#[derive(Clone, Debug)]
pub enum Meaning {
    Packet(PacketMeaning),
    NotFlow,
}

/// A packet of a conversation.
#[derive(Clone, Debug)]
pub struct PacketMeaning {
    /// Of the outermost packet.
    pub key: ConversationKey,
    /// Layer-3 bytes of the outermost packet.
    pub packet_bytes: usize,
    /// The innermost packet, unless it is hard to say which that is.
    pub inner: Option<InnerMeaning>,
    /// What the segment is, if all segments of the connection are known.
    pub tcp: Option<Vec<TcpSign>>,
    /// Opens a connection on ports of one that had closed.
    pub is_reconnection: bool,
    /// What the conversation has said with this packet, its last one.
    pub said: Vec<Said>,
}

/// The innermost packet of a frame.
#[derive(Clone, Debug)]
pub struct InnerMeaning {
    pub key: InnerKey,
    pub packet_bytes: usize,
    /// The number that this packet's tunnel has.
    pub id: u32,
    pub depth: u8,
}

impl InnerMeaning {
    /// What there is no tunnel around.
    pub fn untunnelled(conversation: ConversationKey, packet_bytes: usize) -> InnerMeaning {
        let key = InnerKey { conversation, tunnel: TunnelKind::None, domain: 0 };
        InnerMeaning { key, packet_bytes, id: 0, depth: 0 }
    }
}

impl PlannedFrame {
    /// A packet outside of any tunnel.
    pub fn counted(
        bytes: Vec<u8>,
        key: ConversationKey,
        packet_bytes: usize,
        description: &'static str,
    ) -> PlannedFrame {
        let inner = Some(InnerMeaning::untunnelled(key, packet_bytes));
        let meaning =
            PacketMeaning { key, packet_bytes, inner, tcp: None, is_reconnection: false, said: Vec::new() };
        PlannedFrame { bytes, description, meaning: Meaning::Packet(meaning), wait_ns: None }
    }

    pub fn not_flow(bytes: Vec<u8>, description: &'static str) -> PlannedFrame {
        PlannedFrame { bytes, description, meaning: Meaning::NotFlow, wait_ns: None }
    }

    /// Says what a segment is. Connections in tunnels are not told.
    pub fn with_signs(mut self, signs: &[TcpSign]) -> PlannedFrame {
        if let Meaning::Packet(meaning) = &mut self.meaning
            && meaning.inner.as_ref().is_some_and(|inner| inner.depth == 0)
        {
            meaning.tcp = Some(signs.to_vec());
        }
        self
    }

    /// Does not say what a segment is.
    #[must_use]
    pub fn unsigned(mut self) -> PlannedFrame {
        if let Meaning::Packet(meaning) = &mut self.meaning {
            meaning.tcp = None;
        }
        self
    }

    /// The last packet of a conversation in which this was said.
    #[must_use]
    pub fn saying(mut self, said: Vec<Said>) -> PlannedFrame {
        if let Meaning::Packet(meaning) = &mut self.meaning {
            meaning.said = said;
        }
        self
    }

    pub fn with_inner(self, inner: InnerMeaning) -> PlannedFrame {
        self.with_any_inner(Some(inner))
    }

    /// Leaves open what is innermost.
    pub fn with_unstated_inner(self) -> PlannedFrame {
        self.with_any_inner(None)
    }

    fn with_any_inner(mut self, inner: Option<InnerMeaning>) -> PlannedFrame {
        if let Meaning::Packet(meaning) = &mut self.meaning {
            meaning.inner = inner;
        }
        self
    }
}

/// A frame with its place in the stream: by time, then by the order of planning.
#[derive(Clone, Debug)]
pub struct Planned {
    pub time_ns: u64,
    pub order: u64,
    pub conversation: u32,
    pub frame: PlannedFrame,
}

impl Planned {
    fn place(&self) -> (u64, u64) {
        (self.time_ns, self.order)
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> Ordering {
        self.place().cmp(&other.place())
    }
}
