//! Parts: the files that slices are made of.
//!
//! A file is ordinary Parquet with a row group for each part that it holds, so anything that reads Parquet reads it. A part
//! is the rows of a device and a minute that were sealed together, or, when it is old, of an hour of the Fast series. Between
//! the last row group and Parquet's own end are the parts' summaries, where the manifest points to.
//!
//! In: batches of stored columns. Out: the bytes of a file; rows of those columns that are asked for.

use crate::columns::{Catalog, Column, Kind, Stored};
use crate::error::Error;
use crate::files::Files;
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use datafusion::arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

#[cfg(test)]
mod size;

/// A file in the making.
pub struct PartWriter {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    summaries: Vec<Vec<u8>>,
}

/// A finished file.
#[derive(Debug)]
pub struct WrittenFile {
    pub content: Bytes,
    /// By part, where its summary is.
    pub summaries: Vec<Range<u64>>,
    /// CRC-32C of Parquet's own end.
    pub end_checksum: u32,
}

/// Key of the columns' checksums in Parquet's metadata.
const CHECKSUMS: &str = "flowdb.checksums";

/// Rows of a batch that comes out of a part at once.
pub const BATCH_ROWS: usize = 8192;

impl PartWriter {
    /// A file for parts that have these stored columns, or some of them.
    pub fn new(columns: &[Stored]) -> PartWriter {
        let stored = Catalog::shared().stored();
        let fields: Vec<_> = columns
            .iter()
            .map(|place| &stored[usize::from(place.0)])
            .map(|column| column.kind.field(&column.name))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = properties(columns);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))
            .expect("all of the catalogue's types are Parquet's");
        PartWriter { writer, schema, summaries: Vec::new() }
    }

    /// Adds a part: a row group, and what is to be said of it.
    pub fn add(&mut self, rows: &RecordBatch, summary: Vec<u8>) -> Result<(), Error> {
        let rows = fit(rows, &self.schema);
        self.writer
            .write(&rows)
            .and_then(|()| self.writer.flush())
            .map_err(|error| damaged("write", &error))?;
        self.summaries.push(summary);
        Ok(())
    }

    pub fn finish(mut self) -> Result<WrittenFile, Error> {
        let mut places = Vec::new();
        for summary in &self.summaries {
            let start = self.writer.bytes_written() as u64;
            self.writer
                .write_all(summary)
                .map_err(|error| Error::Store(format!("write a summary: {error}")))?;
            places.push(start..start + summary.len() as u64);
        }
        let text: Vec<String> =
            places.iter().map(|place| format!("{}+{}", place.start, place.end - place.start)).collect();
        self.writer.append_key_value_metadata(KeyValue::new("flowdb.summaries".to_owned(), text.join(",")));
        let checksums = self.checksums()?;
        self.writer.append_key_value_metadata(KeyValue::new(CHECKSUMS.to_owned(), checksums));
        let content = self.writer.into_inner().map_err(|error| damaged("finish", &error))?;
        let needed = metadata_bytes(&content, content.len() as u64).expect("it was just written") as usize;
        let end_checksum = crc32c::crc32c(&content[content.len() - needed..]);
        Ok(WrittenFile { content: content.into(), summaries: places, end_checksum })
    }

    /// CRC-32C of every column of every row group, in hexadecimal digits, by row group.
    fn checksums(&mut self) -> Result<String, Error> {
        self.writer.sync().map_err(|error| Error::Store(format!("write a slice: {error}")))?;
        let content = self.writer.inner();
        let mut text = String::new();
        for group in self.writer.flushed_row_groups() {
            for column in group.columns() {
                let (start, length) = column.byte_range();
                let bytes = &content[start as usize..(start + length) as usize];
                text.push_str(&format!("{:08x}", crc32c::crc32c(bytes)));
            }
            text.push(' ');
        }
        Ok(text)
    }
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter").field("parts", &self.summaries.len()).finish_non_exhaustive()
    }
}

/// How the values of a column are written, where a dictionary and zstd are not the best of both size and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Dictionary, compressed: values repeat.
    Repeating,
    /// Differences, which no compressor makes smaller: numbers that hardly repeat, but of like size.
    Differences,
    /// Differences, compressed: what rows are sorted by.
    Ascending,
    /// The first bytes of all values, then the second ones: most of them are alike.
    Bytes,
    /// As they are, compressed: a dictionary of them would be as large as they are.
    Plain,
}

