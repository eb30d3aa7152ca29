//! How much SQL is taken: so much that no dashboard notices, so little that no text can exhaust stack or time.
//!
//! All is decided on tokens, in one pass, before anything is parsed. What nests (brackets) and what chains (operators:
//! a chain of them is a tree as deep as it is long) is bounded by statement.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Position};

/// Bytes of a text.
pub const TEXT_BYTES_MAX: usize = 512 * 1024;

/// Statements of a text.
pub const STATEMENTS_MAX: usize = 256;

/// Brackets within brackets.
pub const DEPTH_MAX: usize = 32;

/// Operators, `AND`, `OR` and the like. Items of a list are not counted.
pub const OPERATORS_MAX: usize = 1000;

/// `UNION`, `INTERSECT`, `EXCEPT`.
pub const SET_OPERATIONS_MAX: usize = 64;

/// `JOIN`, and tables separated by commas.
pub const JOINS_MAX: usize = 64;

/// `EXPLAIN`, `INTERVAL INTERVAL`, `ARRAY<ARRAY<`: words that stand before their like, in a row.
pub const PREFIXES_MAX: usize = 8;

/// `[`.
pub const SUBSCRIPTS_MAX: usize = 256;

pub(crate) fn check_length(sql: &str) -> Result<(), Error> {
    let bytes = sql.len();
    if bytes > TEXT_BYTES_MAX { Err(Error::TooLong { bytes, most: TEXT_BYTES_MAX }) } else { Ok(()) }
}

/// What a statement has so far.
#[derive(Default)]
struct Counts {
    depth: usize,
    operators: usize,
    set_operations: usize,
    joins: usize,
    subscripts: usize,
    /// In a row.
    prefixes: usize,
}

pub(crate) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let mut statements = 0;
    let mut counts = Counts::default();
    for token in tokens {
        let at = Position { line: token.span.start.line, column: token.span.start.column };
        let check = |number: usize, most: usize, what: &'static str| {
            if number > most { Err(Error::TooMuch { what, most, at }) } else { Ok(()) }
        };
        if token.token == Token::SemiColon {
            counts = Counts::default();
            statements += 1;
            check(statements, STATEMENTS_MAX, "statements")?;
            continue;
        }
        counts.add(&token.token);
        check(counts.depth, DEPTH_MAX, "brackets within brackets")?;
        check(counts.operators, OPERATORS_MAX, "operators")?;
        check(counts.set_operations, SET_OPERATIONS_MAX, "set operations")?;
        check(counts.joins, JOINS_MAX, "joins")?;
        check(counts.subscripts, SUBSCRIPTS_MAX, "subscripts")?;
        check(counts.prefixes, PREFIXES_MAX, "words of one kind in a row")?;
    }
    Ok(())
}

impl Counts {
    fn add(&mut self, token: &Token) {
        match token {
            Token::Whitespace(_) => return,
            Token::LParen | Token::LBrace => self.depth += 1,
            Token::LBracket => {
                self.depth += 1;
                self.subscripts += 1;
            }
            Token::RParen | Token::RBracket | Token::RBrace => self.depth = self.depth.saturating_sub(1),
            Token::Word(word) => return self.add_keyword(word.keyword),
            other if is_operator(other) => {
                self.operators += 1;
                // `ARRAY<ARRAY<`.
                return;
            }
            _ => {}
        }
        self.prefixes = 0;
    }

    fn add_keyword(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS => {
                self.set_operations += 1;
            }
            Keyword::JOIN | Keyword::APPLY | Keyword::LATERAL | Keyword::UNNEST => self.joins += 1,
            Keyword::EXPLAIN | Keyword::DESCRIBE | Keyword::DESC | Keyword::PREPARE => {
                self.prefixes += 1;
                return;
            }
            Keyword::INTERVAL
            | Keyword::ARRAY
            | Keyword::DATE
            | Keyword::TIME
            | Keyword::TIMESTAMP
            | Keyword::PRIOR => {
                self.prefixes += 1;
                return;
            }
            Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::NOTNULL
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::OVERLAPS
            | Keyword::OPERATOR
            | Keyword::MEMBER => self.operators += 1,
            _ => {}
        }
        self.prefixes = 0;
    }
}

/// All but words, values and punctuation.
fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::EOF
            | Token::Word(_)
            | Token::Number(_, _)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::Placeholder(_)
    )
}
