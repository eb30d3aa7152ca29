//! A folder of captures, with what is on record about them.
//!
//! `expected.jsonl` has one line a capture (see [`crate::facts`]), whose `file` ends in the path below the folder.
//! Captures that it does not name are found by their endings, in all folders below.

use anyhow::Context;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub const EXPECTED: &str = "expected.jsonl";

const ENDINGS: [&str; 3] = [".pcap", ".pcapng", ".cap"];
const COMPRESSED: [&str; 2] = [".gz", ".zst"];

#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Relative to the folder, with `/` between its parts.
    pub file: String,
    pub path: PathBuf,
    /// The line of `expected.jsonl`.
    pub expected: Option<Json>,
}

impl Capture {
    /// The name without folders, as explanations give it.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }
}

/// All captures of the folder, by name.
pub fn captures(folder: &Path) -> anyhow::Result<Vec<Capture>> {
    let mut found = BTreeMap::new();
    add_files(folder, "", &mut found).with_context(|| format!("look through {}", folder.display()))?;
    let expected = folder.join(EXPECTED);
    if expected.is_file() {
        let lines = fs::read_to_string(&expected).with_context(|| format!("read {}", expected.display()))?;
        for (index, line) in lines.lines().enumerate() {
            let place = || format!("{}:{}", expected.display(), index + 1);
            let facts: Json = serde_json::from_str(line).with_context(place)?;
            let file = facts["file"].as_str().context("no text `file`").with_context(place)?;
            let file = found_as(file, &found).unwrap_or(file).to_owned();
            found.insert(file, Some(facts));
        }
    }
    let capture = |(file, expected)| Capture { path: folder.join(&file), file, expected };
    Ok(found.into_iter().map(capture).collect())
}

/// The capture of the folder that the record means: its path may have been written down from another folder.
fn found_as<'a>(file: &'a str, found: &'a BTreeMap<String, Option<Json>>) -> Option<&'a str> {
    let ends = file.match_indices('/').map(|(slash, _)| &file[slash + 1..]);
    std::iter::once(file).chain(ends).find(|end| found.contains_key(*end))
}

fn add_files(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Option<Json>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is not UTF-8 could not be printed; such a file is none of a corpus.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let file = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            add_files(&entry.path(), &format!("{file}/"), found)?;
        } else if is_capture(&name) {
            found.insert(file, None);
        }
    }
    Ok(())
}

fn is_capture(name: &str) -> bool {
    let plain = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    #[test]
    fn captures_are_known_by_their_endings() {
        for name in ["a.pcap", "b.pcapng.gz", "c.cap.zst"] {
            assert!(is_capture(name), "{name}");
        }
        for name in ["expected.jsonl", "pcap", "a.pcap.txt", "notes.gz"] {
            assert!(!is_capture(name), "{name}");
        }
    }

    #[test]
    fn captures_on_record_and_others_are_found() {
        let folder = Folder::create().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("more/one.pcap"), "").unwrap();
        fs::write(folder.path().join("two.pcapng"), "").unwrap();
        fs::write(folder.path().join(EXPECTED), "{\"file\": \"two.pcapng\", \"packets\": 3}\n").unwrap();
        let captures = captures(folder.path()).unwrap();
        let seen: Vec<_> =
            captures.iter().map(|c| (c.file.as_str(), c.name(), c.expected.is_some())).collect();
        assert_eq!(seen, [("more/one.pcap", "one.pcap", false), ("two.pcapng", "two.pcapng", true)]);
    }

    #[test]
    fn record_written_from_another_folder_is_of_the_capture_that_its_path_ends_in() {
        let folder = Folder::create().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("more/one.pcap"), "").unwrap();
        fs::write(
            folder.path().join(EXPECTED),
            "{\"file\": \"/from/more/one.pcap\"}\n{\"file\": \"gone.pcap\"}\n",
        )
        .unwrap();
        let captures = captures(folder.path()).unwrap();
        let seen: Vec<_> = captures.iter().map(|c| (c.file.as_str(), c.expected.is_some())).collect();
        assert_eq!(seen, [("gone.pcap", true), ("more/one.pcap", true)]);
    }

    #[test]
    fn line_that_is_no_json_is_named() {
        let folder = Folder::create().unwrap();
        fs::write(folder.path().join(EXPECTED), "{\"file\": \"a.pcap\"}\nnothing\n").unwrap();
        let error = captures(folder.path()).unwrap_err();
        assert!(error.to_string().contains("expected.jsonl:2"), "{error}");
    }
}
