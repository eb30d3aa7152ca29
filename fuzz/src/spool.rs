//! Directories of spools as inputs, for `spool_open` and its seeds.
//!
//! The first byte says whether checksums are made right. Then piece by piece: one byte for the name of the file, two for the
//! number of bytes that are appended to it, two for the number of zeros behind them, these bytes. All little endian.

use crate::{take, take_up_to};
use kflow_spool::forge;
use std::collections::BTreeMap;

pub type Files = BTreeMap<String, Vec<u8>>;

/// The files that an input stands for.
pub fn read(mut bytes: &[u8]) -> Files {
    let is_sealed = take::<1>(&mut bytes).is_some_and(|[flags]| flags & 1 != 0);
    let mut files = Files::new();
    while let Some([code, length_low, length_high, zeros_low, zeros_high]) = take(&mut bytes) {
        let length = usize::from(u16::from_le_bytes([length_low, length_high]));
        let zeros = usize::from(u16::from_le_bytes([zeros_low, zeros_high]));
        let content = files.entry(name(code)).or_default();
        content.extend(take_up_to(&mut bytes, length));
        content.resize(content.len() + zeros, 0);
    }
    if is_sealed {
        let epoch = epoch(&files);
        files.iter_mut().for_each(|(name, content)| forge::seal(name, epoch, content));
    }
    files
}

/// The input that stands for these files; those that have no code are left out.
pub fn write(files: &Files, is_sealed: bool) -> Vec<u8> {
    let mut input = vec![u8::from(is_sealed)];
    for (file, content) in files {
        let Some(code) = (0..=u8::MAX).find(|code| name(*code) == *file) else { continue };
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (bytes, zeros) = first_piece(rest);
            input.push(code);
            input.extend(
                [bytes, zeros].map(|number| number as u16).iter().flat_map(|number| number.to_le_bytes()),
            );
            input.extend(&rest[..bytes]);
            rest = &rest[bytes + zeros..];
        }
    }
    input
}

/// How many bytes there are before so many zeros that it is worth while to count them, and how many zeros.
fn first_piece(content: &[u8]) -> (usize, usize) {
    const WORTH_WHILE: usize = 16;
    let bytes = content.windows(WORTH_WHILE).position(|window| window == [0; WORTH_WHILE]);
    let bytes = bytes.unwrap_or(content.len()).min(usize::from(u16::MAX));
    let zeros = content[bytes..].iter().take_while(|byte| **byte == 0).count();
    (bytes, zeros.min(usize::from(u16::MAX)))
}

fn name(code: u8) -> String {
    match code {
        0 => "cursor".into(),
        1 => "spare".into(),
        2 => "lock".into(),
        number => format!("{:020}.segment", number - 2),
    }
}

/// What the first segment says, or else the cursor.
fn epoch(files: &Files) -> u64 {
    let first = files.values().find_map(|content| content.get(16..24)?.try_into().ok());
    first.map_or(1, u64::from_le_bytes)
}
