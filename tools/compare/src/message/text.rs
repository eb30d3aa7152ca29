//! One way of writing for the values of both programs.
//!
//! Both replace or escape what is not printable ASCII and the backslash, each in its own way, and nDPI writes `?`: every
//! run of it counts as one such mark. nDPI does so with most punctuation in the names of hosts as well.

const MARK: char = '?';
/// tshark's name of the root of the name space, whose name is empty.
const ROOT: &str = "<Root>";

/// A text with one mark for each run of what is written differently.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let written = match character {
            '\\' => {
                rest = rest.get(escape_bytes(rest.as_bytes())..).unwrap_or_default();
                MARK
            }
            ' '..='~' => character,
            _ => MARK,
        };
        if written != MARK || !plain.ends_with(MARK) {
            plain.push(written);
        }
    }
    plain
}

/// How much of what is behind a backslash makes an escape with it: three digits, `x` and two of base 16, or the letter
/// of a control character. The backslash itself may be escaped before such a letter.
fn escape_bytes(rest: &[u8]) -> usize {
    let is_control = |rest: &[u8]| matches!(rest, [b'r' | b'n' | b't', ..]);
    match rest {
        [b'0', b'9', b'2', rest @ ..] => 3 + usize::from(is_control(rest)),
        [a, b, c, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => 3,
        [b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 3,
        _ => usize::from(is_control(rest)),
    }
}

/// A target of HTTP. One with spaces in it is against the protocol: theirs ends it at the first, ours at the last.
pub fn target(text: &str) -> String {
    plain(text.split(' ').next().unwrap_or_default())
}

/// A host as nDPI would name it: without its port, in lower case.
pub fn host(text: &str) -> String {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = text.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(text, |(name, _)| name);
    let is_kept = |character: char| character.is_ascii_alphanumeric() || ".-:[]".contains(character);
    let kept: String =
        name.chars().map(|character| if is_kept(character) { character } else { MARK }).collect();
    plain(&kept.to_ascii_lowercase())
}

/// How values of the field are written.
pub fn of_field(field: &str) -> fn(&str) -> String {
    if field == "http_url" { target } else { plain }
}

/// A name of DNS.
pub fn name(text: &str) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() { ROOT.to_owned() } else { plain(text) }
}

/// Whether tshark gave up on the name, and says why in its place.
pub fn is_unreadable(name: &str) -> bool {
    name.starts_with('<') && name.ends_with('>') && name != ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printable_is_one_mark_however_it_is_written() {
        for text in ["a\\004\\005\\006b", "a\\rb", "a\u{FFFD}b", "a\\x04b", "a???b", "a\u{4}\u{5}b", "aäöb"]
        {
            assert_eq!(plain(text), "a?b", "{text}");
        }
    }

    #[test]
    fn backslash_is_a_mark_whether_or_not_it_is_escaped() {
        for text in ["c:\\dir", "c:\\\\dir", "c:\\092dir"] {
            assert_eq!(plain(text), "c:?dir", "{text}");
        }
        assert_eq!(plain("c:\\092temp"), plain("c:\\temp"));
        assert_eq!(plain("\\"), "?");
        assert_eq!(plain("\\12ä"), "?12?");
    }

    #[test]
    fn root_has_one_name() {
        for root in ["", ".", "<Root>"] {
            assert_eq!(name(root), "<Root>", "{root}");
        }
        assert_eq!(name("example.com."), "example.com");
    }

    #[test]
    fn target_ends_at_a_space() {
        assert_eq!(target("/a;cat /etc/passwd"), "/a;cat");
        assert_eq!(target("/a?b=c"), "/a?b=c");
    }

    #[test]
    fn host_has_no_port_and_little_punctuation() {
        assert_eq!(host("WWW.example.com:8080"), "www.example.com");
        assert_eq!(host("*.a=b.example"), host("_.a_b.example"));
        assert_eq!(host("[2001:db8::1]:80"), "[2001:db8::1]");
    }

    #[test]
    fn reason_in_the_place_of_a_name_is_no_name() {
        assert!(
            is_unreadable("<Name too long>") && !is_unreadable("<Root>") && !is_unreadable("example.com")
        );
    }
}
