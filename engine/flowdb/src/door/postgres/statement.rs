//! Texts to statements: the engine's own way, or that of the catalogue.

use crate::door::present::prepare;
use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use std::sync::LazyLock;

/// What a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The tables that PostgreSQL describes itself by.
    Catalogue,
    Flow,
}

/// All statements of a text.
pub fn read(sql: &str) -> Result<(Language, Vec<Statement>), DataFusionError> {
    // It makes its rules once.
    static CATALOGUE: LazyLock<PostgresCompatibilityParser> = LazyLock::new(PostgresCompatibilityParser::new);
    if asks_catalogue(sql) {
        let statements = CATALOGUE.parse(sql).map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
        let boxed = |statement| Statement::Statement(Box::new(statement));
        return Ok((Language::Catalogue, statements.into_iter().map(boxed).collect()));
    }
    Ok((Language::Flow, prepare(sql)?))
}

/// Whether a text names what only PostgreSQL's catalogue has.
fn asks_catalogue(sql: &str) -> bool {
    if sql.len() > CATALOGUE_BYTES_MAX {
        return false;
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return false };
    tokens.iter().any(|token| {
        let Token::Word(word) = token else { return false };
        let name = word.value.to_ascii_lowercase();
        name.starts_with("pg_") || CATALOGUE_WORDS.contains(&name.as_str())
    })
}

/// Clients ask short questions.
const CATALOGUE_BYTES_MAX: usize = 64 << 10;

const CATALOGUE_WORDS: &[&str] = &[
    "information_schema",
    "current_schema",
    "current_schemas",
    "current_database",
    "current_user",
    "session_user",
    "set_config",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_the_catalogue_goes_its_way() {
        for sql in ["SELECT * FROM pg_catalog.pg_class", "select version()", "SELECT relname FROM PG_CLASS c"]
        {
            assert!(asks_catalogue(sql), "{sql}");
        }
        for sql in ["SELECT 'pg_class'", "SELECT in_bytes FROM all_devices -- pg_class", "SELECT 1 AS apg_"] {
            assert!(!asks_catalogue(sql), "{sql}");
        }
    }
}
