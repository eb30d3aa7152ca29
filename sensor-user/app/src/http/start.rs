//! What the first bytes of a message are: the one question behind recognition, conversation and finding back in.
//!
//! RTSP and SIP borrowed their request lines from HTTP, and so do others: a line that names another protocol's version
//! is none of ours.

use super::HEAD_BYTES_MAX;
use memchr::memchr;

/// What a client of HTTP/2 sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Request,
    Answer,
    Preface,
    /// The SETTINGS frame that a server of HTTP/2 sends first.
    Settings,
    /// Too few bytes to tell.
    More,
    No,
}

/// How much of a request there has to be, for want of other evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A whole request line with a version.
    Line,
    /// A known method and a path.
    Path,
    /// A known method.
    Method,
}

const METHOD_BYTES_MAX: usize = 24;

impl Start {
    pub fn of(bytes: &[u8], demand: Demand) -> Start {
        let opening = &bytes[..bytes.len().min(PREFACE.len())];
        if PREFACE.starts_with(opening) {
            return if opening.len() == PREFACE.len() { Start::Preface } else { Start::More };
        }
        match bytes[0] {
            b'H' if bytes.starts_with(b"HTTP/") => status_line(&bytes[5..], u8::is_ascii_digit),
            b'I' if bytes.starts_with(b"ICY ") => status_line(&bytes[3..], |_| false),
            0 => settings(bytes),
            _ => request_line(bytes, demand),
        }
    }
}

