//! Hostile SQL is refused in bounded time and stack, and SQL that is merely large is not.

mod common;

use common::{ask, refused};
use flow_sql::{Error, Position, limits, prepare};

/// Each on a stack as small as a worker's, in a time that a test can wait for.
fn on_a_small_stack(sql: String) -> Result<usize, Error> {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let thread =
        thread.spawn(move || prepare(&sql).map(|prepared| prepared.statements.len())).expect("a thread");
    thread.join().expect("no panic")
}

#[test]
fn text_that_is_too_long_is_refused_unread() {
    let refused = on_a_small_stack("(".repeat(1 << 20));
    assert_eq!(refused, Err(Error::TooLong { bytes: 1 << 20, most: limits::TEXT_BYTES_MAX }));
}

#[test]
fn what_nests_or_chains_without_end_is_refused() {
    let many = 10_000;
    let nested = [
        format!("SELECT {}1{}", "(".repeat(many), ")".repeat(many)),
        format!("SELECT * FROM {}t{}", "(".repeat(many), ")".repeat(many)),
        format!("{}SELECT 1", "SELECT * FROM (".repeat(many)),
        format!("SELECT {}1", "NOT ".repeat(many)),
        format!("SELECT {}1", "- ".repeat(many)),
        format!("SELECT {}1", "abs(".repeat(many)),
        format!("SELECT 1{}", "+1".repeat(many)),
        format!("SELECT 1{}", "::int".repeat(many)),
        format!("SELECT 1{}", " IS NULL".repeat(many)),
        format!("SELECT 1{}", "!".repeat(many)),
        format!("SELECT a{}", "[1]".repeat(many)),
        format!("SELECT {}1{}", "[".repeat(many), "]".repeat(many)),
        format!("SELECT 1::int{}", "[]".repeat(many)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(many)),
        format!("SELECT * FROM t{}", " JOIN t".repeat(many)),
        format!("SELECT * FROM t{}", " CROSS JOIN t".repeat(many)),
        format!("SELECT * FROM t{}", ",t".repeat(many)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(many)),
        format!("SELECT {}'1'", "INTERVAL ".repeat(many)),
        format!("SELECT {}'1'", "DATE ".repeat(many)),
        format!("SELECT 1::{}int{}", "ARRAY<".repeat(many), ">".repeat(many)),
        format!("SELECT {}", "CASE WHEN ".repeat(many)),
        format!("SELECT {}", "CASE ".repeat(many)),
        format!("SELECT a {}", "COLLATE b ".repeat(many)),
        format!("SELECT a {}", "AT TIME ZONE b ".repeat(many)),
        format!("{}SELECT 1", "WITH a AS (".repeat(many)),
        format!("SELECT {}", "EXISTS (SELECT ".repeat(many)),
        format!("SELECT {}1", "a -> ".repeat(many)),
        "SELECT 1;".repeat(many),
        format!("SELECT {}", "{".repeat(many)),
    ];
    for sql in nested {
        let start: String = sql.chars().take(60).collect();
        assert!(on_a_small_stack(sql).is_err(), "{start}");
    }
}

#[test]
fn brackets_as_deep_as_is_allowed_take_no_time() {
    let depth = limits::DEPTH_MAX - 1;
    for (before, within, after) in [
        ("SELECT ", "1", ""),
        ("SELECT * FROM ", "t", ""),
        ("SELECT * FROM ", "SELECT 1", " x"),
        ("", "SELECT 1", ""),
        ("SELECT 1 WHERE 1 IN ", "1", ""),
        ("SELECT 1 WHERE EXISTS ", "SELECT 1", ""),
        ("SELECT f(a => ", "1", ")"),
        ("SELECT INTERVAL ", "'1'", ""),
        ("CREATE TABLE t AS ", "SELECT 1", ""),
        ("INSERT INTO t ", "SELECT 1", ""),
        ("SELECT * FROM a JOIN ", "b", " ON true"),
        ("SELECT * FROM a JOIN ", "b", ""),
        ("WITH a AS ", "SELECT 1", " SELECT 1"),
        ("SELECT a FROM t GROUP BY ", "a", ""),
        ("SELECT CAST", "1", " AS int"),
        ("EXPLAIN ", "SELECT 1", ""),
        ("VALUES ", "1", ""),
    ] {
        let sql = format!("{before}{}{within}{}{after}", "(".repeat(depth), ")".repeat(depth));
        // Whether it is SQL is not the question here.
        let _ = on_a_small_stack(sql);
        let _ = on_a_small_stack(format!("{before}{}{within}", "(".repeat(depth)));
    }
}

