//! A flow table in memory, and queries on it as text.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses another part of it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use flow_sql::address::{mapped, parse, to_ipv4};

/// One flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// How long ago it began and arrived.
    pub seconds_ago: i64,
    /// In hundredths; null in records of which nobody said.
    pub sample_rate: Option<i64>,
    /// In hundredths; more than 100 in the Fast series.
    pub weight: i64,
    pub protocol: i32,
    pub source: &'static str,
    pub destination: &'static str,
    pub ports: (i32, i32),
    pub in_bytes: Option<i64>,
    pub in_pkts: i64,
    pub out_bytes: i64,
    pub out_pkts: i64,
    pub tcp_flags: i32,
    pub src_as: i64,
    pub host: Option<&'static str>,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            seconds_ago: 600,
            sample_rate: Some(100),
            weight: 100,
            protocol: 6,
            source: "10.0.0.1",
            destination: "192.0.2.1",
            ports: (40_000, 443),
            in_bytes: Some(1000),
            in_pkts: 10,
            out_bytes: 100,
            out_pkts: 1,
            tcp_flags: 0x1b,
            src_as: 64_496,
            host: None,
        }
    }
}

/// What the golden scripts ask about.
pub fn flows() -> Vec<Flow> {
    let flow = Flow::default();
    vec![
        Flow { seconds_ago: 2, sample_rate: Some(102_400), ..flow.clone() },
        Flow {
            seconds_ago: 3,
            protocol: 17,
            ports: (53_000, 53),
            in_bytes: Some(80),
            in_pkts: 1,
            ..flow.clone()
        },
        Flow {
            source: "10.0.0.2",
            in_bytes: Some(333),
            sample_rate: Some(150),
            host: Some("a.example"),
            ..flow.clone()
        },
        Flow { source: "10.1.0.1", in_bytes: None, host: Some("b.example"), ..flow.clone() },
        Flow {
            source: "172.16.5.4",
            protocol: 17,
            ports: (500, 500),
            sample_rate: Some(1000),
            ..flow.clone()
        },
        Flow {
            source: "203.0.113.9",
            destination: "10.0.0.1",
            src_as: 15_169,
            tcp_flags: 0x02,
            ..flow.clone()
        },
        Flow { source: "2001:db8::1", destination: "2001:db8:1::2", in_bytes: Some(9000), ..flow.clone() },
        Flow { source: "2001:db8::2", destination: "ff02::1", protocol: 58, ports: (0, 0), ..flow.clone() },
        Flow {
            source: "fe80::1",
            destination: "2001:db8::1",
            sample_rate: None,
            protocol: 17,
            ..flow.clone()
        },
        Flow { seconds_ago: 4000, in_bytes: Some(1), in_pkts: 1, ..flow.clone() },
        Flow {
            seconds_ago: 9000,
            sample_rate: Some(6400),
            weight: 6400,
            in_bytes: Some(50_000),
            in_pkts: 40,
            ..flow.clone()
        },
        Flow {
            seconds_ago: 9000,
            sample_rate: Some(100),
            weight: 100,
            in_bytes: Some(90_000),
            in_pkts: 70,
            ..flow
        },
    ]
}

pub fn schema() -> SchemaRef {
    batch(&[]).schema()
}

/// Flows as a table's rows.
pub fn batch(flows: &[Flow]) -> RecordBatch {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as i64;
    let starts = flows.iter().map(|flow| now - flow.seconds_ago * 1000);
    let starts = TimestampMillisecondArray::from_iter_values(starts).with_timezone("UTC");
    let marked = |name: &str, data_type, mark: &str| {
        let metadata = HashMap::from([("flow.type".to_owned(), mark.to_owned())]);
        Field::new(name, data_type, true).with_metadata(metadata)
    };
    let large =
        |of: fn(&Flow) -> Option<i64>| -> ArrayRef { Arc::new(Int64Array::from_iter(flows.iter().map(of))) };
    let small =
        |of: fn(&Flow) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values(flows.iter().map(of))) };
    let arrived = flows.iter().map(|flow| now / 1000 - flow.seconds_ago);
    let columns: Vec<(Field, ArrayRef)> = vec![
        column("i_start_time", Arc::new(starts)),
        column("ctimestamp", Arc::new(Int64Array::from_iter_values(arrived))),
        column("sample_rate", large(|flow| flow.sample_rate)),
        column("i_fast_weight", large(|flow| Some(flow.weight))),
        column(
            "i_fast_dataset",
            Arc::new(flows.iter().map(|flow| Some(flow.seconds_ago == 9000)).collect::<BooleanArray>()),
        ),
        column("protocol", small(|flow| flow.protocol)),
        column("l4_src_port", small(|flow| flow.ports.0)),
        column("l4_dst_port", small(|flow| flow.ports.1)),
        (marked("ipv4_src_addr", DataType::UInt32, "ipv4"), ipv4(flows.iter().map(|flow| flow.source))),
        (marked("ipv4_dst_addr", DataType::UInt32, "ipv4"), ipv4(flows.iter().map(|flow| flow.destination))),
        column("inet_src_addr", inet(flows.iter().map(|flow| flow.source))),
        column("inet_dst_addr", inet(flows.iter().map(|flow| flow.destination))),
        column("in_bytes", large(|flow| flow.in_bytes)),
        column("in_pkts", large(|flow| Some(flow.in_pkts))),
        column("out_bytes", large(|flow| Some(flow.out_bytes))),
        column("out_pkts", large(|flow| Some(flow.out_pkts))),
        column("both_bytes", large(|flow| flow.in_bytes.map(|bytes| bytes + flow.out_bytes))),
        column("both_pkts", large(|flow| Some(flow.in_pkts + flow.out_pkts))),
        column("tcp_flags", small(|flow| flow.tcp_flags)),
        column("src_as", large(|flow| Some(flow.src_as))),
        (marked("src_eth_mac", DataType::Int64, "mac"), large(|flow| Some(0x0200_0000_0000 + flow.in_pkts))),
        column("kflow_http_host", Arc::new(flows.iter().map(|flow| flow.host).collect::<StringViewArray>())),
    ];
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns are of one length")
}

