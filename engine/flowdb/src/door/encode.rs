//! Rows as JSON, CSV or Arrow, batch by batch.

use crate::door::run::QueryReport;
use crate::error::Error;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::writer::{JsonArray, Writer as JsonWriter, WriterBuilder};
use std::mem::take;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Arrow,
}

/// Writes an answer.
pub enum Encoder {
    /// `{"rows":[…],"report":{…}}`
    Json(Box<JsonWriter<Vec<u8>, JsonArray>>),
    Csv(Vec<u8>),
    Arrow(Box<StreamWriter<Vec<u8>>>, Tail),
}

/// What comes behind the end of an Arrow stream, where readers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    Nothing,
    /// `{"report":{…}}`, with a member `error` if the answer broke off.
    Report,
}

impl Format {
    /// The format that an `Accept` header names first; `None` if it names others only. No header is JSON.
    pub fn of_accept(accept: Option<&str>) -> Option<Format> {
        let Some(accept) = accept else { return Some(Format::Json) };
        accept.split(',').find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
            "" | "*/*" | "application/*" | "application/json" => Some(Format::Json),
            "text/csv" | "text/*" => Some(Format::Csv),
            "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
            _ => None,
        })
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

impl Encoder {
    pub fn new(format: Format, tail: Tail, schema: &SchemaRef) -> Result<Encoder, Error> {
        Ok(match format {
            Format::Json => {
                let writer = WriterBuilder::new().with_explicit_nulls(true).build(b"{\"rows\":".to_vec());
                Encoder::Json(Box::new(writer))
            }
            Format::Csv => Encoder::Csv(csv_line(schema)),
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), schema).map_err(failed)?;
                Encoder::Arrow(Box::new(writer), tail)
            }
        })
    }

    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Error> {
        match self {
            Encoder::Json(writer) => {
                if batch.num_rows() > 0 {
                    writer.write(batch).map_err(failed)?;
                }
                Ok(take(writer.get_mut()))
            }
            Encoder::Csv(buffer) => {
                let mut writer = csv::WriterBuilder::new().with_header(false).build(&mut *buffer);
                writer.write(batch).map_err(failed)?;
                drop(writer);
                Ok(take(buffer))
            }
            Encoder::Arrow(writer, _) => {
                writer.write(batch).map_err(failed)?;
                Ok(take(writer.get_mut()))
            }
        }
    }

    pub fn end(&mut self, report: &QueryReport) -> Result<Vec<u8>, Error> {
        match self {
            Encoder::Json(writer) => {
                writer.finish().map_err(failed)?;
                let mut bytes = take(writer.get_mut());
                bytes.extend_from_slice(b",\"report\":");
                serde_json::to_writer(&mut bytes, report).expect("a report is plain data");
                bytes.extend_from_slice(b"}\n");
                Ok(bytes)
            }
            Encoder::Csv(buffer) => Ok(take(buffer)),
            Encoder::Arrow(writer, tail) => {
                writer.finish().map_err(failed)?;
                let mut bytes = take(writer.get_mut());
                if *tail == Tail::Report {
                    bytes.extend(serde_json::json!({ "report": report }).to_string().into_bytes());
                }
                Ok(bytes)
            }
        }
    }

    /// The end of an answer that breaks off, for formats that can say so. For others the connection has to tell.
    pub fn break_off(&mut self, error: &Error, report: &QueryReport) -> Option<Vec<u8>> {
        let text = serde_json::json!({ "error": error.to_string(), "report": report }).to_string();
        let bytes = match self {
            Encoder::Json(writer) => {
                writer.finish().ok()?;
                let mut bytes = take(writer.get_mut());
                bytes.push(b',');
                bytes.extend_from_slice(&text.as_bytes()[1..]);
                bytes.push(b'\n');
                bytes
            }
            Encoder::Arrow(writer, Tail::Report) => {
                writer.finish().ok()?;
                let mut bytes = take(writer.get_mut());
                bytes.extend_from_slice(text.as_bytes());
                bytes
            }
            Encoder::Csv(_) | Encoder::Arrow(_, Tail::Nothing) => return None,
        };
        Some(bytes)
    }
}

