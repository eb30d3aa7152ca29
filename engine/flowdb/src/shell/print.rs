//! Rows on standard output, as a table, JSON or CSV.

use crate::columns::Catalog;
use crate::error::Error;
use crate::shell::progress::Progress;
use crate::shell::source::Asked;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::util::pretty::pretty_format_batches;
use serde_json::Value;
use std::io::{self, Write};
use std::str::FromStr;

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Table,
    /// A JSON object a line.
    Json,
    Csv,
}

impl FromStr for Style {
    type Err = ();

    fn from_str(name: &str) -> Result<Style, ()> {
        match name {
            "table" => Ok(Style::Table),
            "json" => Ok(Style::Json),
            "csv" => Ok(Style::Csv),
            _ => Err(()),
        }
    }
}

/// A table is as wide as its widest value, so its rows have to be there before it is printed. No more than these are.
const TABLE_ROWS_MAX: usize = 10_000;

/// Prints an answer to its end. Returns its report.
pub async fn answer(asked: &mut Asked, style: Style, progress: &Progress) -> Result<Value, Error> {
    let mut table: Vec<RecordBatch> = Vec::new();
    let (mut kept, mut left_out, mut is_first) = (0, 0, true);
    while let Some(batch) = asked.next().await? {
        match style {
            Style::Table => {
                let take = batch.num_rows().min(TABLE_ROWS_MAX - kept);
                (kept, left_out) = (kept + take, left_out + batch.num_rows() - take);
                table.push(batch.slice(0, take));
            }
            Style::Json | Style::Csv => {
                progress.end();
                let mut output = io::stdout().lock();
                written(print_batch(&mut output, &batch, style, is_first))?;
            }
        }
        is_first = false;
    }
    progress.end();
    if style == Style::Table {
        if table.is_empty()
            && let Some(schema) = asked.schema()
        {
            table.push(RecordBatch::new_empty(schema));
        }
        let text = pretty_format_batches(&table).map_err(|error| Error::Query(error.to_string()))?;
        written(writeln!(io::stdout().lock(), "{text}"))?;
        if left_out > 0 {
            eprintln!("… and {left_out} rows more: --format csv prints all");
        }
    } else if style == Style::Csv
        && is_first
        && let Some(schema) = asked.schema()
    {
        let nothing = RecordBatch::new_empty(schema);
        written(print_batch(&mut io::stdout().lock(), &nothing, style, true))?;
    }
    Ok(asked.report())
}

fn print_batch(output: &mut impl Write, batch: &RecordBatch, style: Style, is_first: bool) -> io::Result<()> {
    match style {
        Style::Json => LineDelimitedWriter::new(output).write(batch).map_err(io::Error::other),
        Style::Csv if is_first && batch.num_rows() == 0 => {
            let names: Vec<&str> =
                batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
            writeln!(output, "{}", names.join(","))
        }
        _ => csv::WriterBuilder::new()
            .with_header(is_first)
            .build(output)
            .write(batch)
            .map_err(io::Error::other),
    }
}

fn written(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error::Query(format!("standard output: {error}")))
}

/// The columns of a flow table: they are the same for all.
pub fn columns(output: &mut impl Write) {
    for column in Catalog::shared().columns() {
        let kind = format!("{:?}", column.kind).to_lowercase();
        let _ = writeln!(output, "{:<28} {kind:<6} {}", column.name, column.meaning);
    }
}

/// `12 rows, 34 ms; Full; 571 slices: 570 cached, 1 read`.
pub fn report_line(report: &Value) -> String {
    let number = |name: &str| report[name].as_u64().unwrap_or(0);
    let plural = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut line = format!("{}, {} ms", plural(number("rows"), "row"), number("elapsed_ms"));
    let series: Vec<String> =
        report["series"].as_array().into_iter().flatten().filter_map(Value::as_str).map(title).collect();
    if series.is_empty() {
        return line;
    }
    line += &format!("; {}; {}", series.join(" and "), plural(number("slices"), "slice"));
    let kinds = ["summarised", "cached", "read", "open", "pruned", "quarantined"];
    let uses: Vec<String> = kinds
        .into_iter()
        .filter(|kind| number(kind) > 0)
        .map(|kind| format!("{} {kind}", number(kind)))
        .collect();
    if !uses.is_empty() {
        line += &format!(": {}", uses.join(", "));
    }
    line
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_report_is_one_line() {
        let report = json!({ "rows": 12, "elapsed_ms": 34, "series": ["full"], "slices": 571, "cached": 570, "read": 1 });
        assert_eq!(report_line(&report), "12 rows, 34 ms; Full; 571 slices: 570 cached, 1 read");
        let report = json!({ "rows": 1, "elapsed_ms": 0, "series": [], "slices": 0 });
        assert_eq!(report_line(&report), "1 row, 0 ms");
        let report = json!({ "rows": 0, "elapsed_ms": 5, "series": ["full", "fast"], "slices": 1 });
        assert_eq!(report_line(&report), "0 rows, 5 ms; Full and Fast; 1 slice");
    }
}
