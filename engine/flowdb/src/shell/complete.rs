//! Completion of words, and when a statement is whole.

use crate::columns::Catalog;
use crate::shell::split;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

/// What may be typed: tables, columns, functions, keywords.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
}

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "HAVING",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "IS NULL",
    "AS",
    "DESC",
    "ASC",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "WITH",
    "JOIN",
    "ON",
    "UNION ALL",
    "OVER",
    "PARTITION BY",
    "INTERVAL",
    "EXPLAIN",
    "ANALYZE",
    "SHOW",
    "now()",
];

const FUNCTIONS: &[&str] = &[
    "f_sum(",
    "f_count(",
    "f_avg(",
    "f_max(",
    "f_min(",
    "f_countdistinct(",
    "f_hll(",
    "f_percentile(",
    "f_sum_error(",
    "f_count_error(",
    "raw_sum(",
    "raw_count(",
    "raw_avg(",
    "hll_sketch(",
    "hll_merge(",
    "hll_estimate(",
    "hll_error(",
    "sum(",
    "count(",
    "avg(",
    "min(",
    "max(",
    "date_trunc(",
    "date_bin(",
    "inet(",
    "in_network(",
    "network(",
    "network_text(",
    "family(",
    "is_private(",
    "is_multicast(",
    "is_loopback(",
    "is_link_local(",
    "is_global(",
    "host(",
    "protocol_name(",
    "port_name(",
    "app_protocol_name(",
    "tcp_flags_text(",
    "as_name(",
    "mac_text(",
    "round(",
    "coalesce(",
];

impl Words {
    pub fn new(tables: &[String]) -> Words {
        let columns = Catalog::shared().columns().iter().map(|column| column.name.clone());
        let fixed = KEYWORDS.iter().chain(FUNCTIONS).map(|word| (*word).to_owned());
        let mut words: Vec<String> = tables.iter().cloned().chain(columns).chain(fixed).collect();
        words.sort();
        words.dedup();
        Words { words }
    }

    /// What the word before the cursor may become, and where it begins.
    fn candidates(&self, line: &str, cursor: usize) -> (usize, Vec<&str>) {
        let is_inside = |letter: char| letter.is_alphanumeric() || letter == '_';
        let begin = line[..cursor]
            .rfind(|letter| !is_inside(letter))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let typed = &line[begin..cursor];
        if typed.is_empty() {
            return (begin, Vec::new());
        }
        let fits = |word: &&str| word.get(..typed.len()).is_some_and(|head| head.eq_ignore_ascii_case(typed));
        (begin, self.words.iter().map(String::as_str).filter(fits).collect())
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (begin, words) = self.candidates(line, cursor);
        let pair = |word: &str| Pair { display: word.to_owned(), replacement: word.to_owned() };
        Ok((begin, words.into_iter().map(pair).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let is_whole =
            text.trim().is_empty() || text.trim_start().starts_with('\\') || split::is_complete(text);
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_cursor_is_completed() {
        let words = Words::new(&["edge_router".to_owned()]);
        assert_eq!(words.candidates("SELECT in_pk", 12), (7, vec!["in_pkts"]));
        let (place, found) = words.candidates("select 1 fr", 11);
        assert_eq!((place, found[0]), (9, "FROM"), "{found:?}");
        assert_eq!(words.candidates("SELECT 1 FROM edge", 18), (14, vec!["edge_router"]));
        assert_eq!(words.candidates("SELECT ", 7).1, Vec::<&str>::new());
        assert_eq!(words.candidates("SELECT ü", 9).1, Vec::<&str>::new());
    }
}
