//! Seeds of `spool_open`: spools as processes leave them that end, die, or lose power.

use crate::Seeds;
use kflow_spool::{
    Config, WhenFull,
    fs::model::{ModelFs, Random},
};
use std::{io, sync::Arc};
use wireflow_fuzz::spool;

const CONFIG: Config = Config {
    bytes_max: 128 << 10,
    segment_bytes: 8 << 10,
    disk_free_min: 0,
    group_bytes_max: 64 << 10,
    when_full: WhenFull::DropOldest,
};

pub fn write_spool_open(seeds: &Seeds) -> io::Result<()> {
    for batches in [0, 1, 5, 20, 40] {
        for end in ["closed", "killed", "power"] {
            let files = spool_of(batches, end).files();
            for is_sealed in [false, true] {
                let name = format!("{batches}-{end}-{}", if is_sealed { "sealed" } else { "as-is" });
                seeds.write("spool_open", &name, &spool::write(&files, is_sealed))?;
            }
        }
    }
    Ok(())
}

/// A disk with a spool of so many batches, a third of them acknowledged, that came to this end.
fn spool_of(batches: u32, end: &str) -> ModelFs {
    let fs = ModelFs::default();
    let opened = kflow_spool::open(Arc::new(fs.clone()), CONFIG);
    let (mut writer, mut reader, _) = opened.expect("a disk in memory works");
    for number in 0..batches {
        let payload = vec![number as u8; number as usize * 5];
        writer.append(&payload, number, 1).expect("a disk in memory works");
        if number % 4 == 0 {
            writer.commit().expect("a disk in memory works");
        }
    }
    let read = (0..batches / 3).map_while(|_| reader.next().expect("a disk in memory works"));
    if let Some(last) = read.last() {
        reader.acknowledge(last.sequence).expect("it was handed out");
    }
    match end {
        "killed" => fs.kill(),
        "power" => fs.lose_power(&mut Random(u64::from(batches))),
        _ => {
            drop((reader, writer));
            fs
        }
    }
}
