//! Sealing: open slices that are over become parts of both series.

use super::{FAST, FULL, Frozen, State, Store};
use crate::devices::DeviceId;
use crate::error::Error;
use crate::manifest::{Commit, LogPosition, PartEntry, PartId, Series};
use crate::minute::Minute;
use crate::part::{self, PartWriter, WrittenFile};
use crate::summary::Summary;
use crate::{fast, rows::MinuteRows};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::TimestampMillisecondType;
use std::sync::Arc;

/// What sealing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    pub slices: u64,
    pub rows: u64,
}

/// Which slices are to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Those whose minute is over for long enough, and all if they take too much memory.
    AsTimePasses { now_ms: i64 },
    /// All.
    All,
}

/// Late rows wait this long for others of their minute.
const LATE_WAIT_MS: i64 = 10_000;
/// So many slices go into one commit at most.
const COMMIT_SLICES_MAX: usize = 512;

impl Store {
    /// Seals what is due. After an error the rows are where they were, and the next call tries again.
    pub async fn seal(&self, due: Due) -> Result<Sealed, Error> {
        let mut sealed = Sealed::default();
        loop {
            let frozen = self.write().freeze(due, self.limits.seal_after_ms, self.limits.open_bytes_max);
            if frozen.is_empty() {
                return Ok(sealed);
            }
            self.write_parts(&frozen).await?;
            sealed.slices += frozen.len() as u64;
            let batches = frozen.iter().flat_map(|frozen| &frozen.batches);
            sealed.rows += batches.map(|batch| batch.num_rows() as u64).sum::<u64>();
        }
    }

    /// Adds rows that are in no log: they count when this returns. For files that are imported.
    pub async fn import(&self, rows: Vec<MinuteRows>) -> Result<(), Error> {
        let frozen: Vec<Arc<Frozen>> = rows
            .into_iter()
            .map(|MinuteRows { device, minute, batch }| {
                let log = LogPosition::default();
                Arc::new(Frozen { device, minute, batches: vec![batch], log, first_sequence: 0, bytes: 0 })
            })
            .collect();
        self.write_parts(&frozen).await
    }

    async fn write_parts(&self, frozen: &[Arc<Frozen>]) -> Result<(), Error> {
        let mut manifest = self.manifest.lock().await;
        let mut commit = Commit::default();
        for frozen in frozen {
            let ids = {
                let mut state = self.write();
                [state.take_part_id(), state.take_part_id()]
            };
            for (entry, file) in self.make_parts(frozen, ids).await? {
                self.files.put(&entry.file, file.content).await?;
                commit.add.push(entry);
            }
        }
        self.commit(&mut manifest, commit, |state| state.thaw(frozen)).await
    }

    /// The files of a slice, and their entries; made on a thread that may take its time.
    async fn make_parts(
        &self,
        frozen: &Arc<Frozen>,
        ids: [PartId; 2],
    ) -> Result<Vec<(PartEntry, WrittenFile)>, Error> {
        let rows_max = self.limits.fast_rows_per_s as usize * 60;
        let frozen = Arc::clone(frozen);
        let make = move || {
            let rows = part::sorted(&frozen.batches);
            let summary = Summary::of(&rows).to_bytes();
            let thinned = fast::thin(&rows, rows_max, ids[1].0);
            let place = Place { device: frozen.device, from: frozen.minute, minutes: 1, log: frozen.log };
            Ok(vec![
                place.file(Series::Full, ids[0], &rows, summary.clone())?,
                place.file(Series::Fast, ids[1], &thinned, summary)?,
            ])
        };
        tokio::task::spawn_blocking(make)
            .await
            .map_err(|_| Error::Store("sealing a slice panicked".to_owned()))?
    }
}

/// Where a part belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub device: DeviceId,
    pub from: Minute,
    pub minutes: u32,
    pub log: LogPosition,
}