impl Layout {
    fn of(column: &Column) -> Layout {
        match column.name.as_str() {
            "l4_dst_port" | "ipv4_src_addr" => Layout::Ascending,
            "l4_src_port" => Layout::Bytes,
            name if name.contains("latency") => Layout::Differences,
            _ => match column.kind {
                Kind::Time => Layout::Differences,
                Kind::Ipv4 | Kind::Inet => Layout::Plain,
                _ => Layout::Repeating,
            },
        }
    }
}

/// Encodings by what values look like.
fn properties(columns: &[Stored]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("it is a level")))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(1 << 20)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(true);
    let stored = Catalog::shared().stored();
    for place in columns {
        let column = &stored[usize::from(place.0)];
        let path = ColumnPath::from(column.name.as_str());
        let layout = Layout::of(column);
        let encoding = match layout {
            Layout::Repeating => continue,
            Layout::Differences | Layout::Ascending => Encoding::DELTA_BINARY_PACKED,
            Layout::Bytes => Encoding::BYTE_STREAM_SPLIT,
            Layout::Plain => Encoding::PLAIN,
        };
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), encoding);
        if layout == Layout::Differences {
            builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
        }
    }
    builder.build()
}

/// The stored columns that any of the batches has, in the catalogue's order.
pub fn columns_of(batches: &[RecordBatch]) -> Vec<Stored> {
    let catalog = Catalog::shared();
    let mut columns = std::collections::BTreeSet::new();
    for batch in batches {
        for field in batch.schema_ref().fields() {
            columns.extend(catalog.find_stored(field.name()));
        }
    }
    columns.into_iter().collect()
}

/// The batch with exactly these columns; those that it has not are null.
pub fn fit(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let arrays = schema.fields().iter().map(|field| {
        let array = batch.column_by_name(field.name()).map(Arc::clone);
        array.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    let arrays = arrays.collect();
    RecordBatch::try_new(Arc::clone(schema), arrays).expect("columns of one name have one type")
}

/// Batches as one.
pub fn joined(batches: &[RecordBatch]) -> RecordBatch {
    let columns = columns_of(batches);
    let stored = Catalog::shared().stored();
    let fields: Vec<_> = columns
        .iter()
        .map(|place| &stored[usize::from(place.0)])
        .map(|column| column.kind.field(&column.name))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let fitted: Vec<RecordBatch> = batches.iter().map(|batch| fit(batch, &schema)).collect();
    concat_batches(&schema, &fitted).expect("they have one schema")
}

/// Batches as one, in the order that rows have in a slice.
pub fn sorted(batches: &[RecordBatch]) -> RecordBatch {
    let rows = joined(batches);
    let keys: Vec<SortColumn> = SORT_KEYS
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: Arc::clone(values), options: Some(SortOptions::default()) })
        .collect();
    let order = lexsort_to_indices(&keys, None).expect("all of these types have an order");
    in_order(&rows, &order)
}

/// Like rows beside each other: they compress well, and pages of one port are few.
const SORT_KEYS: &[&str] =
    &["sample_rate", "protocol", "l4_dst_port", "ipv4_src_addr", "ipv6_src_addr", "i_start_time"];

fn in_order(rows: &RecordBatch, order: &UInt32Array) -> RecordBatch {
    let columns: Vec<ArrayRef> = rows
        .columns()
        .iter()
        .map(|column| take(column, order, None).expect("the order is of these rows"))
        .collect();
    RecordBatch::try_new(rows.schema(), columns).expect("all columns were taken alike")
}

/// Reads the end of a file: where its columns are.
pub async fn read_metadata(
    files: &Files,
    name: &str,
    end_checksum: u32,
) -> Result<ArrowReaderMetadata, Error> {
    let length = files.length(name).await?.ok_or_else(|| Error::Store(format!("{name} is not there")))?;
    let mut tail = files.read_range(name, length.saturating_sub(TAIL_BYTES)..length).await?;
    let needed =
        metadata_bytes(&tail, length).ok_or_else(|| Error::Store(format!("{name} is no Parquet file")))?;
    if needed > tail.len() as u64 {
        tail = files.read_range(name, length - needed..length).await?;
    }
    if crc32c::crc32c(&tail[tail.len() - needed as usize..]) != end_checksum {
        return Err(Error::Store(format!("{name}: its end is not what was written")));
    }
    let body = tail.slice(tail.len() - needed as usize..tail.len() - 8);
    let metadata = ParquetMetaDataReader::decode_metadata(&body)
        .map_err(|error| Error::Store(format!("{name}: {error}")))?;
    arrow_metadata(metadata).map_err(|error| Error::Store(format!("{name}: {error}")))
}

