//! TCP.md against the columns there are: it defines each number that a record says of TCP and of response latency.

use kflow::{
    TcpState,
    columns::{Group, printed},
};
use std::{collections::BTreeSet, fs, path::Path};

/// What columns of one direction begin with; TCP.md has one definition for both.
const DIRECTIONS: [&str; 2] = ["forward_", "reverse_"];

#[test]
fn every_column_of_tcp_and_latency_is_defined() {
    let is_of_latency = |name: &str| name == "responses" || name.contains("response_latency");
    let columns = printed().filter(|column| column.group == Group::Tcp || is_of_latency(column.name));
    let names: BTreeSet<String> = columns.map(|column| in_one_direction(column.name)).collect();
    assert!(names.len() > 30, "{names:?}");
    let defined = definitions();
    assert_eq!(names.difference(&defined).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_state_of_a_connection_is_defined() {
    let defined = definitions();
    assert!(TcpState::ALL.iter().all(|state| defined.contains(state.name())), "{defined:?}");
}

#[test]
fn only_columns_that_exist_are_named() {
    let columns: BTreeSet<String> = printed().map(|column| in_one_direction(column.name)).collect();
    let text = text();
    let words = text.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> =
        words.filter(|word| word.ends_with("_us") || word.starts_with("X_")).map(in_one_direction).collect();
    assert!(named.len() > 20, "{named:?}");
    // The prefix itself is spoken of, too.
    let unknown: Vec<&String> = named.difference(&columns).filter(|name| *name != "X_").collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

fn text() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("TCP.md")).expect("TCP.md is there")
}

/// Everything that stands in the first cell of a row.
fn definitions() -> BTreeSet<String> {
    let text = text();
    let first_cells =
        text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | ")).map(|(cell, _)| cell);
    first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn in_one_direction(name: &str) -> String {
    let rest = DIRECTIONS.iter().find_map(|direction| name.strip_prefix(direction));
    rest.map_or_else(|| name.to_owned(), |rest| format!("X_{rest}"))
}
