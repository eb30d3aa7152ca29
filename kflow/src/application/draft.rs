//! An application's values while they come in: memory for all of them from the start, and never more.

use super::{AppProtocol, Application, FIELDS_MAX, FieldKind, Key, Slot, place};
use crate::Decimal;
use std::net::IpAddr;

// A bit for each.
const _: () = assert!(FIELDS_MAX <= 64);

/// Octets of addresses that most protocols have at most.
const ADDRESS_BYTES: usize = 5 * 16;

/// Values of one transaction or session in the making. A value set twice is the one set last.
#[derive(Clone, Debug)]
pub struct Draft {
    protocol: AppProtocol,
    /// By key, as an [`Application`] has them.
    words: [u64; FIELDS_MAX],
    /// Keys that have a value; the lowest bit is of the first key.
    present: u64,
    /// Texts, valid UTF-8 each, and octets of addresses, one behind the other.
    data: Vec<u8>,
    address_bytes: usize,
    text_bytes_max: usize,
    is_cut: bool,
}

impl Draft {
    /// A draft with room for so many bytes of text, all fields together.
    pub fn new(text_bytes_max: usize) -> Draft {
        Draft {
            protocol: AppProtocol::Dns,
            words: [0; FIELDS_MAX],
            present: 0,
            data: Vec::with_capacity(text_bytes_max + ADDRESS_BYTES + WORD_BYTES),
            address_bytes: 0,
            text_bytes_max,
            is_cut: false,
        }
    }

    /// Has the memory for texts there now.
    pub fn touch(&mut self) {
        self.data.resize(self.data.capacity(), 0);
        self.data.clear();
    }

    /// Forgets all values.
    #[inline]
    pub fn begin(&mut self, protocol: AppProtocol) {
        self.protocol = protocol;
        self.present = 0;
        self.data.clear();
        self.address_bytes = 0;
        self.is_cut = false;
    }

    pub fn protocol(&self) -> AppProtocol {
        self.protocol
    }

    /// Whether a text had to be cut for want of room.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    #[inline]
    pub fn has(&self, key: Key) -> bool {
        self.present & key.bit() != 0
    }

    /// A number that its slot has no room for becomes the largest one that it has room for.
    #[inline]
    pub fn number(&mut self, key: Key, number: impl Into<u64>) {
        let mut number = number.into();
        if number > u64::from(u32::MAX)
            && matches!(self.protocol.fields()[usize::from(key.0)].slot, Slot::Number(_))
        {
            number = u64::from(u32::MAX);
        }
        self.set(key, FieldKind::Number, number);
    }

    pub fn address(&mut self, key: Key, address: impl Into<IpAddr>) {
        let start = self.data.len();
        match address.into() {
            IpAddr::V4(address) => self.data.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => self.data.extend_from_slice(&address.octets()),
        }
        let end = self.data.len();
        self.address_bytes += end - start;
        self.set(key, FieldKind::Address, place(start, end));
    }

    /// What is not UTF-8 is replaced (U+FFFD).
    pub fn text(&mut self, key: Key, bytes: &[u8]) {
        self.text_with(key, |writer| writer.push(bytes));
    }

    /// A text in several pieces.
    #[inline]
    pub fn text_with(&mut self, key: Key, write: impl FnOnce(&mut TextWriter<'_>)) {
        let start = self.data.len();
        let max = self.text_bytes_max + self.address_bytes;
        let mut writer = TextWriter { data: &mut self.data, max, is_cut: false };
        write(&mut writer);
        self.is_cut |= writer.is_cut;
        let end = self.data.len();
        self.set(key, FieldKind::Text, place(start, end));
    }

    #[inline]
    fn set(&mut self, key: Key, kind: FieldKind, word: u64) {
        debug_assert_eq!(self.protocol.fields()[usize::from(key.0)].kind, kind);
        self.words[usize::from(key.0)] = word;
        self.present |= key.bit();
    }

    /// The values as they are now. Of a text that was set twice, the first one takes memory still.
    pub fn to_application(&self, latency_us: Option<u32>) -> Application {
        let entries = Keys(self.present).map(|key| (key, self.words[usize::from(key.0)]));
        Application::new(self.protocol, latency_us, entries, &self.data)
    }
}

impl Key {
    #[inline]
    const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// The keys whose bits are set, in their order.
#[derive(Clone, Copy, Debug)]
struct Keys(u64);

impl Iterator for Keys {
    type Item = Key;

