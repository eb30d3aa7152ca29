//! An application's values while they come in: memory for all of them from the start, and never more.

use super::{AppProtocol, Application, Entry, FIELDS_MAX, FieldKind, Key, Slot, Stored};
use crate::Decimal;
use std::net::IpAddr;

/// Values of one transaction or session in the making. A value set twice is the one set last.
#[derive(Clone, Debug)]
pub struct Draft {
    protocol: AppProtocol,
    entries: [Entry; FIELDS_MAX],
    count: usize,
    /// Texts one behind the other, valid UTF-8 each.
    text: Vec<u8>,
    text_bytes_max: usize,
    is_cut: bool,
}

impl Draft {
    /// A draft with room for so many bytes of text, all fields together.
    pub fn new(text_bytes_max: usize) -> Draft {
        Draft {
            protocol: AppProtocol::Dns,
            entries: [Entry { key: Key(0), stored: Stored::Number(0) }; FIELDS_MAX],
            count: 0,
            text: Vec::with_capacity(text_bytes_max),
            text_bytes_max,
            is_cut: false,
        }
    }

    /// Has the memory for texts there now.
    pub fn touch(&mut self) {
        self.text.resize(self.text_bytes_max, 0);
        self.text.clear();
    }

    /// Forgets all values.
    pub fn begin(&mut self, protocol: AppProtocol) {
        self.protocol = protocol;
        self.count = 0;
        self.text.clear();
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
        self.count == 0
    }

    pub fn has(&self, key: Key) -> bool {
        self.entries[..self.count].iter().any(|entry| entry.key == key)
    }

    /// A number that its slot has no room for becomes the largest one that it has room for.
    pub fn number(&mut self, key: Key, number: impl Into<u64>) {
        let largest = match self.protocol.field(key).slot {
            Slot::Number(_) => u64::from(u32::MAX),
            Slot::Text(_) | Slot::LargeNumber(_) | Slot::Address(_) => u64::MAX,
        };
        self.set(key, FieldKind::Number, Stored::Number(number.into().min(largest)));
    }

    pub fn address(&mut self, key: Key, address: impl Into<IpAddr>) {
        self.set(key, FieldKind::Address, Stored::Address(address.into()));
    }

    /// What is not UTF-8 is replaced (U+FFFD).
    pub fn text(&mut self, key: Key, bytes: &[u8]) {
        self.text_with(key, |writer| writer.push(bytes));
    }

    /// A text in several pieces.
    pub fn text_with(&mut self, key: Key, write: impl FnOnce(&mut TextWriter<'_>)) {
        let start = self.text.len();
        let mut writer = TextWriter { text: &mut self.text, max: self.text_bytes_max, is_cut: false };
        write(&mut writer);
        self.is_cut |= writer.is_cut;
        let end = self.text.len();
        self.set(key, FieldKind::Text, Stored::Text(start as u32, end as u32));
    }

    fn set(&mut self, key: Key, kind: FieldKind, stored: Stored) {
        debug_assert_eq!(self.protocol.field(key).kind, kind);
        let old = self.entries[..self.count].iter().position(|entry| entry.key == key);
        self.entries[old.unwrap_or(self.count)] = Entry { key, stored };
        self.count += usize::from(old.is_none());
    }

    /// The values as they are now, in no more memory than they need.
    pub fn to_application(&self, latency_us: Option<u32>) -> Application {
        let mut entries: Box<[Entry]> = self.entries[..self.count].into();
        entries.sort_unstable_by_key(|entry| entry.key);
        let mut text = String::with_capacity(self.text.len());
        for entry in &mut entries {
            if let Stored::Text(start, end) = &mut entry.stored {
                let piece = &self.text[*start as usize..*end as usize];
                *start = text.len() as u32;
                text.push_str(std::str::from_utf8(piece).expect("writers put whole characters there"));
                *end = text.len() as u32;
            }
        }
        Application { protocol: self.protocol, latency_us, entries, text: text.into() }
    }
}

/// Takes the pieces of a text.
#[derive(Debug)]
pub struct TextWriter<'a> {
    text: &'a mut Vec<u8>,
    max: usize,
    is_cut: bool,
}

impl TextWriter<'_> {
    /// What is not UTF-8 is replaced (U+FFFD), and so is NUL, which ends texts in the flow message.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Ok(text) = std::str::from_utf8(bytes)
            && !bytes.contains(&0)
        {
            return self.push_str(text);
        }
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
    pub fn push_number(&mut self, number: u64) {
        let digits = Decimal::new(number);
        self.push_str(std::str::from_utf8(digits.as_bytes()).expect("digits are ASCII"));
    }

    pub fn push_address(&mut self, address: IpAddr) {
        use std::io::Write;
        if let IpAddr::V4(address) = address {
            // By far the most, and quicker than by way of a formatter.
            for (index, octet) in address.octets().into_iter().enumerate() {
                self.push_str(if index == 0 { "" } else { "." });
                self.push_number(u64::from(octet));
            }
            return;
        }
        // The longest address has 39 characters, 45 with an IPv4 address at its end.
        let mut buffer = [0; 48];
        let mut rest = &mut buffer[..];
        write!(rest, "{address}").expect("an address fits");
        let unused = rest.len();
        let used = buffer.len() - unused;
        self.push_str(std::str::from_utf8(&buffer[..used]).expect("an address is ASCII"));
    }

    /// Whether there was no room for all of it: nothing more is taken.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Nothing follows a text that was cut.
    pub fn push_str(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let room = self.max - self.text.len();
        let end = if text.len() > room { text.floor_char_boundary(room) } else { text.len() };
        self.is_cut = end < text.len();
        self.text.extend_from_slice(&text.as_bytes()[..end]);
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
    }
}