/// The names of the columns as a line. Arrow's writer has none for an answer without rows.
fn csv_line(schema: &Schema) -> Vec<u8> {
    let quoted = |name: &String| {
        let is_plain = !name.is_empty() && !name.contains([',', '"', '\n', '\r']);
        if is_plain { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
    };
    let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    (names.join(",") + "\n").into_bytes()
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn failed(error: ArrowError) -> Error {
    Error::Query(format!("the answer cannot be written in this format: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ReportSnapshot;
    use datafusion::arrow::array::{Decimal128Array, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("a,b", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
            Field::new("sum", DataType::Decimal128(38, 0), true),
        ]);
        let sum = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890), None]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(Int64Array::from(vec![Some(1), None])),
                Arc::new(StringArray::from(vec![Some("x \"y\""), None])),
                Arc::new(sum.with_precision_and_scale(38, 0).unwrap()),
            ],
        )
        .unwrap()
    }

    fn report() -> QueryReport {
        QueryReport { rows: 2, elapsed_ms: 3, slices: ReportSnapshot::default() }
    }

    fn whole(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, Tail::Nothing, &batch().schema()).unwrap();
        let mut bytes = Vec::new();
        for batch in batches {
            bytes.extend(encoder.rows(batch).unwrap());
        }
        bytes.extend(encoder.end(&report()).unwrap());
        bytes
    }

    #[test]
    fn json_has_rows_and_a_report() {
        let value: serde_json::Value =
            serde_json::from_slice(&whole(Format::Json, &[batch(), batch()])).unwrap();
        assert_eq!(value["rows"].as_array().unwrap().len(), 4);
        assert_eq!(value["rows"][0]["a,b"], 1);
        assert!(value["rows"][1]["text"].is_null());
        assert_eq!(value["report"]["rows"], 2);
        let empty: serde_json::Value = serde_json::from_slice(&whole(Format::Json, &[])).unwrap();
        assert_eq!(empty["rows"], serde_json::json!([]));
    }

    #[test]
    fn json_that_breaks_off_says_so_and_is_json() {
        for batches in [0, 1] {
            let mut encoder = Encoder::new(Format::Json, Tail::Nothing, &batch().schema()).unwrap();
            let mut bytes = Vec::new();
            for _ in 0..batches {
                bytes.extend(encoder.rows(&batch()).unwrap());
            }
            bytes.extend(encoder.break_off(&Error::Budget("too much".to_owned()), &report()).unwrap());
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["error"], "too much");
            assert_eq!(value["rows"].as_array().unwrap().len(), batches * 2);
        }
    }

    #[test]
    fn csv_has_its_names_once_even_without_rows() {
        let text = String::from_utf8(whole(Format::Csv, &[batch(), batch()])).unwrap();
        let line = "1,\"x \"\"y\"\"\",12345678901234567890\n,,\n";
        assert_eq!(text, format!("\"a,b\",text,sum\n{line}{line}"));
        assert_eq!(whole(Format::Csv, &[]), b"\"a,b\",text,sum\n");
    }

    #[test]
    fn arrow_is_read_back_the_same() {
        let bytes = whole(Format::Arrow, &[batch(), batch()]);
        let reader = datafusion::arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read, [batch(), batch()]);
    }

    #[test]
    fn the_first_known_format_counts() {
        assert_eq!(Format::of_accept(None), Some(Format::Json));
        assert_eq!(Format::of_accept(Some("text/csv;q=0.9, */*")), Some(Format::Csv));
        assert_eq!(
            Format::of_accept(Some("image/png, application/vnd.apache.arrow.stream")),
            Some(Format::Arrow)
        );
        assert_eq!(Format::of_accept(Some("image/png")), None);
    }
}
