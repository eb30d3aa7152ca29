//! What a row takes on the disk, of rows that are shaped as a large router's.

use super::*;
use crate::summary::Summary;
use bench_rows::{Generator, ROWS_PER_MINUTE};

/// Parquet with a dictionary and zstd for every column takes 30.0.
const BYTES_PER_ROW_MAX: f64 = 27.4;

#[test]
fn a_row_takes_few_bytes_with_its_share_of_the_summary() {
    let (rows, _) = Generator::new(1).minute(0, ROWS_PER_MINUTE);
    let rows = sorted(&[rows]);
    let mut writer = PartWriter::new(&columns_of(std::slice::from_ref(&rows)));
    writer.add(&rows, Summary::of(&rows).to_bytes()).expect("memory takes it");
    let file = writer.finish().expect("memory takes it");
    let per_row = |bytes: u64| bytes as f64 / rows.num_rows() as f64;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file.content).expect("it was just written");
    for column in metadata.row_group(0).columns() {
        eprintln!("{:6.3} {}", per_row(column.compressed_size() as u64), column.column_path());
    }
    eprintln!("{:6.3} summary", per_row(file.summaries[0].end - file.summaries[0].start));
    let all = per_row(file.content.len() as u64);
    eprintln!("{all:6.3} bytes a row");
    assert!(all <= BYTES_PER_ROW_MAX, "{all} bytes a row");
}
