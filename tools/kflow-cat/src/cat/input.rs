//! What to read: files, the standard input, and the flow files of directories.

use anyhow::{Context, Error};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// A place that a flow file is read from.
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    pub fn open(&self) -> Result<Box<dyn Read>, Error> {
        match self {
            Input::Stdin => Ok(Box::new(io::stdin().lock())),
            Input::File(path) => {
                let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                Ok(Box::new(BufReader::new(file)))
            }
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => write!(f, "standard input"),
            Input::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The inputs that an argument stands for: a directory for its flow files in the order of their names.
pub fn expand(path: &Path) -> Result<Vec<Input>, Error> {
    if path.as_os_str() == "-" {
        return Ok(vec![Input::Stdin]);
    }
    if !path.is_dir() {
        return Ok(vec![Input::File(path.to_owned())]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let file = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
        if file.extension().is_some_and(|extension| extension == "kflow") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files.into_iter().map(Input::File).collect())
}
