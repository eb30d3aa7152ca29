//! Any directory is a spool, or becomes one, or is refused; what is in it can be read to its end, and it goes on.
#![no_main]

use kflow_spool::{
    Config, Reader, WhenFull, Writer,
    fs::model::ModelFs,
    inspect::{Depth, Inspection},
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use wireflow_fuzz::spool;

const CONFIG: Config = Config {
    bytes_max: 128 << 10,
    segment_bytes: 8 << 10,
    disk_free_min: 0,
    group_bytes_max: 64 << 10,
    when_full: WhenFull::DropOldest,
};

/// More batches than fit into an input.
const BATCHES_MAX: usize = 10_000;

fuzz_target!(|bytes: &[u8]| {
    let fs = ModelFs::from_files(spool::read(bytes));
    if let Ok(inspection) = Inspection::begin(&fs) {
        let _ = inspection.segments(Depth::Payloads).count();
    }
    let Some((mut writer, mut reader)) = open(&fs) else { return };
    let sequences = drain(&mut reader);
    assert!(sequences.is_sorted());
    if let Some(middle) = sequences.get(sequences.len() / 2) {
        // The highest sequence there is has none behind it, and is never acknowledged.
        let _ = reader.acknowledge(kflow_spool::Sequence(*middle));
    }
    writer.append(b"goes on", 7, 1).expect("there is room");
    writer.commit().expect("there is room");
    drain(&mut reader);
    drop((writer, reader));
    let (_writer, mut reader) = open(&fs).expect("it could be opened before");
    drain(&mut reader);
});

fn open(fs: &ModelFs) -> Option<(Writer, Reader)> {
    let (writer, reader, _) = kflow_spool::open(Arc::new(fs.clone()), CONFIG).ok()?;
    Some((writer, reader))
}

fn drain(reader: &mut Reader) -> Vec<u64> {
    let mut sequences = Vec::new();
    while let Some(batch) = reader.next().expect("the disk works") {
        sequences.push(batch.sequence.0);
        assert!(sequences.len() <= BATCHES_MAX, "this never ends");
    }
    sequences
}
