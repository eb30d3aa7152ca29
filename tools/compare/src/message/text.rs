//! One way of writing for the values of both programs.
//!
//! Both replace or escape what is not printable ASCII, each in its own way, and nDPI writes `?`: every run of it
//! counts as one such mark.

use std::iter::Peekable;
use std::str::Chars;

const MARK: char = '?';
/// tshark's name of the root of the name space, whose name is empty.
const ROOT: &str = "<Root>";

/// A text with one mark for each run of what is not printable ASCII.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let written = match character {
            '\\' => unescaped(&mut rest),
            ' '..='~' => character,
            _ => MARK,
        };
        if written != MARK || !plain.ends_with(MARK) {
            plain.push(written);
        }
    }
    plain
}

/// What stands for the escape whose backslash was just read.
fn unescaped(rest: &mut Peekable<Chars<'_>>) -> char {
    let ahead: String = rest.clone().take(3).collect();
    let is_number = ahead.len() == 3 && ahead.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = ahead.len() == 3 && ahead.starts_with('x') && u8::from_str_radix(&ahead[1..], 16).is_ok();
    if is_number || is_hex {
        rest.nth(2);
        return MARK;
    }
    rest.next_if(|next| matches!(next, '\\' | '.')).unwrap_or('\\')
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
        for text in ["a\\004\\005\\006b", "a\u{FFFD}b", "a\\x04b", "a???b", "a\u{4}\u{5}b", "aäöb"] {
            assert_eq!(plain(text), "a?b", "{text}");
        }
    }

    #[test]
    fn backslash_is_one_whether_or_not_it_is_escaped() {
        assert_eq!(plain("c:\\\\dir"), plain("c:\\dir"));
        assert_eq!(plain("a\\.b"), "a.b");
        assert_eq!(plain("\\"), "\\");
        assert_eq!(plain("\\äöü"), "\\?");
    }

    #[test]
    fn root_has_one_name() {
        for root in ["", ".", "<Root>"] {
            assert_eq!(name(root), "<Root>", "{root}");
        }
        assert_eq!(name("example.com."), "example.com");
    }

    #[test]
    fn reason_in_the_place_of_a_name_is_no_name() {
        assert!(
            is_unreadable("<Name too long>") && !is_unreadable("<Root>") && !is_unreadable("example.com")
        );
    }
}
