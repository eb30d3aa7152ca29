//! Queries and limits over HTTP.

use crate::support::{ENDLESS, INGEST, Server, call, eventually, settings};
use axum::http::StatusCode;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::ipc::reader::StreamReader;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_json_csv_or_arrow_as_it_is_asked_for() {
    let server = Server::start(settings()).await;
    let sql = "SELECT 1 AS one, 'x' AS text UNION ALL SELECT 1, 'x'";
    let json = server.ask(sql).await;
    assert_eq!(json.headers["content-type"], "application/json");
    assert_eq!(json.json()["rows"][1], serde_json::json!({ "one": 1, "text": "x" }));
    assert_eq!(json.json()["report"]["rows"], 2);
    assert_eq!(json.json()["report"]["quarantined"], 0);
    let csv = server.ask_as(sql, "", "text/csv").await;
    assert_eq!(csv.text(), "one,text\n1,x\n1,x\n");
    let arrow = server.ask_as(sql, "", "application/vnd.apache.arrow.stream").await;
    let batches: Vec<RecordBatch> =
        StreamReader::try_new(&arrow.body[..], None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    let other = server.ask_as(sql, "", "image/png").await;
    assert_eq!(other.status, StatusCode::NOT_ACCEPTABLE);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused_with_a_reason() {
    let server = Server::start(settings()).await;
    for sql in [
        "SELEC 1",
        "SELECT nothing FROM nowhere",
        "",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "CREATE TABLE t AS SELECT 1",
    ] {
        let answer = server.ask(sql).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sql}: {}", answer.text());
        assert!(!answer.json()["error"].as_str().unwrap().is_empty(), "{sql}");
    }
    for parameters in ["?rows=1", "?max_rows=x", "?addresses=morse"] {
        let answer = server.ask_as("SELECT 1", parameters, "*/*").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{parameters}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_beyond_its_rows_or_its_time_ends() {
    let server = Server::start(settings()).await;
    let few = server.ask_as("SELECT value FROM generate_series(1, 11)", "?max_rows=10", "*/*").await;
    assert_eq!(few.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", few.text());
    assert!(few.json()["error"].as_str().unwrap().contains("10 rows"));
    let enough = server.ask_as("SELECT value FROM generate_series(1, 10)", "?max_rows=10", "*/*").await;
    assert_eq!(enough.json()["rows"].as_array().unwrap().len(), 10);
    let late = server.ask_as(ENDLESS, "?timeout_ms=50", "*/*").await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.text());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_says_so() {
    let server = Server::start(settings()).await;
    let sql = "SELECT 1 / (value - 50000) AS x FROM generate_series(1, 100000)";
    let json = server.ask(sql).await;
    assert_eq!(json.status, StatusCode::OK);
    assert!(
        json.json()["error"].as_str().unwrap().to_lowercase().contains("divide by zero"),
        "{}",
        json.json()["error"]
    );
    assert!(!json.json()["rows"].as_array().unwrap().is_empty());
    let csv = server.ask_as(sql, "", "text/csv").await;
    assert!(csv.text().starts_with("x\n") && !csv.is_whole);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_ends_the_query() {
    let server = Server::start(settings()).await;
    let counters = server.doors.counters().clone();
    for sql in [ENDLESS, "SELECT a.value FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b"]
    {
        let mut socket = TcpStream::connect(server.http()).await.unwrap();
        let body = serde_json::json!({ "query": sql }).to_string();
        let head = format!(
            "POST /api/v5/query/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-query\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        eventually("the query runs", || counters.queries_running.load(Ordering::Relaxed) == 1).await;
        drop(socket);
        eventually("the query ends", || counters.queries_running.load(Ordering::Relaxed) == 0).await;
    }
    assert_eq!(counters.queries_dropped.load(Ordering::Relaxed), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_the_places_are_told_to_come_again() {
    let mut settings = settings();
    settings.limits.queries_max = 1;
    let server = Server::start(settings).await;
    let counters = server.doors.counters().clone();
    let address = server.http();
    let first = tokio::spawn(async move {
        let headers = [("authorization", "Bearer token-of-query")];
        let body = serde_json::json!({ "query": ENDLESS }).to_string();
        call(address, "POST", "/api/v5/query/sql", &headers, body.into_bytes()).await
    });
    eventually("the first runs", || counters.queries_running.load(Ordering::Relaxed) == 1).await;
    let second = server.ask("SELECT 1").await;
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.headers.contains_key("retry-after"));
    first.abort();
    eventually("its place is free", || counters.queries_running.load(Ordering::Relaxed) == 0).await;
    assert_eq!(server.ask("SELECT 1").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_only_sit_there_keep_nobody_out() {
    let mut settings = settings();
    settings.limits.connections_max = 20;
    let server = Server::start(settings).await;
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut socket = TcpStream::connect(server.http()).await.unwrap();
        if number % 2 == 0 {
            let _ = socket.write_all(b"POST /chf HTTP/1.1\r\nHost:").await;
        }
        idle.push(socket);
    }
    for _ in 0..5 {
        assert_eq!(server.ask("SELECT 1").await.status, StatusCode::OK);
    }
    assert!(server.doors.counters().connections_evicted.load(Ordering::Relaxed) >= 180);
    drop(idle);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_and_slow_heads_are_closed_in_time() {
    let mut settings = settings();
    settings.limits.idle_timeout = Duration::from_millis(100);
    settings.limits.head_timeout = Duration::from_millis(100);
    let server = Server::start(settings).await;
    for begin in ["", "GET /health HTTP/1.1\r\nHost", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut socket = TcpStream::connect(server.http()).await.unwrap();
        socket.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = socket.read_to_end(&mut rest);
        let closed = tokio::time::timeout(Duration::from_secs(20), read).await;
        assert!(closed.is_ok(), "{begin:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_flows_are_refused_with_a_reason() {
    let mut settings = settings();
    settings.limits.body_bytes_max = 1000;
    settings.limits.body_timeout = Duration::from_millis(200);
    let server = Server::start(settings).await;
    let auth = ("authorization", "Bearer token-of-ingest");
    let path = "/chf?sender_id=1%3Aa%3A1001&sid=0";
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], usize, StatusCode);
    let cases: [Case<'_>; 5] = [
        (path, &[auth], 1001, StatusCode::PAYLOAD_TOO_LARGE),
        (path, &[auth, ("content-encoding", "br")], 10, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (path, &[auth, ("x-kflow-batch", "a/b/c")], 10, StatusCode::BAD_REQUEST),
        ("/chf?sender_id=nobody&sid=0", &[auth], 10, StatusCode::BAD_REQUEST),
        ("/tsdb", &[auth], 10, StatusCode::BAD_REQUEST),
    ];
    for (path, headers, length, status) in cases {
        let answer = call(server.http(), "POST", path, headers, vec![0; length]).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        assert!(answer.json()["error"].is_string());
    }
    let mut socket = TcpStream::connect(server.http()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {INGEST}\r\nContent-Length: 10\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408", "a body that does not come");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_senders_send_beside_flows_is_taken_and_counted() {
    let server = Server::start(settings()).await;
    let auth = [("authorization", "Bearer token-of-ingest")];
    let point = br#"[{"metric":"chf.client_Total","timestamp":1,"value":2,"tags":{}},{}]"#;
    assert_eq!(call(server.http(), "POST", "/tsdb", &auth, point.to_vec()).await.status, StatusCode::OK);
    assert_eq!(call(server.http(), "POST", "/dns", &auth, vec![0x80, 0x80]).await.status, StatusCode::OK);
    let metrics =
        call(server.http(), "GET", "/metrics", &[("authorization", "Bearer token-of-query")], Vec::new())
            .await;
    assert!(metrics.text().contains("flowdb_sink_total{what=\"tsdb_points\"} 2\n"));
    assert!(metrics.text().contains("flowdb_sink_total{what=\"dns_bytes\"} 2\n"));
    server.stop().await;
}