/// The types of the catalogue, whatever the file says of Arrow.
fn arrow_metadata(metadata: ParquetMetaData) -> parquet::errors::Result<ArrowReaderMetadata> {
    let own = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())?;
    Ok(own)
}

const TAIL_BYTES: u64 = 64 << 10;

/// Length of the metadata, with the 8 bytes behind it that say so.
fn metadata_bytes(tail: &[u8], length: u64) -> Option<u64> {
    let end = tail.len().checked_sub(8)?;
    let number = u32::from_le_bytes(tail[end..end + 4].try_into().ok()?);
    let needed = u64::from(number) + 8;
    (&tail[end + 4..] == b"PAR1" && needed <= length).then_some(needed)
}

/// Reads columns of some row groups. Columns that the file has not are left out.
///
/// Everything is fetched at once and decoded as it is asked for.
pub async fn read_rows(
    files: &Files,
    name: &str,
    metadata: &ArrowReaderMetadata,
    row_groups: Range<usize>,
    columns: &[Stored],
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
    let parquet = metadata.metadata();
    let stored = Catalog::shared().stored();
    let descriptor = parquet.file_metadata().schema_descr();
    let by_name: BTreeMap<&str, usize> =
        descriptor.columns().iter().enumerate().map(|(leaf, column)| (column.name(), leaf)).collect();
    let leaves: Vec<usize> = columns
        .iter()
        .filter_map(|place| by_name.get(stored[usize::from(place.0)].name.as_str()).copied())
        .collect();
    if row_groups.end > parquet.num_row_groups() {
        return Err(Error::Store(format!("{name} has but {} row groups", parquet.num_row_groups())));
    }
    let mut ranges = Vec::new();
    for group in row_groups.clone() {
        for &leaf in &leaves {
            let (start, length) = parquet.row_group(group).column(leaf).byte_range();
            ranges.push(start..start + length);
        }
    }
    let chunks = files.read_ranges(name, &ranges).await?;
    let wanted = row_groups.clone().flat_map(|group| leaves.iter().map(move |&leaf| (group, leaf)));
    for ((group, leaf), chunk) in wanted.zip(&chunks) {
        if checksum(parquet, group, leaf) != Some(crc32c::crc32c(chunk)) {
            let column = descriptor.column(leaf);
            return Err(Error::Store(format!("{name}: column {} is not what was written", column.name())));
        }
    }
    let input = Chunks { chunks: ranges.iter().map(|range| range.start).zip(chunks).collect() };
    let mask = ProjectionMask::leaves(descriptor, leaves);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata.clone())
        .with_projection(mask)
        .with_row_groups(row_groups.collect())
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| Error::Store(format!("{name}: {error}")))?;
    let name = name.to_owned();
    Ok(reader.map(move |batch| batch.map_err(|error| Error::Store(format!("{name}: {error}")))))
}

/// What a column's checksum was when it was written.
fn checksum(metadata: &ParquetMetaData, group: usize, leaf: usize) -> Option<u32> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|pair| pair.key == CHECKSUMS)?.value.as_ref()?;
    let group_digits =
        metadata.num_row_groups().checked_sub(1).map(|_| metadata.row_group(0).num_columns() * 8 + 1)?;
    let start = group * group_digits + leaf * 8;
    u32::from_str_radix(text.get(start..start + 8)?, 16).ok()
}

/// Parts of a file by where they begin.
struct Chunks {
    chunks: Vec<(u64, Bytes)>,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.chunks.iter().map(|(start, bytes)| start + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let (begin, bytes) = self.chunk(start)?;
        Ok(bytes::Buf::reader(bytes.slice((start - begin) as usize..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let (begin, bytes) = self.chunk(start)?;
        let offset = (start - begin) as usize;
        let end = offset.checked_add(length).filter(|&end| end <= bytes.len());
        let end =
            end.ok_or_else(|| parquet::errors::ParquetError::EOF("beyond a column's end".to_owned()))?;
        Ok(bytes.slice(offset..end))
    }
}

impl Chunks {
    fn chunk(&self, start: u64) -> parquet::errors::Result<&(u64, Bytes)> {
        let found =
            self.chunks.iter().find(|(begin, bytes)| (*begin..begin + bytes.len() as u64).contains(&start));
        found.ok_or_else(|| parquet::errors::ParquetError::EOF(format!("nothing was read at {start}")))
    }
}

fn damaged(what: &str, error: &parquet::errors::ParquetError) -> Error {
    Error::Store(format!("{what} a slice: {error}"))
}
