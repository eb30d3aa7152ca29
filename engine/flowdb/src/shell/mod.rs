//! `flowdb sql`: a shell on a data directory or on a running server.
//!
//! # The way of a line
//!
//! 1. A line that begins with a backslash is a command of the shell ([`command`]). Others are collected up to a `;`
//!    ([`split`]).
//! 2. The statement goes to its [`source`]: the engine in this process, or a server over HTTP.
//! 3. Rows are printed as they come ([`print`]), then one line says what it took.
//!
//! Results go to standard output, everything else to standard error.

mod command;
mod complete;
pub mod import;
mod print;
mod progress;
mod remote;
mod source;
mod split;

pub use print::Style;
pub use source::{Source, Target};

use crate::error::Error;
use command::Command;
use complete::Words;
use progress::Progress;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// What a shell is started with.
#[derive(Debug)]
pub struct Options {
    pub target: Target,
    /// Statements to run, in place of reading them.
    pub text: Option<String>,
    pub style: Style,
    /// File of lines that were typed before.
    pub history: Option<PathBuf>,
}

/// A shell that is running.
struct Shell {
    source: Source,
    style: Style,
    says_timing: bool,
}

/// Runs a shell to its end. Errors of statements are printed; `false` says that there was one and nobody typed it.
pub async fn run(options: Options) -> Result<bool, Error> {
    let source = Source::open(options.target).await?;
    let mut shell = Shell { source, style: options.style, says_timing: true };
    let all_well = match options.text {
        Some(text) => shell.run_all(&text).await,
        None if io::stdin().is_terminal() => {
            shell.converse(options.history).await?;
            true
        }
        None => {
            let text = io::read_to_string(io::stdin()).map_err(|error| Error::Query(error.to_string()))?;
            shell.run_all(&text).await
        }
    };
    shell.source.close().await?;
    Ok(all_well)
}

impl Shell {
    /// Runs a text; stops at the first error.
    async fn run_all(&mut self, text: &str) -> bool {
        let mut rest = text;
        while !rest.trim().is_empty() {
            let (statement, after) = split::first(rest).unwrap_or((rest, ""));
            rest = after;
            if !statement.trim().is_empty() && !self.statement(statement).await {
                return false;
            }
        }
        true
    }

    async fn converse(&mut self, history: Option<PathBuf>) -> Result<(), Error> {
        let failed = |error: ReadlineError| Error::Query(format!("the terminal: {error}"));
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
        let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Words::new(&self.source.tables().await)));
        if let Some(path) = &history {
            let _ = editor.load_history(path);
        }
        eprintln!("flowdb {}: {}; \\? for help", env!("CARGO_PKG_VERSION"), self.source.describe());
        loop {
            // The editor waits for keys; nothing else goes on meanwhile.
            match tokio::task::block_in_place(|| editor.readline("flowdb> ")) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let _ = editor.add_history_entry(line.trim());
                    if !self.line(&line).await {
                        break;
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        if let Some(path) = &history
            && let Err(error) = editor.save_history(path)
        {
            eprintln!("flowdb: history in {}: {error}", path.display());
        }
        Ok(())
    }

    /// One line, or several up to a `;`. `false` ends the shell.
    async fn line(&mut self, line: &str) -> bool {
        match Command::read(line) {
            None => {
                self.run_all(line).await;
            }
            Some(Ok(Command::Quit)) => return false,
            Some(Ok(command)) => self.command(command).await,
            Some(Err(what)) => eprintln!("{what}"),
        }
        true
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Quit => {}
            Command::Help => eprint!("{}", command::HELP),
            Command::Timing => {
                self.says_timing = !self.says_timing;
                eprintln!("timing is {}", if self.says_timing { "on" } else { "off" });
            }
            Command::Tables => {
                for table in self.source.tables().await {
                    println!("{table}");
                }
            }
            Command::Describe(table) => {
                if self.source.tables().await.contains(&table) {
                    print::columns(&mut io::stdout().lock());
                } else {
                    eprintln!("there is no table {table}");
                }
            }
            Command::Explain(sql) => {
                self.statement(&format!("EXPLAIN {sql}")).await;
            }
            Command::Style(style) => self.style = style,
        }
    }

    /// Runs a statement and prints its result.
    async fn statement(&mut self, sql: &str) -> bool {
        let progress = Progress::begin();
        let asked = self.source.ask(sql.trim());
        let result = tokio::select! {
            result = async { print::answer(&mut asked.await?, self.style, &progress).await } => result,
            _ = tokio::signal::ctrl_c() => Err(Error::Query("cancelled".to_owned())),
        };
        drop(progress);
        let _ = io::stdout().flush();
        match result {
            Ok(report) => {
                if self.says_timing {
                    eprintln!("{}", print::report_line(&report));
                }
                true
            }
            Err(error) => {
                eprintln!("ERROR: {error}");
                false
            }
        }
    }
}
