//! `flowdb import`: flow files into a data directory.
//!
//! A flow file is messages with their length in front ([`kflow::file`]). Rows keep the time that they have, however old they
//! are. Rows of one device and minute become one slice for as many messages as are taken at a time. A file that is
//! damaged is taken up to there, and the error says where that is.

use crate::clock;
use crate::devices::{DeviceId, NewDevice};
use crate::engine::Engine;
use crate::error::Error;
use crate::minute::Minute;
use crate::part;
use crate::rows::{self, Arrival, MinuteRows};
use datafusion::arrow::array::RecordBatch;
use kflow::codec::MESSAGE_BYTES_MAX;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// What became of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub messages: u64,
    pub rows: u64,
    /// Low-resolution copies, which are left out.
    pub copies: u64,
}

/// Rows that are held before they are written.
const ROWS_AT_ONCE: u64 = 2_000_000;

type Slices = BTreeMap<(DeviceId, Minute), Vec<RecordBatch>>;

/// The device of this name, which is created if need be.
pub fn device(engine: &Engine, name: &str) -> Result<DeviceId, Error> {
    let new = NewDevice { name: name.replace('.', "_"), ..NewDevice::default() };
    Ok(engine.devices().create(new)?.id)
}

/// Adds the rows of a file. Those that do not say their device are of `device`.
pub async fn file(engine: &Engine, path: &Path, device: Option<DeviceId>) -> Result<Imported, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::Malformed(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut input = BufReader::new(file);
    let mut imported = Imported::default();
    let mut slices = Slices::new();
    let (mut held, mut offset) = (0, 0);
    let arrival = Arrival { device, now_ms: clock::now_ms(), age_max_ms: i64::MAX / 2 };
    let end = loop {
        let message = match read_message(&mut input) {
            Ok(Some(message)) => message,
            Ok(None) => break Ok(()),
            Err(what) => break Err(failed(&format!("at byte {offset}: {what}"))),
        };
        let decoded = match rows::decode(&message, arrival) {
            Ok(decoded) => decoded,
            Err(error) => break Err(failed(&format!("at byte {offset}: {error}"))),
        };
        if let Some(rows) = decoded.rows.iter().find(|rows| engine.devices().by_id(rows.device).is_none()) {
            let number = rows.device.0;
            break Err(Error::UnknownDevice(format!("number {number}, in {}: add it first", path.display())));
        }
        offset += (LENGTH_BYTES + message.len()) as u64;
        imported.messages += 1;
        imported.rows += decoded.count;
        imported.copies += decoded.copies;
        held += decoded.count;
        for MinuteRows { device, minute, batch } in decoded.rows {
            slices.entry((device, minute)).or_default().push(batch);
        }
        if held >= ROWS_AT_ONCE {
            write(engine, std::mem::take(&mut slices)).await?;
            held = 0;
        }
    };
    write(engine, slices).await?;
    end.map(|()| imported)
}

async fn write(engine: &Engine, slices: Slices) -> Result<(), Error> {
    if slices.is_empty() {
        return Ok(());
    }
    let whole = move || {
        let one = |((device, minute), batches): ((DeviceId, Minute), Vec<RecordBatch>)| MinuteRows {
            device,
            minute,
            batch: part::sorted(&batches),
        };
        slices.into_iter().map(one).collect()
    };
    let rows = tokio::task::spawn_blocking(whole).await.map_err(|_| Error::Closed)?;
    engine.import(rows).await
}

const LENGTH_BYTES: usize = 4;

/// The next message; `None` at the end of the file. Memory grows with what is there, not with what a length claims.
fn read_message(input: &mut impl Read) -> Result<Option<Vec<u8>>, String> {
    let mut length = Vec::new();
    input.by_ref().take(LENGTH_BYTES as u64).read_to_end(&mut length).map_err(|error| error.to_string())?;
    if length.is_empty() {
        return Ok(None);
    }
    let length = length.try_into().map_err(|_| "the file ends within a message's length".to_owned())?;
    let length = u32::from_le_bytes(length) as usize;
    if length == 0 || length > MESSAGE_BYTES_MAX {
        return Err(format!("no message has {length} bytes"));
    }
    let mut message = Vec::new();
    input.by_ref().take(length as u64).read_to_end(&mut message).map_err(|error| error.to_string())?;
    if message.len() < length {
        return Err(format!("the file ends {} bytes into a message of {length}", message.len()));
    }
    Ok(Some(message))
}
