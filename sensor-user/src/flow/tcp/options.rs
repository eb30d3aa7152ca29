//! TCP options (RFC 9293 §3.1): what the analysis wants of them.

/// SACK blocks that one option has room for (RFC 2018 §3).
const SACK_BLOCKS_MAX: usize = 4;
/// No operation, no operation, time stamps of ten bytes: what most segments have and nothing else.
const TIME_ONLY: [u8; 4] = [1, 1, 8, 10];

mod kind {
    pub const END: u8 = 0;
    pub const NO_OPERATION: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
}

/// RFC 7323 §2.3: a larger shift counts as this one.
const WINDOW_SCALE_MAX: u8 = 14;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    pub sack: Option<Sack>,
}

/// Ranges that a side received out of order, as it last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sack {
    blocks: [(u32, u32); SACK_BLOCKS_MAX],
    len: u8,
}

impl Sack {
    pub const NONE: Sack = Sack { blocks: [(0, 0); SACK_BLOCKS_MAX], len: 0 };

    /// Whether blocks were received, but not this range.
    pub fn lacks(&self, start: u32, end: u32) -> bool {
        let is_within =
            |&(left, right): &(u32, u32)| !super::is_after(left, start) && !super::is_after(end, right);
        self.len > 0 && !self.blocks[..usize::from(self.len)].iter().any(is_within)
    }
}

/// Whether there is anything beside the usual time stamps.
#[inline(always)]
pub fn has_more_than_time(options: &[u8]) -> bool {
    match options.first_chunk::<4>() {
        Some(first) => *first != TIME_ONLY || options.len() > 12,
        None => !options.is_empty(),
    }
}

/// Reads options up to the first that makes no sense. At most 40 steps.
pub fn read(options: &[u8]) -> Options {
    let mut found = Options::default();
    let mut rest = options;
    while let [kind, after @ ..] = rest {
        match *kind {
            kind::END => break,
            kind::NO_OPERATION => {
                rest = after;
                continue;
            }
            _ => {}
        }
        let Some(length) = after.first().map(|length| usize::from(*length)) else { break };
        let Some(value) = rest.get(2..length) else { break };
        match (*kind, value) {
            (kind::MSS, &[high, low]) => found.mss = Some(u16::from_be_bytes([high, low])),
            (kind::WINDOW_SCALE, &[shift]) => found.window_scale = Some(shift.min(WINDOW_SCALE_MAX)),
            (kind::SACK_PERMITTED, []) => found.sack_permitted = true,
            (kind::SACK, blocks) => found.sack = Some(sack(blocks)),
            _ => {}
        }
        rest = &rest[length..];
    }
    found
}

fn sack(bytes: &[u8]) -> Sack {
    let mut sack = Sack::default();
    let (blocks, _) = bytes.as_chunks::<8>();
    for (block, &[a, b, c, d, e, f, g, h]) in sack.blocks.iter_mut().zip(blocks) {
        *block = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        sack.len += 1;
    }
    sack
}
