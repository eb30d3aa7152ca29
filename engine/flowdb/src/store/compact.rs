//! What becomes of old parts: files of minutes are joined, and what is older than its days is removed.
//!
//! In the Full series a part stays a part when its file is joined with others: its rows and its number are the same, so what
//! was computed from it still holds. Parts of one minute become one. In the Fast series the parts of an hour become one.

use super::seal::{Place, file_name, times};
use super::{Part, Store};
use crate::columns::{Catalog, Stored};
use crate::error::Error;
use crate::manifest::{Commit, LogPosition, PartEntry, PartId, Series};
use crate::minute::Minute;
use crate::part::{self, PartWriter, WrittenFile};
use crate::summary::Summary;
use datafusion::arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub files_before: u64,
    pub files_after: u64,
}

/// Rows of a joined file, about.
const FILE_ROWS_MAX: u64 = 4 << 20;
/// An hour is joined when it has been over for so long.
const HOUR_WAIT_MS: i64 = 10 * 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Store {
    /// Joins the files of hours that are over.
    pub async fn compact(&self, now_ms: i64) -> Result<Compacted, Error> {
        let mut compacted = Compacted::default();
        for group in self.groups(now_ms) {
            let files: BTreeSet<&str> = group.iter().map(|part| part.entry().file.as_str()).collect();
            let joined = match group[0].entry().series {
                Series::Full => self.join_full(&group).await,
                Series::Fast => self.join_fast(&group).await,
            };
            match joined {
                Ok(()) => {
                    compacted.files_before += files.len() as u64;
                    compacted.files_after += 1;
                }
                // Its rows cannot be joined; those of other groups can.
                Err(_) if group.iter().any(|part| part.is_damaged()) => {}
                Err(error) => return Err(error),
            }
        }
        self.remove_doomed().await?;
        Ok(compacted)
    }

    /// Removes what is older than the days of its series.
    pub async fn expire(&self, now_ms: i64) -> Result<u64, Error> {
        let oldest = |days: u32| now_ms.saturating_sub(i64::from(days).saturating_mul(DAY_MS));
        let is_old = |part: &Arc<Part>| {
            let PartEntry { series, .. } = part.entry();
            let days = if *series == Series::Full { self.limits.full_days } else { self.limits.fast_days };
            part.entry().span().until_ms <= oldest(days)
        };
        let remove: Vec<PartId> =
            self.all_parts().iter().filter(|part| is_old(part)).map(|part| part.entry().id).collect();
        let count = remove.len() as u64;
        if count > 0 {
            let mut manifest = self.manifest.lock().await;
            self.commit(&mut manifest, Commit { remove, ..Commit::default() }, |_| {}).await?;
        }
        self.remove_doomed().await?;
        Ok(count)
    }

    /// Parts that are to be in one file and are not.
    fn groups(&self, now_ms: i64) -> Vec<Vec<Arc<Part>>> {
        let mut hours: BTreeMap<_, Vec<Arc<Part>>> = BTreeMap::new();
        for part in self.all_parts() {
            let entry = part.entry();
            let hour = entry.from.hour();
            if hour.start_ms() + HOUR_MS + HOUR_WAIT_MS <= now_ms && !part.is_damaged() {
                hours.entry((entry.series, entry.device, hour)).or_default().push(part);
            }
        }
        let mut groups = Vec::new();
        for ((series, ..), mut parts) in hours {
            parts.sort_by_key(|part| (part.entry().from, part.entry().id));
            let cut = if series == Series::Full { by_rows(parts) } else { vec![parts] };
            groups.extend(cut.into_iter().filter(|group| is_scattered(group)));
        }
        groups
    }

    async fn join_full(&self, group: &[Arc<Part>]) -> Result<(), Error> {
        let mut columns = BTreeSet::new();
        let mut minutes: BTreeMap<Minute, Vec<&Arc<Part>>> = BTreeMap::new();
        for part in group {
            columns.extend(self.columns_of(part).await?);
            minutes.entry(part.entry().from).or_default().push(part);
        }
        let columns: Vec<Stored> = columns.into_iter().collect();
        let mut writer = PartWriter::new(&columns);
        let mut commit = Commit::default();
        for (row_group, (minute, parts)) in minutes.into_iter().enumerate() {
            let (id, rows, summary) = self.join_minute(&parts).await?;
            let first = parts[0].entry();
            let (first_ms, last_ms) = times(&rows);
            let log = parts.iter().map(|part| part.entry().log).max().unwrap_or_default();
            commit.add.push(PartEntry {
                id,
                from: minute,
                row_group,
                rows: rows.num_rows() as u64,
                bytes: parts.iter().map(|part| part.entry().bytes).sum(),
                first_ms,
                last_ms,
                log,
                ..first.clone()
            });
            let replaced = parts.iter().map(|part| part.entry().id).filter(|&old| old != id);
            commit.remove.extend(replaced);
            writer = blocking(move || writer.add(&rows, summary).map(|()| writer)).await?;
        }
        let WrittenFile { content, summaries, end_checksum } = blocking(move || writer.finish()).await?;
        let first = group[0].entry();
        let name = file_name(Series::Full, first.device, first.from, self.new_id());
        for (entry, place) in commit.add.iter_mut().zip(summaries) {
            entry.file.clone_from(&name);
            entry.end_checksum = end_checksum;
            entry.summary_at = place.start;
            entry.summary_bytes = place.end - place.start;
        }
        self.files.put(&name, content).await?;
        let mut manifest = self.manifest.lock().await;
        self.commit(&mut manifest, commit, |_| {}).await
    }

    /// The rows of a minute, and what is to be said of them. One part keeps its number.
    async fn join_minute(&self, parts: &[&Arc<Part>]) -> Result<(PartId, RecordBatch, Vec<u8>), Error> {
        let mut batches = Vec::new();
        for part in parts {
            batches.extend(self.rows_of(part).await?);
        }
        let kept = match parts {
            [part] => part.summary(&self.files).await.map(|summary| (part.entry().id, summary.to_bytes())),
            _ => None,
        };
        let new_id = self.new_id();
        blocking(move || {
            if let Some((id, summary)) = kept {
                return Ok((id, part::joined(&batches), summary));
            }
            let rows = part::sorted(&batches);
            let summary = Summary::of(&rows).to_bytes();
            Ok((new_id, rows, summary))
        })
        .await
    }

    async fn join_fast(&self, group: &[Arc<Part>]) -> Result<(), Error> {
        let mut batches = Vec::new();
        let mut summary: Option<Summary> = None;
        for part in group {
            batches.extend(self.rows_of(part).await?);
            let other = part.summary(&self.files).await.ok_or_else(|| {
                part.mark_damaged();
                Error::Store(format!("{} has no summary", part.entry().file))
            })?;
            match &mut summary {
                Some(summary) => summary.merge(&other),
                None => summary = Some(other),
            }
        }
        let summary = summary.map(|summary| summary.to_bytes()).unwrap_or_default();
        let first = group[0].entry();
        let log = LogPosition::default();
        let place = Place { device: first.device, from: first.from.hour(), minutes: 60, log };
        let id = self.new_id();
        let make = move || place.file(Series::Fast, id, &part::sorted(&batches), summary);
        let (entry, file) = blocking(make).await?;
        self.files.put(&entry.file, file.content).await?;
        let remove = group.iter().map(|part| part.entry().id).collect();
        let mut manifest = self.manifest.lock().await;
        self.commit(&mut manifest, Commit { add: vec![entry], remove, ..Commit::default() }, |_| {}).await
    }

    /// All rows of a part. A part that cannot be read is marked.
    pub async fn rows_of(&self, part: &Arc<Part>) -> Result<Vec<RecordBatch>, Error> {
        let columns = self.columns_of(part).await?;
        let read = async {
            let entry = part.entry();
            let metadata = self.ends.of(&self.files, entry).await?;
            let group = entry.row_group..entry.row_group + 1;
            let batches = part::read_rows(&self.files, &entry.file, &metadata, group, &columns).await?;
            blocking(move || batches.collect::<Result<Vec<_>, _>>()).await
        };
        read.await.inspect_err(|_| part.mark_damaged())
    }

    async fn columns_of(&self, part: &Arc<Part>) -> Result<Vec<Stored>, Error> {
        let metadata = self.ends.of(&self.files, part.entry()).await;
        let metadata = metadata.inspect_err(|_| part.mark_damaged())?;
        let columns = metadata.parquet_schema().columns().iter();
        Ok(columns.filter_map(|column| Catalog::shared().find_stored(column.name())).collect())
    }

    fn new_id(&self) -> PartId {
        self.write().take_part_id()
    }
}

/// Cuts parts of an hour so that no file gets too large. Parts of one minute stay together.
fn by_rows(parts: Vec<Arc<Part>>) -> Vec<Vec<Arc<Part>>> {
    let mut groups: Vec<Vec<Arc<Part>>> = Vec::new();
    let mut rows = 0;
    for part in parts {
        let entry = part.entry();
        let is_same_minute =
            groups.last().and_then(|group| group.last()).is_some_and(|last| last.entry().from == entry.from);
        rows += entry.rows;
        if groups.is_empty() || rows > FILE_ROWS_MAX && !is_same_minute {
            rows = entry.rows;
            groups.push(Vec::new());
        }
        groups.last_mut().expect("there is one").push(part);
    }
    groups
}

/// Whether there is more than one file, or more than one part that is to be one.
fn is_scattered(group: &[Arc<Part>]) -> bool {
    let first = group[0].entry();
    match first.series {
        Series::Full => group.iter().any(|part| part.entry().file != first.file),
        Series::Fast => group.len() > 1,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Store("joining files panicked".to_owned()))?
}