/// A version, at least one space, three digits.
fn status_line(bytes: &[u8], is_version: impl Fn(&u8) -> bool) -> Start {
    let version = bytes.iter().take_while(|byte| is_version(byte) || **byte == b'.').count();
    let spaces = bytes[version..].iter().take_while(|byte| **byte == b' ').count();
    let code = &bytes[version + spaces..];
    if version > 8 || spaces > 8 {
        return Start::No;
    }
    match code {
        [] => Start::More,
        _ if spaces == 0 => Start::No,
        [a, b, c, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => Start::Answer,
        [_, _, _, ..] => Start::No,
        _ if code.iter().all(u8::is_ascii_digit) => Start::More,
        _ => Start::No,
    }
}

/// A frame header of type 4 without flags on stream 0, of which the payload is so many settings of six bytes.
fn settings(bytes: &[u8]) -> Start {
    const SETTINGS_BYTES_MAX: u8 = 120;
    let header = &bytes[..bytes.len().min(9)];
    let fits = header.iter().enumerate().all(|(place, byte)| match place {
        2 => *byte <= SETTINGS_BYTES_MAX && byte % 6 == 0,
        3 => *byte == 4,
        _ => *byte == 0,
    });
    match fits {
        true if header.len() == 9 => Start::Settings,
        true => Start::More,
        false => Start::No,
    }
}

fn request_line(bytes: &[u8], demand: Demand) -> Start {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let is_of_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let length = bytes.iter().take(METHOD_BYTES_MAX + 1).take_while(|byte| is_of_method(byte)).count();
    if length == 0 || length > METHOD_BYTES_MAX {
        return Start::No;
    }
    let (method, rest) = bytes.split_at(length);
    let Some(delimiter) = rest.first() else { return Start::More };
    let is_known = is_method(method);
    if !is_known && !method.iter().all(u8::is_ascii_uppercase) {
        // Other protocols begin with words that have hyphens in them.
        return Start::No;
    }
    match delimiter {
        b'\r' | b'\n' if is_known && demand == Demand::Method => return Start::Request,
        b' ' | b'\t' => {}
        _ => return Start::No,
    }
    let target = &rest[rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..];
    match (is_known, target.first()) {
        (true, Some(b'/')) if demand != Demand::Line => return Start::Request,
        (true, Some(_)) | (false, Some(b'/' | b'*' | b'h')) => {}
        (false, Some(_)) => return Start::No,
        (_, None) => {}
    }
    match memchr(b'\n', target).map(|end| &target[..end]) {
        Some(line) if is_of_http(line) => Start::Request,
        Some(line) if is_known && demand == Demand::Method && !is_of_another(line) => Start::Request,
        Some(_) => Start::No,
        None if bytes.len() < HEAD_BYTES_MAX => Start::More,
        None => Start::No,
    }
}

/// Whether a method is one that is in use.
fn is_method(bytes: &[u8]) -> bool {
    match bytes {
        // RFC 9110, RFC 5789, and QUERY.
        b"GET" | b"POST" | b"HEAD" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH"
        | b"QUERY" => true,
        // WebDAV and its kin: RFC 2068, 3253, 3648, 3744, 4437, 4791, 4918, 5323, 5842.
        b"PROPFIND" | b"PROPPATCH" | b"MKCOL" | b"COPY" | b"MOVE" | b"LOCK" | b"UNLOCK" | b"SEARCH"
        | b"ACL" | b"REPORT" | b"BIND" | b"UNBIND" | b"REBIND" | b"LINK" | b"UNLINK" | b"LABEL"
        | b"MERGE" | b"UPDATE" | b"CHECKIN" | b"CHECKOUT" | b"UNCHECKOUT" | b"VERSION-CONTROL"
        | b"BASELINE-CONTROL" | b"MKWORKSPACE" | b"MKACTIVITY" | b"MKCALENDAR" | b"ORDERPATCH"
        | b"MKREDIRECTREF" | b"UPDATEREDIRECTREF" => true,
        // UPnP, BitTorrent's search for peers, Microsoft's clients and servers, caches.
        b"NOTIFY" | b"M-SEARCH" | b"BT-SEARCH" | b"SUBSCRIBE" | b"UNSUBSCRIBE" | b"BCOPY" | b"BDELETE"
        | b"BMOVE" | b"BPROPFIND" | b"BPROPPATCH" | b"POLL" | b"X-MS-ENUMATTS" | b"RPC_CONNECT"
        | b"RPC_IN_DATA" | b"RPC_OUT_DATA" | b"CCM_POST" | b"BITS_POST" | b"PURGE" | b"TRACK" | b"DEBUG" => {
            true
        }
        _ => false,
    }
}

/// Whether the rest of a request line ends with a version of HTTP.
fn is_of_http(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let before = &line[..line.len() - digits];
    digits > 0 && (before == b"HTTP/" || before.ends_with(b" HTTP/"))
}

/// Whether the rest of a request line ends with a version of another protocol.
fn is_of_another(line: &[u8]) -> bool {
    let version = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let (name, number) =
        version.split_at(version.iter().take_while(|byte| byte.is_ascii_uppercase()).count());
    !name.is_empty() && name != b"HTTP" && matches!(number, [b'/', b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_http_are_told_from_those_that_look_like_them() {
        let cases: [(&[u8], Start); 33] = [
            (b"GET / HTTP/1.1\r\n", Start::Request),
            (b"GET /", Start::Request),
            (b"GET ", Start::More),
            (b"GE", Start::More),
            (b"P", Start::More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Start::More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0", Start::Preface),
            (b"GET http://example.org/ HTTP/1.0\r\n", Start::Request),
            (b"GET http://example.org/ HT", Start::More),
            (b"GET HTTP/1.1\n", Start::Request),
            (b"OPTIONS * HTTP/1.1\n", Start::Request),
            (b"OPTIONS * RTSP/1.0\r\n", Start::No),
            (b"OPTIONS sip:user@example.org SIP/2.0\r\n", Start::No),
            (b"NOTIFY * HTTP/1.1\r\n", Start::Request),
            (b"CONNECT example.org:443 HTTP/1.1\r\n", Start::Request),
            (b"FETCH /x HTTP/1.1\r\n", Start::Request),
            (b"FETCH /x\r\n", Start::No),
            (b"FETCH x HTTP/1.1\r\n", Start::No),
            (b"SSH-2 * HTTP/1.1\r\n", Start::No),
            (b"BT-SEARCH * HTTP/1.1\r\n", Start::Request),
            (b"USER anonymous\r\n", Start::No),
            (b"GET/ HTTP/1.1\r\n", Start::No),
            (b"get / HTTP/1.1\r\n", Start::No),
            (b"OPTIONS\nHost: a\n\n", Start::No),
            (b"HTTP/1.1 200 OK\r\n", Start::Answer),
            (b"HTTP/1.0 20", Start::More),
            (b"HTTP/1.", Start::More),
            (b"HTTP/x", Start::No),
            (b"HTTP/1.1 2x0", Start::No),
            (b"ICY 200 OK\r\n", Start::Answer),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3], Start::Settings),
            (&[0, 0, 18, 4], Start::More),
            (&[0, 0, 17, 4], Start::No),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Start::of(bytes, Demand::Path), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_a_version_is_a_request_only_where_http_is_known_to_be_spoken() {
        for line in [b"OPTIONS\nHost: a\n\n".as_slice(), b"GET .\r\n", b"POST /\r\n"] {
            assert_eq!(Start::of(line, Demand::Method), Start::Request);
            assert_eq!(Start::of(line, Demand::Line), Start::No);
        }
        for line in [b"FETCH\r\n".as_slice(), b"OPTIONS sip:a SIP/2.0\r\n", b"OPTIONS rtsp://a/ RTSP/1.0\n"] {
            assert_eq!(Start::of(line, Demand::Method), Start::No);
        }
    }

    #[test]
    fn more_is_asked_for_only_while_a_head_may_be_that_long() {
        let mut line = b"GET http://".to_vec();
        line.resize(HEAD_BYTES_MAX - 1, b'a');
        assert_eq!(Start::of(&line, Demand::Path), Start::More);
        line.push(b'a');
        assert_eq!(Start::of(&line, Demand::Path), Start::No);
    }

    proptest::proptest! {
        #[test]
        fn an_answer_to_a_prefix_holds_for_the_whole(
            bytes in "(GET|PRI|HTTP/|ICY|OPTIONS|FETCH|A-B|\0)( |\\*|/|1|\\.|HTTP|SIP|0|\0|\u{4}|\r|\n|a){0,12}",
            split in 0usize..30,
        ) {
            let bytes = bytes.as_bytes();
            for demand in [Demand::Line, Demand::Path, Demand::Method] {
                let of_prefix = Start::of(&bytes[..split.clamp(1, bytes.len())], demand);
                if of_prefix != Start::More {
                    proptest::prop_assert_eq!(Start::of(bytes, demand), of_prefix);
                }
            }
        }
    }
}
