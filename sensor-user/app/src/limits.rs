//! How much of everything there may be.

/// Limits of one inspector. At each of them something named is counted in [`crate::Counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows of the table: the slots that payloads come with are below.
    pub flows: usize,
    /// Flows whose protocol is being parsed at once.
    pub parsers: usize,
    /// Requests and sessions that wait at once.
    pub drafts: usize,
    /// Text of one transaction or session; what is beyond is cut.
    pub text_bytes: usize,
    /// Streams of which bytes are kept at once, [`crate::pool::BUFFER_BYTES`] each.
    pub buffers: usize,
    /// Bytes that a flow may have looked at without completing a transaction or passing over bytes unseen: each byte
    /// that is taken, and each that is offered again.
    pub work_bytes: u32,
    /// Transactions that one span of a flow exports; those beyond are counted.
    pub transactions_per_span: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            flows: 262_144,
            parsers: 32_768,
            drafts: 16_384,
            text_bytes: 4096,
            buffers: 512,
            work_bytes: 256 * 1024,
            transactions_per_span: 1000,
        }
    }
}
