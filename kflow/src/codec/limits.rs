//! What a message may make its reader do.

/// Limits of decoding a message. The defaults are those of the common receivers.
///
/// A message can say little and mean much: zeros are packed a thousand to one, and several pointers may point to the
/// same bytes. What is read counts as often as it is pointed to, so the records that come out take no more than a
/// small multiple of `unpacked_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What the message may unpack to, its segment table included, and what may be read of it.
    pub unpacked_bytes: usize,
    /// Pointers that may follow each other. The schema needs [`Limits::NESTING_MIN`].
    pub nesting: u32,
    pub segments: usize,
    pub records: usize,
}

impl Limits {
    /// Message, list of records, list of custom columns, text.
    pub const NESTING_MIN: u32 = 4;
}

impl Default for Limits {
    fn default() -> Limits {
        let unpacked_bytes = super::MESSAGE_WORDS_MAX * 8;
        let record_bytes = super::wire::CHF_WORDS * 8;
        Limits { unpacked_bytes, nesting: 64, segments: 512, records: unpacked_bytes / record_bytes }
    }
}
