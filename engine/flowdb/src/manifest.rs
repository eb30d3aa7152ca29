//! The manifest: which parts there are, up to where the log is in them, which batches came.
//!
//! Every change is one commit, a file of its own that is created durably or not at all: `manifest/<number>.commit`. Now and
//! then all that holds is written as `manifest/<number>.state`, and what came before is removed. A file is a line with the
//! CRC-32C of the rest, and JSON.
//!
//! Reading goes from the newest state that can be read through all commits behind it. Files that cannot be read are set
//! aside and told of; the parts that they added can be found again by `flowdb repair`.

use crate::devices::DeviceId;
use crate::error::Error;
use crate::files::Files;
use crate::minute::{Minute, Span};
use crate::seen::SeenRanges;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part for as long as its rows stay together, in whatever file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Series {
    /// Every row.
    Full,
    /// Rows that stand for others.
    Fast,
}

/// What is known of a part without opening its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    pub id: PartId,
    pub device: DeviceId,
    pub series: Series,
    /// The first minute, and how many there are.
    pub from: Minute,
    pub minutes: u32,
    pub file: String,
    pub row_group: usize,
    pub rows: u64,
    /// Of the file that the part takes, about.
    pub bytes: u64,
    /// Of the first and the last row.
    pub first_ms: i64,
    pub last_ms: i64,
    /// Where its summary is in the file.
    pub summary_at: u64,
    pub summary_bytes: u64,
    /// CRC-32C of the file's end, which has those of all columns.
    pub end_checksum: u32,
    /// Everything of its minute up to here is in this or in other parts.
    pub log: LogPosition,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    pub epoch: u64,
    pub sequence: u64,
}

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<PartEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<PartId>,
    /// By sender, the batches that came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, SeenRanges>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub next_part: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// All commits together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    pub parts: BTreeMap<PartId, PartEntry>,
    pub seen: BTreeMap<String, SeenRanges>,
    pub next_part: u64,
}

/// The manifest of an open data directory.
#[derive(Debug)]
pub struct Manifest {
    files: Files,
    /// Number of the last file.
    number: u64,
    commits_since_state: u64,
    holdings: Holdings,
}

/// What reading it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestReport {
    pub commits: u64,
    /// Files that could not be read, by name.
    pub damaged: Vec<String>,
}

const DIRECTORY: &str = "manifest";
const COMMITS_BETWEEN_STATES: u64 = 64;

impl PartEntry {
    pub fn span(&self) -> Span {
        Span {
            from_ms: self.from.start_ms(),
            until_ms: Minute(self.from.0 + i64::from(self.minutes)).start_ms(),
        }
    }

    /// From its first to behind its last row.
    pub fn rows_span(&self) -> Span {
        Span { from_ms: self.first_ms, until_ms: self.last_ms.saturating_add(1) }
    }
}

impl Manifest {
    pub async fn open(files: Files) -> Result<(Manifest, ManifestReport), Error> {
        let mut states = BTreeMap::new();
        let mut commits = BTreeMap::new();
        for (name, _) in files.list(DIRECTORY).await? {
            let file = name.rsplit('/').next().unwrap_or_default();
            let Some((number, kind)) = file.split_once('.') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match kind {
                "state" => states.insert(number, name.clone()),
                "commit" => commits.insert(number, name.clone()),
                _ => None,
            };
        }
        let mut report = ManifestReport::default();
        let mut holdings = Holdings::default();
        let mut number = 0;
        for (&at, name) in states.iter().rev() {
            if let Some(state) = read(&files, name, &mut report).await? {
                (holdings, number) = (state, at);
                break;
            }
        }
        let base = number;
        for (&at, name) in commits.range(base + 1..) {
            if let Some(commit) = read::<Commit>(&files, name, &mut report).await? {
                holdings.apply(&commit);
                report.commits += 1;
            }
            number = at;
        }
        for name in &report.damaged {
            files.quarantine(name).await?;
        }
        let manifest = Manifest { files, number, commits_since_state: number - base, holdings };
        Ok((manifest, report))
    }

    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Makes a change durable. After an error it may or may not be; the next opening knows.
    pub async fn commit(&mut self, commit: &Commit) -> Result<(), Error> {
        let number = self.number + 1;
        let name = format!("{DIRECTORY}/{number:020}.commit");
        if !self.files.create(&name, seal(commit)).await? {
            return Err(Error::Store(format!("{name} is there already: another process writes here")));
        }
        self.number = number;
        self.holdings.apply(commit);
        self.commits_since_state += 1;
        if self.commits_since_state >= COMMITS_BETWEEN_STATES {
            self.write_state().await?;
        }
        Ok(())
    }

    async fn write_state(&mut self) -> Result<(), Error> {
        let name = format!("{DIRECTORY}/{:020}.state", self.number);
        self.files.put(&name, seal(&self.holdings)).await?;
        self.commits_since_state = 0;
        for (old, _) in self.files.list(DIRECTORY).await? {
            let number = old.rsplit('/').next().and_then(|file| file.split('.').next()?.parse::<u64>().ok());
            if old != name && number.is_some_and(|number| number <= self.number) {
                self.files.remove(&old).await?;
            }
        }
        Ok(())
    }
}

impl Holdings {
    fn apply(&mut self, commit: &Commit) {
        for id in &commit.remove {
            self.parts.remove(id);
        }
        for entry in &commit.add {
            self.parts.insert(entry.id, entry.clone());
        }
        for (sender, ranges) in &commit.seen {
            self.seen.insert(sender.clone(), ranges.clone());
        }
        self.next_part = self.next_part.max(commit.next_part);
    }
}

fn seal(content: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(content).expect("it is plain data");
    let mut bytes = format!("{:08x}\n", crc32c::crc32c(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    bytes.into()
}

async fn read<T: for<'a> Deserialize<'a>>(
    files: &Files,
    name: &str,
    report: &mut ManifestReport,
) -> Result<Option<T>, Error> {
    let bytes = files.read(name).await?;
    let content = open(&bytes);
    if content.is_none() {
        report.damaged.push(name.to_owned());
    }
    Ok(content)
}

fn open<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    let (checksum, json) = (bytes.get(..8)?, bytes.get(9..)?);
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    if crc32c::crc32c(json) != checksum {
        return None;
    }
    serde_json::from_slice(json).ok()
}
