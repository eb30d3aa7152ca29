//! Files that somebody or something has changed.

mod support;

use kflow_spool::fs::model::{ModelFs, Random};
use kflow_spool::{Batch, Config, Reason, Sequence, Tally};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use support::append;

const SEGMENT_BYTES: u64 = 12 << 10;

fn config() -> Config {
    Config { segment_bytes: SEGMENT_BYTES, ..support::config(1000) }
}

/// A spool on a disk, and what is known of it.
struct Image {
    files: BTreeMap<String, Vec<u8>>,
    batches: Vec<Batch>,
    /// Where the frame of each batch is, name of the file and bytes.
    frames: Vec<(String, Range<usize>)>,
    acknowledged: u64,
    epoch: u64,
}

/// A spool that was closed after some of its batches were acknowledged.
fn image(seed: u64, batches: u64, acknowledged: u64) -> Image {
    let mut random = Random(seed);
    let fs = ModelFs::default();
    let (mut writer, mut reader, _) = kflow_spool::open(Arc::new(fs.clone()), config()).unwrap();
    for _ in 0..batches {
        let payload = vec![random.draw() as u8 | 1; random.below(2500) as usize];
        append(&mut writer, &payload);
        if random.one_in(3) {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    let written = support::drain(&mut reader);
    assert_eq!(written.len() as u64, batches);
    if acknowledged > 0 {
        reader.acknowledge(Sequence(acknowledged)).unwrap();
    }
    let epoch = writer.epoch();
    writer.close().unwrap();
    drop(reader);
    let files = fs.files();
    let frames = written.iter().map(|batch| find_frame(&files, batch)).collect();
    Image { files, batches: written, frames, acknowledged, epoch }
}

/// The frame that ends with the payload of a batch; the sequence is at byte 16 of it.
fn find_frame(files: &BTreeMap<String, Vec<u8>>, batch: &Batch) -> (String, Range<usize>) {
    for (name, content) in files.iter().filter(|(name, _)| name.ends_with(".segment")) {
        for at in (0..content.len().saturating_sub(63)).step_by(8) {
            let is_frame = content[at..].starts_with(b"kfb1")
                && content[at + 16..at + 24] == batch.sequence.0.to_le_bytes();
            if is_frame {
                return (name.clone(), at..at + 64 + batch.payload.len());
            }
        }
    }
    // Its segment is gone: it was acknowledged.
    (String::new(), 0..0)
}

#[derive(Debug)]
#[expect(dead_code, reason = "the kind is told when a test fails")]
struct Damage {
    name: String,
    bytes: Range<usize>,
    kind: u64,
}

/// Damages a file, and says which of its bytes are not as they were.
fn damage(files: &mut BTreeMap<String, Vec<u8>>, random: &mut Random) -> Damage {
    let names: Vec<String> =
        files.keys().filter(|name| name.ends_with(".segment") || *name == "cursor").cloned().collect();
    let name = names[random.below(names.len() as u64) as usize].clone();
    let content = files.get_mut(&name).unwrap();
    // Half of it where something is.
    let end = if random.one_in(2) { content.len() } else { content.len().min(6000) };
    let start = random.below(end as u64) as usize;
    let length_max = [1, 64, 700, 5000][random.below(4) as usize];
    let length = 1 + random.below(length_max) as usize;
    let mut bytes = start..(start + length).min(content.len());
    let kind = random.below(4);
    match kind {
        0 => content[start] ^= 1 << random.below(8),
        1 => content[bytes.clone()].fill(0),
        2 => content[bytes.clone()].iter_mut().for_each(|byte| *byte = random.draw() as u8),
        _ => {
            content.truncate(start);
            bytes.end = usize::MAX;
        }
    }
    if kind == 0 {
        bytes.end = start + 1;
    }
    Damage { name, bytes, kind }
}

impl Image {
    /// Opens the damaged spool, reads all of it, and holds what came to what was not damaged.
    fn check(&self, damage: &Damage, files: &BTreeMap<String, Vec<u8>>) {
        let is_damaged = |(name, frame): &(String, Range<usize>)| {
            let overlaps = frame.start < damage.bytes.end && damage.bytes.start < frame.end;
            *name == damage.name && overlaps && self.files[name][frame.clone()] != *slice(files, name, frame)
        };
        let lost = self.frames.iter().map(is_damaged);
        let expected: Vec<&Batch> = self
            .batches
            .iter()
            .zip(lost)
            .filter(|(batch, is_lost)| batch.sequence.0 > self.acknowledged && !is_lost)
            .map(|(batch, _)| batch)
            .collect();

        let fs = ModelFs::from_files(files.clone());
        let (writer, mut reader, recovery) = kflow_spool::open(Arc::new(fs), config()).unwrap();
        let mut read = support::drain(&mut reader);
        let stats = writer.stats().read();
        // With its newest slot the cursor forgets an acknowledgement or two.
        let again = read.iter().take_while(|batch| batch.sequence.0 <= self.acknowledged).count();
        assert!(again == 0 || damage.name == "cursor");
        read.drain(..again);
        let expected_sequences: Vec<u64> = expected.iter().map(|batch| batch.sequence.0).collect();
        assert_eq!(support::sequences(&read), expected_sequences);
        assert!(read.iter().eq(expected), "a batch is not as it was");

        let waiting = self.batches.iter().filter(|batch| batch.sequence.0 > self.acknowledged);
        let missing = tally(waiting).batches - tally(read.iter()).batches;
        let waiting = self.batches.iter().filter(|batch| batch.sequence.0 > self.acknowledged);
        let missing_records = tally(waiting).records - tally(read.iter()).records;
        let corrupt = stats.dropped(Reason::Corrupt);
        assert_eq!((corrupt.batches, corrupt.records), (missing, missing_records), "{stats:?} {recovery:?}");
        assert_eq!(stats.dropped_for_any_reason(), corrupt);
    }
}

fn slice<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str, frame: &Range<usize>) -> &'a [u8] {
    files[name].get(frame.clone()).unwrap_or_default()
}

