//! Capture files: [`Writer`] in every flavour, [`read`] for those of Ethernet. No compression.
//!
//! | format | block or record written per frame |
//! |---|---|
//! | `pcap` | microseconds, magic `a1b2c3d4` |
//! | `pcap-ns` | nanoseconds, magic `a1b23c4d` |
//! | `pcapng` | Enhanced Packet Block, `if_tsresol` 9 |
//! | `pcapng`, simple | Simple Packet Block, which has no time |
//!
//! Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod read;
mod write;

pub use read::{CapturedFrame, ReadError, read};
pub use write::Writer;

use crate::frame::capture::CaptureLink;

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Pcap,
    PcapNanoseconds,
    Pcapng,
    /// Frames in Simple Packet Blocks: their times are lost.
    PcapngSimple,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

impl Format {
    pub const ALL: [Format; 4] =
        [Format::Pcap, Format::PcapNanoseconds, Format::Pcapng, Format::PcapngSimple];

    pub const fn name(self) -> &'static str {
        match self {
            Format::Pcap => "pcap",
            Format::PcapNanoseconds => "pcap-ns",
            Format::Pcapng => "pcapng",
            Format::PcapngSimple => "pcapng-simple",
        }
    }

    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl ByteOrder {
    pub const ALL: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    fn put_u16(self, number: u16) -> [u8; 2] {
        match self {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        }
    }

    fn put_u32(self, number: u32) -> [u8; 4] {
        match self {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        }
    }

    fn take_u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    fn take_u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const MAGIC_BYTE_ORDER: u32 = 0x1a2b_3c4d;

const BLOCK_SECTION: u32 = 0x0a0d_0d0a;
const BLOCK_INTERFACE: u32 = 1;
const BLOCK_SIMPLE: u32 = 3;
const BLOCK_ENHANCED: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_TIME_RESOLUTION: u16 = 9;

const LINK_ETHERNET: u32 = CaptureLink::Ethernet.number();

/// No frame of a file is longer than this; it is also the snap length that is written.
const FRAME_BYTES_MAX: u32 = 262_144;
