//! Measures the sketch library beside others, and the registers it could have had beside those it has.
//!
//! `cargo xtask bench hll` runs it. It prints figures as a JSON array on the standard output and tables for
//! people on the standard error, and with `--pictures FOLDER` it draws the errors into that folder.
//!
//! | module | what it measures |
//! |---|---|
//! | [`speed`] | time and bytes of adding, merging, estimating, serialising, beside other libraries |
//! | [`error`] | bias and error from one value to a thousand million, simulated from a million on |
//! | [`schemes`] | kinds of registers in the same memory: the choice behind the library |

mod cpu_time;
mod error;
mod figure;
mod peers;
mod plot;
mod schemes;
mod simulation;
mod speed;
mod vectorised;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use figure::Figure;

/// What can be measured by itself.
const PARTS: [&str; 3] = ["speed", "schemes", "error"];

fn main() -> ExitCode {
    let Some((parts, pictures)) = parse(env::args().skip(1)) else {
        eprintln!("usage: hll-bench [--pictures FOLDER] [speed] [schemes] [error]");
        return ExitCode::FAILURE;
    };
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut figures = Vec::new();
    if is_wanted("speed") {
        figures.extend(speed::measure());
    }
    if is_wanted("schemes") {
        figures.extend(schemes::measure());
    }
    if is_wanted("error") {
        let errors = error::measure();
        figures.extend(errors.figures());
        if let Some(folder) = pictures
            && let Err(error) = draw(&errors, &folder)
        {
            eprintln!("cannot draw into {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{:#}", figures.iter().map(Figure::to_json).collect::<serde_json::Value>());
    ExitCode::SUCCESS
}

/// The parts that are named, and where pictures go.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(Vec<String>, Option<PathBuf>)> {
    let (mut parts, mut pictures) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        if argument == "--pictures" {
            pictures = Some(PathBuf::from(arguments.next()?));
        } else if PARTS.contains(&argument.as_str()) {
            parts.push(argument);
        } else {
            return None;
        }
    }
    Some((parts, pictures))
}

fn draw(errors: &error::Errors, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, picture) in errors.pictures() {
        fs::write(folder.join(name), picture)?;
    }
    Ok(())
}
