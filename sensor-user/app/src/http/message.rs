//! What is wanted of a request or an answer, whichever version of HTTP brought it, and its way into a draft.

use crate::text::is_in_any_case;
use kflow::application::{Draft, Key, protocols::http};

/// The fields of a message that something is made of. All others are [`Name::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Name {
    Other,
    Method,
    Target,
    Authority,
    Status,
    Host,
    UserAgent,
    Referer,
    ContentType,
    ContentLength,
    Server,
    TransferEncoding,
    Upgrade,
}

/// A message, borrowed from where it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    pub method: Option<&'a [u8]>,
    pub target: Option<&'a [u8]>,
    pub version: Option<&'a [u8]>,
    pub status: Option<u16>,
    pub host: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub referer: Option<&'a [u8]>,
    pub content_type: Option<&'a [u8]>,
    pub server: Option<&'a [u8]>,
    pub body_bytes: Option<u64>,
    /// There may be line ends in values.
    pub has_line_ends: bool,
}

impl Name {
    pub const ALL: [Name; 13] = [
        Name::Other,
        Name::Method,
        Name::Target,
        Name::Authority,
        Name::Status,
        Name::Host,
        Name::UserAgent,
        Name::Referer,
        Name::ContentType,
        Name::ContentLength,
        Name::Server,
        Name::TransferEncoding,
        Name::Upgrade,
    ];
    /// No name that is wanted is longer.
    pub const BYTES_MAX: usize = 17;

    /// Names are compared without case.
    pub fn of(bytes: &[u8]) -> Name {
        let Some(first) = bytes.first().map(u8::to_ascii_lowercase) else { return Name::Other };
        let (name, candidate): (&[u8], Name) = match (bytes.len(), first) {
            (4, b'h') => (b"host", Name::Host),
            (5, b':') => (b":path", Name::Target),
            (6, b's') => (b"server", Name::Server),
            (7, b'r') => (b"referer", Name::Referer),
            (7, b':') if matches!(bytes, [.., b'd' | b'D']) => (b":method", Name::Method),
            (7, b':') => (b":status", Name::Status),
            (7, b'u') => (b"upgrade", Name::Upgrade),
            (10, b'u') => (b"user-agent", Name::UserAgent),
            (10, b':') => (b":authority", Name::Authority),
            (12, b'c') => (b"content-type", Name::ContentType),
            (14, b'c') => (b"content-length", Name::ContentLength),
            (17, b't') => (b"transfer-encoding", Name::TransferEncoding),
            _ => return Name::Other,
        };
        if is_in_any_case(name, bytes) { candidate } else { Name::Other }
    }
}

impl<'a> Message<'a> {
    /// Of fields that come more than once the first one counts.
    pub fn set(&mut self, name: Name, value: &'a [u8]) {
        let place = match name {
            Name::Method => &mut self.method,
            Name::Target => &mut self.target,
            Name::Authority | Name::Host => &mut self.host,
            Name::UserAgent => &mut self.user_agent,
            Name::Referer => &mut self.referer,
            Name::ContentType => &mut self.content_type,
            Name::Server => &mut self.server,
            Name::Status | Name::ContentLength | Name::TransferEncoding | Name::Upgrade | Name::Other => {
                return;
            }
        };
        place.get_or_insert(value);
    }

    /// The longest texts come last, so that it is they that are cut for want of room.
    pub fn write_request(&self, draft: &mut Draft) {
        self.write(draft, http::METHOD, self.method);
        self.write(draft, http::VERSION, self.version);
        self.write(draft, http::HOST, self.host);
        self.write(draft, http::REQUEST_CONTENT_TYPE, self.content_type);
        if let Some(bytes) = self.body_bytes {
            draft.number(http::REQUEST_BODY_BYTES, bytes);
        }
        self.write(draft, http::USER_AGENT, self.user_agent);
        self.write(draft, http::URL, self.target);
        self.write(draft, http::REFERER, self.referer);
    }

    pub fn write_answer(&self, draft: &mut Draft) {
        if let Some(status) = self.status {
            draft.number(http::STATUS, status);
        }
        if !draft.has(http::VERSION) {
            self.write(draft, http::VERSION, self.version);
        }
        self.write(draft, http::CONTENT_TYPE, self.content_type);
        self.write(draft, http::SERVER, self.server);
        if let Some(bytes) = self.body_bytes {
            draft.number(http::RESPONSE_BODY_BYTES, bytes);
        }
    }

    /// A value that goes on in further lines (RFC 9112 §5.2) has a space where the line ended.
    fn write(&self, draft: &mut Draft, key: Key, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        if !self.has_line_ends {
            return draft.text(key, value);
        }
        draft.text_with(key, |writer| {
            for (place, line) in value.split(|byte| *byte == b'\n').enumerate() {
                writer.push_str(if place > 0 { " " } else { "" });
                writer.push(line.trim_ascii());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Name::of(b"hOsT"), Name::Host);
        assert_eq!(Name::of(b"TRANSFER-ENCODING"), Name::TransferEncoding);
        assert_eq!(Name::of(b":path"), Name::Target);
        assert_eq!(Name::of(b"hosts"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
        for (place, name) in Name::ALL.into_iter().enumerate() {
            assert_eq!(name as usize, place);
        }
    }
}