    #[inline]
    fn next(&mut self) -> Option<Key> {
        let key = self.0.trailing_zeros();
        // Without the lowest bit that is set.
        self.0 &= self.0.checked_sub(1)?;
        Some(Key(key as u8))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.0.count_ones() as usize;
        (count, Some(count))
    }
}

impl ExactSizeIterator for Keys {}

/// Takes the pieces of a text.
#[derive(Debug)]
pub struct TextWriter<'a> {
    data: &'a mut Vec<u8>,
    max: usize,
    is_cut: bool,
}

/// Short pieces are copied as if they had as many.
const WORD_BYTES: usize = size_of::<u64>();

impl TextWriter<'_> {
    /// What is not UTF-8 is replaced (U+FFFD), and so is NUL, which ends texts in the flow message.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        // By far the most.
        if is_plain(bytes) { self.append(bytes) } else { self.push_replaced(bytes) }
    }

    #[inline(never)]
    fn push_replaced(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            let mut pieces = chunk.valid().split('\0');
            self.push_str(pieces.next().unwrap_or_default());
            for piece in pieces {
                self.push_str("\u{FFFD}");
                self.push_str(piece);
            }
            if !chunk.invalid().is_empty() {
                self.push_str("\u{FFFD}");
            }
        }
    }

    /// A number in decimal.
    #[inline]
    pub fn push_number(&mut self, number: u64) {
        let Ok(small @ 0..100_000) = u32::try_from(number) else {
            return self.append(Decimal::new(number).as_bytes());
        };
        if small < 10 {
            return self.append_word(u64::from(b'0') + number, 1);
        }
        // By far the most, and quicker than digit by digit.
        let [a, b, c, d, e] = [10_000, 1_000, 100, 10, 1].map(|unit| b'0' + (small / unit % 10) as u8);
        let zeros = [10_000, 1_000, 100, 10].map(|unit| usize::from(small < unit)).iter().sum::<usize>();
        let word = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]) >> (8 * zeros);
        self.append_word(word, 5 - zeros);
    }

    /// As RFC 5952 has it.
    pub fn push_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    self.push_str(if index == 0 { "" } else { "." });
                    self.push_number(u64::from(octet));
                }
            }
            IpAddr::V6(address) => {
                if let Some(inner) = address.to_ipv4_mapped() {
                    self.push_str("::ffff:");
                    return self.push_address(inner.into());
                }
                self.push_groups(address.segments());
            }
        }
    }

    /// Groups in hex with colons between them. Two colons stand for the longest run of zeros, the first of those that
    /// are as long.
    fn push_groups(&mut self, groups: [u16; 8]) {
        let (mut run, mut longest) = (0..0, 0..0);
        for (place, _) in groups.iter().enumerate().filter(|(_, group)| **group == 0) {
            run = if run.end == place { run.start..place + 1 } else { place..place + 1 };
            if run.len() > longest.len() {
                longest = run.clone();
            }
        }
        if longest.len() < 2 {
            longest = groups.len()..groups.len();
        }
        let mut text = [0; 8 * "ffff:".len()];
        let mut length = 0;
        let mut put = |byte| {
            text[length] = byte;
            length += 1;
        };
        for (place, group) in groups.into_iter().enumerate() {
            if place == longest.start || (place > 0 && !longest.contains(&place)) {
                put(b':');
            }
            if longest.contains(&place) {
                continue;
            }
            let digits = (u16::BITS - group.leading_zeros()).div_ceil(4).max(1);
            for digit in (0..digits).rev() {
                put(b"0123456789abcdef"[usize::from(group >> (4 * digit) & 0xF)]);
            }
        }
        if longest.end == groups.len() && !longest.is_empty() {
            put(b':');
        }
        self.append(&text[..length]);
    }

    /// Whether there was no room for all of it: nothing more is taken.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Nothing follows a text that was cut.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.append(text.as_bytes());
    }

    /// Takes valid UTF-8, as far as there is room for whole characters.
    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        if self.is_cut {
            return;
        }
        if bytes.len() > self.max - self.data.len() {
            return self.append_cut(bytes);
        }
        self.data.extend_from_slice(bytes);
    }

    /// Takes the first, lowest bytes of a word.
    #[inline]
    fn append_word(&mut self, word: u64, bytes: usize) {
        let end = self.data.len() + bytes;
        if self.is_cut || end > self.max {
            return self.append(&word.to_le_bytes()[..bytes]);
        }
        self.data.extend_from_slice(&word.to_le_bytes());
        self.data.truncate(end);
    }

    #[inline(never)]
    fn append_cut(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("whole characters are appended");
        let end = text.floor_char_boundary(self.max - self.data.len());
        self.data.extend_from_slice(&bytes[..end]);
        self.is_cut = true;
    }
}

