//! Looking after files: every part is read to its end, and those that cannot be are set aside.

use super::{Part, Store};
use crate::error::Error;
use crate::manifest::{Commit, PartId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What reading all parts found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    pub parts: u64,
    pub rows: u64,
    pub damaged: Vec<DamagedPart>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DamagedPart {
    pub id: PartId,
    pub file: String,
    /// Rows that the manifest says it has.
    pub rows: u64,
    pub what: String,
}

impl Store {
    /// Reads every part: all columns with their checksums, and the summary.
    pub async fn check(&self) -> Checked {
        let mut checked = Checked::default();
        for part in self.all_parts() {
            checked.parts += 1;
            match self.check_part(&part).await {
                Ok(rows) => checked.rows += rows,
                Err(error) => checked.damaged.push(DamagedPart {
                    id: part.entry().id,
                    file: part.entry().file.clone(),
                    rows: part.entry().rows,
                    what: error.to_string(),
                }),
            }
        }
        checked
    }

    async fn check_part(&self, part: &Arc<Part>) -> Result<u64, Error> {
        let rows: u64 = self.rows_of(part).await?.iter().map(|batch| batch.num_rows() as u64).sum();
        if rows != part.entry().rows {
            part.mark_damaged();
            return Err(Error::Store(format!("it has {rows} rows")));
        }
        if part.summary(&self.files).await.is_none() {
            return Err(Error::Store("its summary cannot be read".to_owned()));
        }
        Ok(rows)
    }

    /// Takes damaged parts out of the manifest and moves their files to `quarantine/`, unless they hold other parts. Answers
    /// are without their rows afterwards, and do not say so any more.
    pub async fn set_aside(&self, damaged: &[DamagedPart]) -> Result<(), Error> {
        let remove: Vec<PartId> = damaged.iter().map(|part| part.id).collect();
        let files: BTreeSet<&str> = damaged.iter().map(|part| part.file.as_str()).collect();
        if remove.is_empty() {
            return Ok(());
        }
        {
            let mut manifest = self.manifest.lock().await;
            self.commit(&mut manifest, Commit { remove, ..Commit::default() }, |_| {}).await?;
        }
        let kept: BTreeSet<String> = self.all_parts().iter().map(|part| part.entry().file.clone()).collect();
        self.doomed
            .lock()
            .expect("nothing panics while it is held")
            .retain(|doomed| !files.contains(doomed.file.as_str()));
        for file in files {
            if !kept.contains(file) && self.files.length(file).await?.is_some() {
                self.files.quarantine(file).await?;
            }
        }
        Ok(())
    }
}
