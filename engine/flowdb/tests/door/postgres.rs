//! PostgreSQL's protocol, with a driver and with psql.

use crate::support::{ENDLESS, QUERY, Scratch, Server, eventually, settings};
use flowdb::door::TlsFiles;
use kflow_mock::Authority;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(server: &Server) -> Client {
    let address = server.doors.postgres().unwrap();
    let text =
        format!("host={} port={} user=anybody dbname=flow password={QUERY}", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_and_prepared_statements_have_the_same_rows() {
    let server = Server::start(settings()).await;
    let client = connect(&server).await;
    let messages = client.simple_query("SELECT 1 AS one; SELECT 'x' AS text").await.unwrap();
    let texts: Vec<&str> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["1", "x"]);
    let rows = client.query("SELECT value FROM generate_series(1, 5000)", &[]).await.unwrap();
    assert_eq!((rows.len(), rows[4999].get::<_, i64>(0)), (5000, 5000));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_mean_what_literals_mean() {
    let server = Server::start(settings()).await;
    let client = connect(&server).await;
    let sql =
        "SELECT value FROM generate_series(1, 100) WHERE value > $1 AND value < $2 ORDER BY value LIMIT $3";
    let rows = client.query(sql, &[&10i64, &90i64, &2i64]).await.unwrap();
    let values: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(values, [11, 12]);
    let row = client.query_one("SELECT $1::text || 'b' AS text", &[&"it's"]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "it'sb");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_codes_that_drivers_look_at() {
    let mut settings = settings();
    settings.limits.query_rows_max = 100;
    let server = Server::start(settings).await;
    let client = connect(&server).await;
    for (sql, code) in [
        ("SELEC 1", SqlState::SYNTAX_ERROR),
        ("SELECT 1 FROM nowhere", SqlState::UNDEFINED_TABLE),
        ("SELECT nothing FROM generate_series(1, 2)", SqlState::UNDEFINED_COLUMN),
        ("SELECT nothing(1)", SqlState::UNDEFINED_FUNCTION),
        ("SELECT 1 / (value - 2) FROM generate_series(1, 3)", SqlState::DIVISION_BY_ZERO),
        ("CREATE TABLE t AS SELECT 1", SqlState::READ_ONLY_SQL_TRANSACTION),
        ("COPY (SELECT 1) TO '/tmp/never.csv'", SqlState::READ_ONLY_SQL_TRANSACTION),
        ("SELECT value FROM generate_series(1, 101)", SqlState::PROGRAM_LIMIT_EXCEEDED),
        ("SET datafusion.execution.batch_size = 1", SqlState::INSUFFICIENT_PRIVILEGE),
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code(), Some(&code), "{sql}: {error:?}");
        // The session goes on.
        client.simple_query("SELECT 1").await.unwrap();
    }
    client.simple_query("SET statement_timeout = 50").await.unwrap();
    let error = client.simple_query(ENDLESS).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_the_statement_and_not_the_session() {
    let server = Server::start(settings()).await;
    let client = connect(&server).await;
    let counters = server.doors.counters().clone();
    let rows = "SELECT a.value FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";
    for sql in [ENDLESS, rows] {
        let cancel = client.cancel_token();
        let canceller = async {
            eventually("the query runs", || counters.queries_running.load(Ordering::Relaxed) == 1).await;
            cancel.cancel_query(NoTls).await.unwrap();
        };
        let (result, ()) = tokio::join!(client.batch_execute(sql), canceller);
        assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED), "{sql}");
        client.simple_query("SELECT 1").await.unwrap();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused() {
    let server = Server::start(settings()).await;
    let address = server.doors.postgres().unwrap();
    for password in ["wrong", "token-of-ingest", ""] {
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).user("postgres").password(password);
        let error = config.connect(NoTls).await.err().unwrap();
        assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{password:?}: {error:?}");
    }
    assert_eq!(server.doors.counters().unauthorized.load(Ordering::Relaxed), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pools_and_drivers_say_beside_queries_is_understood() {
    let server = Server::start(settings()).await;
    let client = connect(&server).await;
    for sql in [
        "BEGIN",
        "SELECT 1",
        "COMMIT",
        "SET application_name = 'x'",
        "SHOW transaction_isolation",
        "DISCARD ALL",
        "DEALLOCATE ALL",
        "SELECT version()",
        "SELECT current_database()",
        "SET search_path = 'public'",
        "",
    ] {
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    server.stop().await;
}

/// Runs psql; `None` where there is none.
async fn psql(server: &Server, arguments: &[&str], environment: &[(&str, &str)]) -> Option<(bool, String)> {
    let address = server.doors.postgres().unwrap();
    let mut command = Command::new("psql");
    command
        .args(["-X", "-h", "localhost", "-p", &address.port().to_string(), "-U", "flow", "-d", "flowdb"])
        .args(arguments)
        .env("PGPASSWORD", QUERY)
        .env("PGCONNECT_TIMEOUT", "30")
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(Duration::from_secs(60), running).await.expect("psql ends").unwrap();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no psql on this machine");
            None
        }
        Err(error) => panic!("psql: {error}"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            Some((output.status.success(), text.into_owned()))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_asks_and_describes() {
    let server = Server::start(settings()).await;
    let Some((is_well, text)) = psql(&server, &["-At", "-c", "SELECT 1 + 1, 'x'"], &[]).await else { return };
    assert!(is_well && text == "2|x\n", "{text}");
    for command in ["\\d", "\\dt", "\\l", "\\dn", "\\conninfo"] {
        let (is_well, text) = psql(&server, &["-c", command], &[]).await.unwrap();
        assert!(is_well && !text.contains("ERROR"), "{command}: {text}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_only_tls_is_spoken() {
    let files = Scratch::new();
    let authority = Authority::new();
    let certificate = authority.sign("localhost");
    let ca = files.file("ca.pem", &authority.certificate_pem());
    let mut settings = settings();
    settings.tls = Some(TlsFiles {
        certificate: files.file("cert.pem", &certificate.certificate_pem),
        key: files.file("key.pem", &certificate.key_pem),
    });
    let server = Server::start(settings).await;
    let address = server.doors.postgres().unwrap();
    let text = format!("host={} port={} user=x password={QUERY}", address.ip(), address.port());
    let error = tokio_postgres::connect(&text, NoTls).await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION), "{error:?}");
    let tls = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", ca.to_str().unwrap())];
    if let Some((is_well, text)) = psql(&server, &["-At", "-c", "SELECT 1"], &tls).await {
        assert!(is_well && text == "1\n", "{text}");
    }
    server.stop().await;
}
