//! Random queries, answered by the engine and by SQLite from the same rows, must have equal answers: of rows that just
//! came, that are sealed, whose files were joined, that were read again after a restart.

#[path = "../support/mod.rs"]
mod support;

mod oracle;
mod queries;
mod rows;

use flowdb::{Engine, NewDevice};
use futures::{StreamExt, stream};
use oracle::Oracle;
use queries::{Query, Random};
use rows::DEVICES;
use std::collections::HashMap;
use support::{Directory, ask, base_ms, send};

const ROWS: usize = 10_000;
/// Four states of the store share them. Without optimisation ten thousand take many minutes; `FLOWDB_TRUTH_QUERIES=10000` asks
/// them.
const QUERIES: usize = 2000;
/// One query in so many is asked again, when the caches know it.
const AGAIN: usize = 20;
/// Queries that are under way at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_have_the_answers_that_sqlite_gives() {
    let directory = Directory::new();
    let base = base_ms();
    let mut random = Random(1);
    let rows = rows::draw(&mut random, ROWS, base);
    let (early, late) = rows.split_at(ROWS * 9 / 10);
    let mut all = Vec::new();

    let engine = Engine::open_still(directory.config()).await.expect("the directory is fine");
    deliver(&engine, early).await;
    all.extend_from_slice(early);
    compare(&engine, &all, &mut random, base, "rows that are open").await;

    engine.seal_all().await.expect("the disk takes it");
    compare(&engine, &all, &mut random, base, "rows that are sealed").await;

    deliver(&engine, late).await;
    all.extend_from_slice(late);
    engine.seal_all().await.expect("the disk takes it");
    engine.maintain(base + 3 * 3_600_000).await.expect("files are joined");
    compare(&engine, &all, &mut random, base, "rows in files that were joined").await;

    engine.close().await.expect("it closes");
    let engine = Engine::open_still(directory.config()).await.expect("it opens again");
    compare(&engine, &all, &mut random, base, "rows after a restart").await;
}

fn queries() -> usize {
    let asked = std::env::var("FLOWDB_TRUTH_QUERIES").ok();
    asked.map_or(QUERIES, |number| number.parse().expect("FLOWDB_TRUTH_QUERIES is a number"))
}

async fn deliver(engine: &Engine, rows: &[rows::Row]) {
    let mut by_device: HashMap<usize, Vec<_>> = HashMap::new();
    for row in rows {
        by_device.entry(row.device).or_default().push(row.to_chf());
    }
    for (device, records) in by_device {
        let new = NewDevice { name: DEVICES[device].to_owned(), sample_rate: 1, ..NewDevice::default() };
        let id = engine.devices().create(new).expect("the register can be written").id;
        for records in records.chunks(700) {
            send(engine, id, records).await.expect("the log has room");
        }
    }
}

/// Asks this phase's share of the queries of both, and compares.
async fn compare(engine: &Engine, rows: &[rows::Row], random: &mut Random, base: i64, state: &str) {
    let queries: Vec<Query> = (0..queries() / 4).map(|_| queries::draw(random, base)).collect();
    let asked = queries.clone();
    let rows = rows.to_vec();
    let truths = tokio::task::spawn_blocking(move || {
        let oracle = Oracle::new(&rows);
        asked.iter().map(|query| oracle.ask(query)).collect::<Vec<_>>()
    });
    let answers = stream::iter(queries.clone().into_iter().enumerate()).map(|(index, query)| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let answer = canonical(ask(&engine, &query.ours).await.0, &query);
            if index % AGAIN == 0 {
                let again = canonical(ask(&engine, &query.ours).await.0, &query);
                assert_eq!(again, answer, "asked again: {}", query.ours);
            }
            answer
        })
    });
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    let truths = truths.await.expect("SQLite answers them all");
    for ((query, answer), truth) in queries.iter().zip(answers).zip(truths) {
        let answer = answer.expect("the query panicked, and said why");
        let truth = canonical(truth, query);
        let differs = answer.iter().zip(&truth).find(|(answer, truth)| answer != truth);
        assert!(
            answer == truth,
            "{state}\nours:   {}\nsqlite: {}\n{} rows for {}, first other one: {differs:?}",
            query.ours,
            query.sqlite,
            answer.len(),
            truth.len(),
        );
    }
}

/// Fractions to ten digits, as sums of them depend on their order; rows in an order if the query has none.
fn canonical(mut lines: Vec<String>, query: &Query) -> Vec<String> {
    for line in &mut lines {
        if line.contains('.') {
            *line = line.split('|').map(rounded).collect::<Vec<_>>().join("|");
        }
    }
    if !query.is_ordered {
        lines.sort_unstable();
    }
    lines
}

fn rounded(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 => format!("{number}"),
        Ok(number) => format!("{number:.9e}"),
        Err(_) => cell.to_owned(),
    }
}