fn tally<'a>(batches: impl Iterator<Item = &'a Batch>) -> Tally {
    batches.fold(Tally::default(), |sum, batch| {
        let bytes = batch.payload.len() as u64;
        sum + Tally { batches: 1, records: u64::from(batch.records), bytes }
    })
}

#[test]
fn damage_costs_what_is_damaged_and_that_is_counted_exactly() {
    const SAMPLES_PER_IMAGE: u64 = 500;
    for image_seed in 0..20 {
        let image = image(image_seed, 8 + image_seed, image_seed % 7);
        for seed in 0..SAMPLES_PER_IMAGE {
            let mut random = Random(image_seed << 32 | seed);
            let mut files = image.files.clone();
            let damage = damage(&mut files, &mut random);
            let checked = catch_unwind(AssertUnwindSafe(|| image.check(&damage, &files)));
            assert!(checked.is_ok(), "image {image_seed}, seed {seed}: {damage:?}");
        }
    }
}

#[test]
fn a_spool_that_is_damaged_all_over_goes_on() {
    let images: Vec<Image> = (0..10).map(|seed| image(seed, 12, seed % 5)).collect();
    for seed in 0..1500 {
        let mut random = Random(1 << 50 | seed);
        let image = &images[seed as usize % images.len()];
        let mut files = image.files.clone();
        for _ in 0..1 + random.below(6) {
            damage(&mut files, &mut random);
        }
        let fs = ModelFs::from_files(files);
        let (mut writer, mut reader, _) = kflow_spool::open(Arc::new(fs), config()).unwrap();
        let read = support::drain(&mut reader);
        assert!(read.iter().all(|batch| image.batches.contains(batch)), "seed {seed}");
        assert!(support::sequences(&read).is_sorted(), "seed {seed}");
        let sequence = append(&mut writer, b"goes on");
        writer.commit().unwrap();
        let next = reader.next().unwrap().unwrap();
        assert_eq!((next.sequence, &next.payload[..]), (sequence, &b"goes on"[..]), "seed {seed}");
        let is_known = image.batches.iter().any(|batch| batch.sequence == sequence);
        assert!(!is_known || writer.epoch() != image.epoch, "seed {seed}: a sequence is used again");
        reader.acknowledge(sequence).unwrap();
        assert_eq!(reader.stats().read().waiting, Tally::default(), "seed {seed}");
    }
}

#[test]
fn sequences_go_on_behind_a_segment_of_which_nothing_is_left() {
    let fs = ModelFs::default();
    let (mut writer, _reader, _) = support::open(&fs);
    for _ in 0..2 {
        append(&mut writer, b"first");
        writer.commit().unwrap();
    }
    let fs = fs.kill();
    let (mut writer, _reader, _) = support::open(&fs);
    let used: Vec<Sequence> = (0..10).map(|_| append(&mut writer, b"second")).collect();
    writer.commit().unwrap();
    let epoch = writer.epoch();
    // What the cursor and the newest segment know is gone.
    let mut files = fs.kill().files();
    files.remove("cursor");
    files.get_mut("00000000000000000002.segment").unwrap().fill(0);
    let (mut writer, _reader, recovery) = support::open(&ModelFs::from_files(files));
    assert_eq!((recovery.unreadable_segments, writer.epoch()), (1, epoch));
    assert!(append(&mut writer, b"third") > *used.last().unwrap());
}

#[test]
fn a_segment_of_another_spool_is_left_alone_and_changes_nothing() {
    let image = image(1, 12, 2);
    // Numbers go on behind those of files that are there.
    let other = ModelFs::from_files([("00000000000000000098.segment".into(), vec![1; 100])].into());
    let (mut writer, reader, _) = support::open(&other);
    assert_ne!(writer.epoch(), image.epoch);
    append(&mut writer, b"elsewhere");
    writer.commit().unwrap();
    let name = "00000000000000000099.segment";
    let foreign = other.kill().files()[name].clone();
    drop((writer, reader));
    let mut files = image.files.clone();
    files.insert(name.into(), foreign.clone());

    let fs = ModelFs::from_files(files);
    let (writer, mut reader, recovery) = support::open(&fs);
    assert_eq!((writer.epoch(), recovery.unreadable_segments), (image.epoch, 1));
    assert_eq!(support::drain(&mut reader), image.batches[2..]);
    assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
    drop((writer, reader));
    assert_eq!(fs.files()[name], foreign);
}

#[test]
fn sequences_go_on_behind_segments_that_were_taken_away() {
    let mut fs = ModelFs::default();
    let mut used = Vec::new();
    let mut cursors = Vec::new();
    for _ in 0..4 {
        let (mut writer, _reader, _) = support::open(&fs);
        for _ in 0..2 {
            used.push(append(&mut writer, b"used"));
            writer.commit().unwrap();
        }
        fs = fs.kill();
        cursors.push(fs.files()["cursor"].clone());
    }
    // What is left knows of the second process and not of those after it.
    let mut files = fs.files();
    files.retain(|name, _| !name.ends_with(".segment") || name.ends_with("1.segment"));
    files.insert("cursor".into(), cursors.swap_remove(1));
    let (mut writer, _reader, recovery) = support::open(&ModelFs::from_files(files));
    assert!(!recovery.is_new);
    assert!(append(&mut writer, b"new") > *used.last().unwrap());
}
