//! From a text to statements: limits, PostgreSQL's grammar, conventions.

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, TokenizerError};

use crate::conventions;
use crate::error::{Error, Position};
use crate::limits;

/// What was prepared, ready for `SessionState::statement_to_plan`.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// In the order of the text; there may be none.
    pub statements: Vec<Statement>,
}

/// Stack that parsing and rewriting are given, which the limits of a statement keep them within.
const STACK_BYTES: usize = 64 << 20;

/// How deep the parser itself goes.
const RECURSION_MAX: usize = 128;

/// Parses statements, separated by `;`, in PostgreSQL's dialect, and applies the conventions of flow SQL to them.
///
/// # Errors
/// If the text is too long or a statement has too much of something, before any of it is parsed; if it is not SQL.
pub fn prepare(sql: &str) -> Result<Prepared, Error> {
    limits::check_length(sql)?;
    stacker::grow(STACK_BYTES, || parse(sql))
}

fn parse(sql: &str) -> Result<Prepared, Error> {
    let dialect = PostgreSqlDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(of_tokenizer)?;
    limits::check_tokens(&tokens)?;
    // The grammar wants something between two semicolons.
    let mut after_semicolon = true;
    tokens.retain(|token| {
        let is_semicolon = token.token == Token::SemiColon;
        let is_kept = !(is_semicolon && after_semicolon);
        if !matches!(token.token, Token::Whitespace(_)) {
            after_semicolon = is_semicolon;
        }
        is_kept
    });
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(RECURSION_MAX)
        .build()
        .map_err(of_parser)?;
    let mut statements: Vec<Statement> = parser.parse_statements().map_err(of_parser)?.into();
    statements.iter_mut().try_for_each(conventions::apply)?;
    Ok(Prepared { statements })
}

fn of_tokenizer(error: TokenizerError) -> Error {
    let at = Position { line: error.location.line, column: error.location.column };
    Error::Syntax { message: error.message, at: Some(at) }
}

fn of_parser(error: DataFusionError) -> Error {
    let message = match error {
        DataFusionError::SQL(error, _) => match *error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "nested too deep".to_owned(),
        },
        DataFusionError::Diagnostic(_, error) => return of_parser(*error),
        other => other.strip_backtrace(),
    };
    match split_position(&message) {
        Some((message, at)) => Error::Syntax { message: message.to_owned(), at: Some(at) },
        None => Error::Syntax { message, at: None },
    }
}

/// Messages of the parser end with the place.
fn split_position(message: &str) -> Option<(&str, Position)> {
    let (message, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((message, Position { line: line.parse().ok()?, column: column.trim().parse().ok()? }))
}
