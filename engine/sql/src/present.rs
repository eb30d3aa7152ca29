//! Results for people: addresses and MAC addresses as texts.
//!
//! Every `FixedSizeBinary(16)` is an address, a `UInt32` is one if its field's metadata say `flow.type` = `ipv4`, an
//! `Int64` is a MAC address if they say `mac`. All else stays as it is.

use std::fmt::{Display, Write};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::Result;

use crate::address::column::{Addresses, MAC, TYPE_KEY, form, is};
use crate::address::text;
use crate::names::mac;

/// Turns batches of one schema into batches for people.
#[derive(Clone, Debug)]
pub struct Presenter {
    schema: SchemaRef,
    columns: Vec<Show>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    AsItIs,
    Address,
    Mac,
}

/// How results of this schema are shown.
pub fn present(schema: &Schema) -> Presenter {
    let columns: Vec<Show> = schema.fields().iter().map(|field| how(field)).collect();
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<Arc<Field>> = fields
        .map(|(field, show)| match show {
            Show::AsItIs => Arc::clone(field),
            Show::Address | Show::Mac => Arc::new(shown(field)),
        })
        .collect();
    Presenter { schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), columns }
}

impl Presenter {
    /// The schema of what is shown.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// # Errors
    /// If the batch is not of the schema.
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(&self.columns);
        let columns = columns.map(|(column, show)| match show {
            Show::AsItIs => Ok(Arc::clone(column)),
            Show::Address => Ok(texts(Addresses::of(column)?.iter().map(|address| address.map(text)))),
            Show::Mac => {
                let numbers = column.as_primitive::<Int64Type>().iter();
                Ok(texts(numbers.map(|number| number.map(|number| mac(number as u64)))))
            }
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &rows)?)
    }
}

fn how(field: &Field) -> Show {
    if form(field).is_some() {
        Show::Address
    } else if *field.data_type() == DataType::Int64 && is(field, MAC) {
        Show::Mac
    } else {
        Show::AsItIs
    }
}

fn shown(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove(TYPE_KEY);
    Field::new(field.name(), DataType::Utf8View, field.is_nullable()).with_metadata(metadata)
}

fn texts<T: Display>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    let mut builder = StringViewBuilder::new();
    let mut buffer = String::new();
    for value in values {
        let Some(value) = value else {
            builder.append_null();
            continue;
        };
        buffer.clear();
        write!(buffer, "{value}").expect("a string takes all that is written to it");
        builder.append_value(&buffer);
    }
    Arc::new(builder.finish())
}