#[test]
fn any_text_is_answered_without_a_panic() {
    for sql in [
        "",
        ";",
        ";;;",
        " -- only\n",
        "/* */",
        "'",
        "\"",
        "$$",
        "$a$",
        "\0",
        "SELECT 'é",
        "/* /*",
        "\u{202e}",
        "$1",
        "?",
    ] {
        let _ = prepare(sql);
    }
    assert_eq!(prepare(" ; -- nothing\n ;").map(|prepared| prepared.statements.len()), Ok(0));
    assert_eq!(prepare("SELECT 1;;SELECT 2; ").map(|prepared| prepared.statements.len()), Ok(2));
}

#[test]
fn error_says_where() {
    let Err(Error::Syntax { message, at }) = prepare("SELECT 1\nFROM t GROUP 1") else {
        panic!("that is no SQL")
    };
    assert_eq!(at, Some(Position { line: 2, column: 8 }), "{message}");
    let Err(Error::Syntax { at, .. }) = prepare("SELECT\n 'abc") else { panic!("that is no SQL") };
    assert_eq!(at, Some(Position { line: 2, column: 2 }));
    let deep = format!("SELECT\n{}", "(".repeat(100));
    let Err(Error::TooMuch { at, .. }) = prepare(&deep) else { panic!("that is too deep") };
    assert_eq!(at, Position { line: 2, column: limits::DEPTH_MAX as u64 + 1 });
}

#[tokio::test]
async fn query_as_large_as_is_allowed_is_answered() {
    let list: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let terms: Vec<String> = (0..300).map(|number| format!("l4_dst_port = {number}")).collect();
    let sql = format!(
        "SELECT raw_count() FROM big_backbone_router WHERE l4_dst_port IN ({}) AND ({})",
        list.join(","),
        terms.join(" OR ")
    );
    assert_eq!(ask(&sql).await, ["2"]);
}

#[tokio::test]
async fn list_of_networks_is_bounded_and_no_deep_tree() {
    let list = |networks: usize| {
        let list: Vec<String> =
            (0..networks).map(|number| format!("'10.{}.{}.0/24'", number / 256, number % 256)).collect();
        format!("SELECT raw_count() FROM big_backbone_router WHERE inet_src_addr IN ({})", list.join(","))
    };
    assert!(refused(&list(20_000)).await.contains("1000 are the most"));
    assert_eq!(ask(&list(1000)).await, ["7"]);
}

/// Of a worker of tokio's. Without optimisation the planner's frames are many times as large as they are in use.
const WORKER_STACK_BYTES: usize = if cfg!(debug_assertions) { 32 << 20 } else { 2 << 20 };

#[test]
fn longest_chain_of_operators_is_planned_on_a_workers_stack() {
    let chain = "+in_pkts".repeat(limits::OPERATORS_MAX - 1);
    let sql = format!("SELECT max(in_pkts{chain}) FROM big_backbone_router");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(1)
        .thread_stack_size(WORKER_STACK_BYTES)
        .enable_all()
        .build()
        .expect("a runtime");
    let answer = runtime.block_on(runtime.spawn(async move { ask(&sql).await })).expect("no panic");
    assert_eq!(answer, ["70000"]);
}
