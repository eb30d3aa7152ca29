//! kflow-cat as its users run it.

use kflow::application::{Draft, protocols::dns};
use kflow::codec::{ChfEncoder, Encoder};
use kflow::{AppProtocol, Chf, Custom, CustomValue, EndReason, FlowRecord, TcpState, TunnelKind, file};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A directory of its own for a test, removed afterwards.
struct TestDirectory(PathBuf);

impl TestDirectory {
    fn new(test: &str) -> TestDirectory {
        let path = std::env::temp_dir().join(format!("kflow-cat-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        TestDirectory(path)
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A flow file of one message, with a record per protocol.
fn flow_file(protocols: &[u8]) -> Vec<u8> {
    let records: Vec<FlowRecord> = protocols.iter().map(|protocol| record(*protocol)).collect();
    let mut bytes = Vec::new();
    file::append(&records, &mut Encoder::new(), &mut bytes).unwrap();
    bytes
}

fn record(protocol: u8) -> FlowRecord {
    FlowRecord { protocol, end_reason: EndReason::EndOfFlow, ..FlowRecord::default() }
}

fn kflow_cat() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kflow-cat"))
}

fn run(args: &[&str]) -> Output {
    kflow_cat().args(args).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The protocols of the printed JSON lines.
fn protocols(output: &Output) -> Vec<u64> {
    let lines = stdout(output);
    let objects = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    objects.map(|object| object["protocol"].as_u64().unwrap()).collect()
}

#[test]
fn messages_of_other_senders_are_printed_field_by_field() {
    let custom = Custom { id: 2880, is_dimension: false, value: CustomValue::U32(1) };
    let chf = Chf {
        ipv4_src_addr: 0x0A00_0001,
        sample_rate: 250,
        sample_adj: true,
        custom: vec![custom],
        app_protocol: 1,
        ..Chf::default()
    };
    let mut encoder = ChfEncoder::new();
    let message = encoder.encode(&[chf]).unwrap();
    let file = [&(message.len() as u32).to_le_bytes(), message].concat();
    let directory = TestDirectory::new("chf");
    let output = run(&["--chf", &directory.write("a.kflow", &file)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let line = "{\"ipv4SrcAddr\":\"10.0.0.1\",\"sampleRate\":250,\"sampleAdj\":true,\"appProtocol\":1,\
        \"custom\":[{\"id\":2880,\"uint32Val\":1}]}\n";
    assert_eq!(stdout(&output), line);
    assert!(!run(&["--chf", "--count", "-"]).status.success());
}

#[test]
fn names_of_columns_are_a_record_where_fields_are_printed() {
    let directory = TestDirectory::new("chf-names");
    let output = run(&["--chf", &directory.write("a.kflow", &flow_file(&[6, 17]))]);
    let lines = stdout(&output);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("{\"appProtocol\":101,\"custom\":[{\"id\":1000001,\"strVal\":\"FLOW_END_NS\"}")
    );
    assert!(lines[2].contains("\"protocol\":17"));
}

#[test]
fn records_are_printed_as_json_lines() {
    let directory = TestDirectory::new("json");
    let file = directory.write("a.kflow", &flow_file(&[6, 17]));
    let output = run(&[&file]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(protocols(&output), [6, 17]);
    assert!(stdout(&output).contains("\"end_reason\":\"end_of_flow\""));
}

#[test]
fn records_are_printed_as_csv_with_one_line_of_names() {
    let directory = TestDirectory::new("csv");
    let file = directory.write("a.kflow", &flow_file(&[6]));
    let output = run(&["--format", "csv", &file, &file]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("start_ns,end_ns,source_address,source_port,"));
    assert!(lines[1].starts_with("0,0,0.0.0.0,0,0.0.0.0,0,6,"));
    assert_eq!(lines[1], lines[2]);
}

/// A record of TCP inside of a tunnel, of which one window is known.
fn tunnelled() -> FlowRecord {
    let mut record = record(6);
    record.tunnel.kind = TunnelKind::Vxlan;
    record.tunnel.forward_id = 5_001;
    record.tunnel.source = [192, 0, 2, 1].into();
    record.tcp.state = TcpState::Established;
    record.tcp.forward.receive_window = Some(0);
    record
}

#[test]
fn columns_that_apply_are_printed_as_json() {
    let directory = TestDirectory::new("groups");
    let mut bytes = Vec::new();
    file::append(&[tunnelled(), record(17)], &mut Encoder::new(), &mut bytes).unwrap();
    let output = stdout(&run(&[&directory.write("a.kflow", &bytes)]));
    let objects: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["tunnel"], "vxlan");
    assert_eq!(objects[0]["tunnel_forward_id"], 5_001);
    assert_eq!(objects[0]["tunnel_source_address"], "192.0.2.1");
    assert_eq!(objects[0]["tcp_state"], "established");
    assert_eq!(objects[0]["forward_receive_window"], 0);
    assert_eq!(objects[0].get("reverse_receive_window"), None);
    assert_eq!(objects[1].get("tunnel"), None);
    assert_eq!(objects[1].get("tcp_state"), None);
    assert_eq!(objects[1]["community_id"].as_str().unwrap().len(), 30);
}

#[test]
fn csv_has_a_cell_for_every_column_of_every_record() {
    let directory = TestDirectory::new("cells");
    let mut bytes = Vec::new();
    file::append(&[tunnelled(), record(17)], &mut Encoder::new(), &mut bytes).unwrap();
    let text = stdout(&run(&["--format", "csv", &directory.write("a.kflow", &bytes)]));
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let cells = |name| {
        let place = rows[0].iter().position(|other| *other == name).unwrap();
        [rows[1][place], rows[2][place]]
    };
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    assert_eq!(cells("tunnel"), ["vxlan", ""]);
    assert_eq!(cells("forward_receive_window"), ["0", ""]);
    assert_eq!(cells("reverse_receive_window"), ["", ""]);
    assert_eq!(cells("sampling"), ["none", "none"]);
}

/// A flow file with an answered query, whose name nobody would choose.
fn file_with_application() -> Vec<u8> {
    let mut draft = Draft::new(100);
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, b"a,\"b\"\n.example");
    draft.number(dns::RCODE, 3u32);
    let record = FlowRecord {
        app_protocol: Some(AppProtocol::Dns),
        transactions: 1,
        application: Some(draft.to_application(Some(250))),
        ..record(17)
    };
    let mut bytes = Vec::new();
    file::append(&[record], &mut Encoder::new(), &mut bytes).unwrap();
    bytes
}

#[test]
fn what_an_application_said_is_printed_as_json() {
    let directory = TestDirectory::new("application-json");
    let output = stdout(&run(&[&directory.write("a.kflow", &file_with_application())]));
    let object: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(object["app_protocol"], "dns");
    assert_eq!(object["transactions"], 1);
    assert_eq!(object["application_latency_us"], 250);
    assert_eq!(object["dns_query"], "a,\"b\"\n.example");
    assert_eq!(object["dns_rcode"], 3);
    assert_eq!(object.get("dns_answers"), None);
}

#[test]
fn what_an_application_said_is_one_quoted_cell_of_csv() {
    let directory = TestDirectory::new("application-csv");
    let file = directory.write("a.kflow", &file_with_application());
    let text = stdout(&run(&["--format", "csv", &file]));
    let [names, line] = text.lines().collect::<Vec<&str>>()[..] else { panic!("{text}") };
    assert!(names.ends_with(",app_protocol,transactions,application_latency_us,application"), "{names}");
    let cells = r#",dns,1,250,"{""dns_query"":""a,\""b\""\n.example"",""dns_rcode"":3}""#;
    assert!(line.ends_with(cells), "{line}");
}

#[test]
fn a_directory_stands_for_its_finished_files_in_order() {
    let directory = TestDirectory::new("directory");
    directory.write("flows-2.kflow", &flow_file(&[2]));
    directory.write("flows-1.kflow", &flow_file(&[1]));
    directory.write("flows-3.kflow.open", &flow_file(&[3]));
    let output = run(&[directory.0.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(protocols(&output), [1, 2]);
}

#[test]
fn records_are_counted() {
    let directory = TestDirectory::new("count");
    let file = directory.write("a.kflow", &flow_file(&[6; 300]));
    assert_eq!(stdout(&run(&["--count", &file, &file])), "600\n");
}

#[test]
fn the_standard_input_is_read() {
    let mut child = kflow_cat().arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&flow_file(&[6, 17])).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(protocols(&output), [6, 17]);
}

#[test]
fn a_damaged_file_is_printed_up_to_the_damage() {
    let directory = TestDirectory::new("damage");
    let whole = [flow_file(&[1, 2]), flow_file(&[3])].concat();
    let offset = flow_file(&[1, 2]).len();
    let cut = directory.write("cut.kflow", &whole[..whole.len() - 1]);
    let good = directory.write("good.kflow", &flow_file(&[4]));
    let output = run(&[&cut, &good]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(protocols(&output), [1, 2, 4]);
    let message = stderr(&output);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains(&format!("cut.kflow: damaged at byte {offset}: the file ends")), "{message}");
}

#[test]
fn a_file_that_is_none_of_ours_is_an_error() {
    let directory = TestDirectory::new("foreign");
    let file = directory.write("notes.txt", b"these are not the flows you are looking for");
    let output = run(&[&file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("damaged at byte 0"), "{}", stderr(&output));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let output = run(&["/nonexistent/a.kflow"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot open /nonexistent/a.kflow"), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let directory = TestDirectory::new("pipe");
    let file = directory.write("a.kflow", &flow_file(&[6; 4000]));
    for format in ["json", "csv"] {
        let mut child = kflow_cat()
            .args(["--format", format, &file, &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        assert!(first_line.contains("start_ns"));
        let mut message = String::new();
        child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert_eq!(message, "");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_help_has_examples() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("kflow-cat --format csv"));
}
