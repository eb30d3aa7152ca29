//! Where a statement ends: at a `;` that is not within quotes, dollar quotes or a comment.

/// The first statement of a text, without its `;`, and what is behind that; `None` if it does not end.
pub fn first(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            b';' => return Some((&text[..at], &text[at + 1..])),
            quote @ (b'\'' | b'"') => behind(text, at + 1, &[quote])?,
            b'-' if bytes[at..].starts_with(b"--") => behind(text, at + 2, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => behind(text, at + 2, b"*/")?,
            b'$' => match dollar_tag(&text[at..]) {
                Some(tag) => behind(text, at + tag.len(), tag.as_bytes())?,
                None => at + 1,
            },
            _ => at + 1,
        };
    }
    None
}

/// Whether a text is a whole statement or more.
pub fn is_complete(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = first(rest) {
        rest = after;
    }
    rest.trim().is_empty()
}

/// Behind the next `end`.
fn behind(text: &str, from: usize, end: &[u8]) -> Option<usize> {
    let found = text.as_bytes()[from..].windows(end.len()).position(|window| window == end)?;
    Some(from + found + end.len())
}

/// `$$` or `$tag$` at the start of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let is_name = text[1..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins_well = !text[1..end].starts_with(|letter: char| letter.is_ascii_digit());
    (is_name && begins_well).then_some(&text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_a_semicolon_of_its_own() {
        for (text, statement, rest) in [
            ("SELECT 1; SELECT 2;", "SELECT 1", " SELECT 2;"),
            ("SELECT ';' || \";\"; x", "SELECT ';' || \";\"", " x"),
            ("SELECT 'it''s;';", "SELECT 'it''s;'", ""),
            ("SELECT 1 -- no; not yet\n;", "SELECT 1 -- no; not yet\n", ""),
            ("SELECT /* ; */ 1;", "SELECT /* ; */ 1", ""),
            ("SELECT $_kntq$a;b$_kntq$;", "SELECT $_kntq$a;b$_kntq$", ""),
            ("SELECT $1 + $2;", "SELECT $1 + $2", ""),
        ] {
            assert_eq!(first(text), Some((statement, rest)), "{text}");
        }
        for text in ["", "SELECT 1", "SELECT ';", "SELECT /* ;", "SELECT $$;$", "-- ;"] {
            assert_eq!(first(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_complete_when_nothing_is_left_behind_it() {
        assert!(is_complete("SELECT 1;\n"));
        assert!(is_complete("SELECT 1; SELECT 2; "));
        assert!(!is_complete("SELECT 1; SELECT"));
    }
}
