//! The program itself: how it starts, answers and stops.

use crate::support::{Scratch, eventually};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A running `flowdb serve`, killed when dropped.
struct Program {
    child: Child,
    log: Receiver<String>,
    http: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flowdb() -> Command {
    Command::new(env!("CARGO_BIN_EXE_flowdb"))
}

fn serve(scratch: &Scratch) -> Program {
    let mut child = flowdb()
        .args(["serve", "--http", "127.0.0.1:0", "--data"])
        .arg(scratch.0.join("data"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, log) = channel();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let http = loop {
        let line = log.recv_timeout(Duration::from_secs(60)).expect("it says where it listens");
        if let Some((_, rest)) = line.split_once("http=Some(") {
            break rest.split(')').next().unwrap().parse().unwrap();
        }
    };
    Program { child, log, http }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

fn sql(program: &Program, arguments: &[&str]) -> Output {
    flowdb().args(["sql", "--url", &format!("http://{}", program.http)]).args(arguments).output().unwrap()
}

fn ends(child: &mut Child) -> Option<i32> {
    let begin = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_server_ends_well_when_it_is_told_to() {
    for name in ["TERM", "INT"] {
        let scratch = Scratch::new();
        let mut program = serve(&scratch);
        signal(&program.child, name);
        assert_eq!(ends(&mut program.child), Some(0), "{name}");
        assert!(program.log.iter().any(|line| line.contains("stopped")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_runs_when_the_end_comes_has_its_answer() {
    let scratch = Scratch::new();
    let mut program = serve(&scratch);
    // A few seconds' worth.
    let query = "SELECT count(*) AS n FROM generate_series(1, 30000) a, generate_series(1, 10000) b WHERE a.value <> b.value";
    let body = serde_json::json!({ "query": query }).to_string();
    let address = program.http;
    let asked = tokio::spawn(async move {
        crate::support::call(address, "POST", "/api/v5/query/sql", &[], body.into()).await
    });
    eventually("the query runs", || metrics(address).contains("flowdb_queries_running 1")).await;
    signal(&program.child, "TERM");
    let answer = asked.await.unwrap();
    assert_eq!(answer.json()["rows"][0]["n"], 299_990_000i64, "{}", answer.text());
    assert_eq!(ends(&mut program.child), Some(0));
}

fn metrics(address: SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_shell_asks_a_server_in_every_format() {
    let scratch = Scratch::new();
    let program = serve(&scratch);
    let csv = sql(&program, &["-c", "SELECT 1 AS one, 'x' AS text; SELECT 2 AS two", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&csv.stdout), "one,text\n1,x\ntwo\n2\n", "{csv:?}");
    assert!(String::from_utf8_lossy(&csv.stderr).contains("1 row, "), "{csv:?}");
    let json = sql(&program, &["-c", "SELECT 1 AS one", "--format", "json"]);
    assert_eq!(String::from_utf8_lossy(&json.stdout), "{\"one\":1}\n");
    let table = sql(&program, &["-c", "SELECT 1 AS one"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("| 1   |"), "{table:?}");
    let wrong = sql(&program, &["-c", "SELECT nothing"]);
    assert!(
        !wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("nothing"),
        "{wrong:?}"
    );
    let broken = sql(
        &program,
        &["-c", "SELECT 1 / (value - 50000) FROM generate_series(1, 100000)", "--format", "csv"],
    );
    assert!(!broken.status.success() && !broken.stdout.is_empty(), "{broken:?}");
}

#[test]
fn the_shell_opens_a_data_directory_itself() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let output = flowdb()
        .args(["devices", "--add", "edge.1", "--address", "192.0.2.7", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("edge_1"), "{output:?}");
    let text = scratch.file("questions.sql", "SELECT 1 AS one;\n-- no more;\n");
    let output =
        flowdb().args(["sql", "--format", "csv", "-f"]).arg(&text).arg("--data").arg(&data).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\n1\n", "{output:?}");
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let scratch = Scratch::new();
    for (text, what) in [
        ("[http]\nport = 1\n", "unknown field"),
        ("[http]\nlisten = \"0.0.0.0:0\"\n", "tokens"),
        ("[postgres]\nlisten = \"127.0.0.1:0\"\n[tls]\nkey = \"k\"\n", "belong together"),
        ("data = \"d\"\n", "nothing to serve"),
    ] {
        let file = scratch.file("flowdb.toml", text);
        let output = flowdb().args(["serve", "--config"]).arg(&file).output().unwrap();
        assert!(
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains(what),
            "{output:?}"
        );
    }
}