fn column(name: &str, array: ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), true), array)
}

fn ipv4<'a>(texts: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter(texts.map(|text| parse(text).and_then(to_ipv4))))
}

fn inet<'a>(texts: impl Iterator<Item = &'a str>) -> ArrayRef {
    let addresses = texts.map(|text| parse(text).map(u128::to_be_bytes));
    Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(addresses, 16).expect("16 bytes each"))
}

/// A session with the table `big_backbone_router` of these flows, in two partitions, and a small table of devices.
pub fn context(flows: &[Flow]) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let context = SessionContext::new_with_state(flow_sql::install(builder).build());
    let (first, second) = flows.split_at(flows.len() / 2);
    let table =
        MemTable::try_new(schema(), vec![vec![batch(first)], vec![batch(second)]]).expect("one schema");
    context.register_table("big_backbone_router", Arc::new(table)).expect("no table of this name yet");
    let ports: ArrayRef = Arc::new(Int32Array::from(vec![443, 53]));
    let services: ArrayRef = Arc::new(StringViewArray::from(vec!["web", "names"]));
    let nets: ArrayRef = Arc::new(StringViewArray::from(vec!["10.0.0.0/8", "2001:db8::/32"]));
    let services = RecordBatch::try_from_iter([("port", ports), ("service", services), ("net", nets)])
        .expect("one length");
    context.register_batch("services", services).expect("no table of this name yet");
    context
}

/// Runs all statements; the rows of the last one as text.
pub async fn query(context: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for statement in flow_sql::prepare(sql)?.statements {
        rows = run(context, statement).await?.split_off(1);
    }
    Ok(rows)
}

/// Names of columns, then rows.
pub async fn run(
    context: &SessionContext,
    statement: datafusion::sql::parser::Statement,
) -> Result<Vec<String>> {
    let plan = context.state().statement_to_plan(statement).await?;
    let frame = context.execute_logical_plan(plan).await?;
    let expected = frame.schema().as_arrow().clone();
    let batches = frame.collect().await?;
    let schema = batches.first().map_or_else(|| Arc::new(expected.clone()), RecordBatch::schema);
    for (field, planned) in schema.fields().iter().zip(expected.fields()) {
        assert_eq!(field.data_type(), planned.data_type(), "type of {} as planned", planned.name());
    }
    let presenter = flow_sql::present(&schema);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut lines = vec![names.join(" | ")];
    let options = FormatOptions::default().with_null("NULL");
    for batch in &batches {
        let batch = presenter.batch(batch)?;
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join(" | "));
        }
    }
    Ok(lines)
}

/// A query on the flows of the golden scripts that must work.
pub async fn ask(sql: &str) -> Vec<String> {
    let context = context(&flows());
    query(&context, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"))
}

/// A query on the flows of the golden scripts that must fail, and why it does.
pub async fn refused(sql: &str) -> String {
    let context = context(&flows());
    match query(&context, sql).await {
        Ok(rows) => panic!("{sql}\nis answered: {rows:?}"),
        Err(error) => error.to_string(),
    }
}

/// An IPv4 address as the number that it is.
pub fn number(text: &str) -> u32 {
    let address = parse(text).expect("an address");
    let number = to_ipv4(address).expect("an IPv4 address");
    assert_eq!(mapped(number), address);
    number
}
