//! The shell's own commands.

use crate::shell::Style;

/// A line that begins with a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Quit,
    Timing,
    Tables,
    Describe(String),
    Explain(String),
    Style(Style),
}

pub const HELP: &str = "\
\\d            tables
\\d TABLE      columns of a table
\\explain SQL  how a query would be answered
\\format NAME  table, json or csv
\\timing       says, or does not say, what a query took
\\q            quit
Statements end with a semicolon and may have several lines. Ctrl-C ends a query.
";

impl Command {
    /// `None` if the line is no command.
    pub fn read(line: &str) -> Option<Result<Command, String>> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        let name = name.strip_prefix('\\')?;
        Some(match (name, argument) {
            ("q" | "quit", "") => Ok(Command::Quit),
            ("?" | "h" | "help", "") => Ok(Command::Help),
            ("timing", "") => Ok(Command::Timing),
            ("d" | "dt", "") => Ok(Command::Tables),
            ("d", table) => Ok(Command::Describe(table.to_owned())),
            ("explain", sql) if !sql.is_empty() => Ok(Command::Explain(sql.to_owned())),
            ("format", style) => {
                style.parse().map(Command::Style).map_err(|()| "formats are table, json and csv".to_owned())
            }
            _ => Err(format!("there is no command {line:?}; \\? lists them")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_their_first_word() {
        assert_eq!(Command::read("SELECT 1;"), None);
        assert_eq!(Command::read(" \\q "), Some(Ok(Command::Quit)));
        assert_eq!(Command::read("\\d;"), Some(Ok(Command::Tables)));
        assert_eq!(Command::read("\\d all_devices"), Some(Ok(Command::Describe("all_devices".to_owned()))));
        assert_eq!(Command::read("\\explain SELECT 1;"), Some(Ok(Command::Explain("SELECT 1".to_owned()))));
        assert_eq!(Command::read("\\format csv"), Some(Ok(Command::Style(Style::Csv))));
        assert!(Command::read("\\drop").unwrap().is_err());
        assert!(Command::read("\\explain").unwrap().is_err());
    }
}