impl Place {
    /// A file of one part.
    pub fn file(
        self,
        series: Series,
        id: PartId,
        rows: &RecordBatch,
        summary: Vec<u8>,
    ) -> Result<(PartEntry, WrittenFile), Error> {
        let mut writer = PartWriter::new(&part::columns_of(std::slice::from_ref(rows)));
        writer.add(rows, summary)?;
        let file = writer.finish()?;
        let (first_ms, last_ms) = times(rows);
        let entry = PartEntry {
            id,
            device: self.device,
            series,
            from: self.from,
            minutes: self.minutes,
            file: file_name(series, self.device, self.from, id),
            row_group: 0,
            rows: rows.num_rows() as u64,
            bytes: file.content.len() as u64,
            first_ms,
            last_ms,
            summary_at: file.summaries[0].start,
            summary_bytes: file.summaries[0].end - file.summaries[0].start,
            end_checksum: file.end_checksum,
            log: self.log,
        };
        Ok((entry, file))
    }
}

/// A name that no other file ever has, sorted by time.
pub fn file_name(series: Series, device: DeviceId, from: Minute, id: PartId) -> String {
    let directory = match series {
        Series::Full => FULL,
        Series::Fast => FAST,
    };
    let (day, minute) = (from.0.div_euclid(1440), from.0.rem_euclid(1440));
    let (year, month, day) = civil(day);
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{directory}/{}/{year:04}-{month:02}-{day:02}/{hour:02}{minute:02}-{}.parquet", device.0, id.0)
}

/// Year, month and day of a day since the Unix epoch (proleptic Gregorian calendar).
fn civil(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that leap days are their last ones; eras are of 400 years.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Times of the first and the last row.
pub fn times(rows: &RecordBatch) -> (i64, i64) {
    let start = rows.column_by_name("i_start_time");
    let start = start.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
    let first = start.and_then(min);
    let last = start.and_then(max);
    (first.unwrap_or_default(), last.unwrap_or_default())
}

impl State {
    /// Takes slices out of the open ones. Those that were frozen before and not committed come first.
    fn freeze(&mut self, due: Due, seal_after_ms: i64, open_bytes_max: usize) -> Vec<Arc<Frozen>> {
        let log = self.applied;
        let is_full = self.open_bytes > open_bytes_max;
        let mut frozen = Vec::new();
        for (&device, slices) in &mut self.devices {
            frozen.extend(slices.frozen.iter().cloned());
            let is_due = |minute: Minute, first_arrival_ms: i64| match due {
                Due::All => true,
                Due::AsTimePasses { now_ms } => {
                    let is_over = now_ms >= minute.end_ms().saturating_add(seal_after_ms);
                    is_full || is_over && now_ms >= first_arrival_ms.saturating_add(LATE_WAIT_MS)
                }
            };
            let minutes: Vec<Minute> = slices
                .open
                .iter()
                .filter(|(minute, slice)| is_due(**minute, slice.first_arrival_ms))
                .map(|(&minute, _)| minute)
                .take(COMMIT_SLICES_MAX.saturating_sub(frozen.len()))
                .collect();
            for minute in minutes {
                let slice = slices.open.remove(&minute).expect("it was just there");
                let slice = Arc::new(Frozen {
                    device,
                    minute,
                    batches: slice.batches,
                    log,
                    first_sequence: slice.first_sequence,
                    bytes: slice.bytes,
                });
                slices.frozen.push(Arc::clone(&slice));
                frozen.push(slice);
            }
        }
        frozen
    }

    /// Forgets frozen rows: they are in parts now.
    fn thaw(&mut self, frozen: &[Arc<Frozen>]) {
        for slice in frozen {
            let Some(slices) = self.devices.get_mut(&slice.device) else { continue };
            let before = slices.frozen.len();
            slices.frozen.retain(|other| !Arc::ptr_eq(other, slice));
            if slices.frozen.len() < before {
                self.open_bytes = self.open_bytes.saturating_sub(slice.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_day_and_minute() {
        let name = |ms| file_name(Series::Full, DeviceId(7), Minute::of_ms(ms), PartId(3));
        assert_eq!(name(0), "full/7/1970-01-01/0000-3.parquet");
        assert_eq!(name(951_782_340_000), "full/7/2000-02-28/2359-3.parquet");
        assert_eq!(name(951_782_400_000), "full/7/2000-02-29/0000-3.parquet");
        assert_eq!(name(1_767_225_599_999), "full/7/2025-12-31/2359-3.parquet");
    }
}