/// Whether it is ASCII without NUL.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    /// Without a way out of it, this loop takes all of the bytes at once.
    fn are_plain<const N: usize>(bytes: &[u8; N]) -> bool {
        bytes.iter().fold(true, |are_all, byte| are_all & (byte.cast_signed() > 0))
    }
    /// What is behind the whole pieces is looked at together with what is before it.
    fn in_pieces<const N: usize>(bytes: &[u8], last: &[u8; N]) -> bool {
        bytes
            .as_chunks()
            .0
            .iter()
            .fold(are_plain(last), |are_all, piece: &[u8; N]| are_all & are_plain(piece))
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        in_pieces(bytes, last)
    } else if let Some(last) = bytes.last_chunk::<8>() {
        in_pieces(bytes, last)
    } else {
        bytes.iter().all(|byte| byte.cast_signed() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{Datum, protocols::http};
    use proptest::prelude::*;

    fn draft(text_bytes_max: usize) -> Draft {
        let mut draft = Draft::new(text_bytes_max);
        draft.begin(AppProtocol::Http);
        draft
    }

    #[test]
    fn values_come_in_the_order_of_the_table_and_the_last_one_set_counts() {
        let mut draft = draft(100);
        draft.number(http::STATUS, 500u32);
        draft.text(http::HOST, b"first.example");
        draft.text(http::URL, b"/index.html");
        draft.text(http::HOST, b"second.example");
        draft.number(http::STATUS, 200u32);
        let application = draft.to_application(Some(7));
        let values: Vec<_> = application.values().map(|(field, value)| (field.name, value)).collect();
        let expected = [
            ("http_url", Datum::Text("/index.html")),
            ("http_host", Datum::Text("second.example")),
            ("http_status", Datum::Number(200)),
        ];
        assert_eq!(values, expected);
        assert_eq!(application.latency_us(), Some(7));
        assert_eq!(application.number(http::STATUS), Some(200));
        assert_eq!(application.text(http::REFERER), None);
    }

    #[test]
    fn a_number_is_as_large_as_its_slot_allows() {
        let mut draft = draft(0);
        draft.number(http::STATUS, u64::MAX);
        draft.number(http::RESPONSE_BODY_BYTES, u64::MAX);
        let application = draft.to_application(None);
        assert_eq!(application.number(http::STATUS), Some(u64::from(u32::MAX)));
        assert_eq!(application.number(http::RESPONSE_BODY_BYTES), Some(u64::MAX));
    }

    #[test]
    fn a_draft_begun_again_has_no_values() {
        let mut draft = draft(10);
        draft.text(http::URL, b"/longer than there is room");
        assert!(draft.is_cut());
        draft.begin(AppProtocol::Http);
        assert!(!draft.is_cut());
        assert_eq!(draft.to_application(None).values().count(), 0);
    }

    #[test]
    fn texts_are_cut_at_a_character_and_nothing_follows() {
        let mut draft = draft(8);
        draft.text_with(http::URL, |writer| {
            writer.push("äöüé".as_bytes());
            writer.push(b"x");
        });
        draft.text(http::HOST, b"y");
        let application = draft.to_application(None);
        assert_eq!(application.text(http::URL), Some("äöüé"));
        assert_eq!(application.text(http::HOST), Some(""));
        assert!(draft.is_cut());
    }

    proptest! {
        #[test]
        fn any_bytes_become_text_within_the_room(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
            room in 0usize..40,
        ) {
            let mut draft = draft(room);
            draft.text_with(http::URL, |writer| pieces.iter().for_each(|piece| writer.push(piece)));
            let application = draft.to_application(None);
            let text = application.text(http::URL).unwrap();
            prop_assert!(text.len() <= room);
            prop_assert!(!text.contains('\0'));
            let whole: String = pieces
                .iter()
                .map(|piece| String::from_utf8_lossy(piece).replace('\0', "\u{FFFD}"))
                .collect();
            prop_assert!(whole.starts_with(text));
            prop_assert_eq!(draft.is_cut(), text.len() < whole.len());
        }

        #[test]
        fn numbers_and_addresses_read_as_the_standard_library_writes_them(
            number in any::<u64>(),
            address in any::<std::net::IpAddr>(),
        ) {
            let mut draft = draft(200);
            draft.text_with(http::URL, |writer| {
                writer.push_number(number);
                writer.push_str(" ");
                writer.push_address(address);
            });
            let application = draft.to_application(None);
            let expected = format!("{number} {address}");
            prop_assert_eq!(application.text(http::URL), Some(expected.as_str()));
        }

        /// Few values, so that there are runs of zeros, and addresses of IPv4 in those of IPv6.
        #[test]
        fn addresses_with_zeros_read_as_the_standard_library_writes_them(
            groups in prop::array::uniform8(prop_oneof![3 => Just(0), 1 => Just(0xFFFF), 1 => any::<u16>()]),
        ) {
            let address = std::net::Ipv6Addr::from(groups);
            let mut draft = draft(200);
            draft.text_with(http::URL, |writer| writer.push_address(address.into()));
            let application = draft.to_application(None);
            prop_assert_eq!(application.text(http::URL).unwrap(), address.to_string());
        }

        #[test]
        fn plain_is_ascii_without_nul(bytes in prop::collection::vec(prop_oneof![8 => 1u8..0x80, 1 => any::<u8>()], 0..40)) {
            let expected = bytes.is_ascii() && !bytes.contains(&0);
            prop_assert_eq!(is_plain(&bytes), expected);
        }
    }
}
