//! Programs in C against a strict mock of Kentik's servers, which runs in this process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Installed, Language, Linking, run, run_under_valgrind};
use kflow::chf::{Chf, Custom, CustomValue};
use kflow_mock::{Authority, Behaviour, Column, Device, Mock, MockConfig, Received, Route, ServerTls};

/// What the programs call themselves.
const TOKEN: &str = "s3cret-t0ken";

fn device(id: u32, name: &str, address: &str) -> Device {
    Device { id, name: name.into(), addresses: vec![address.into()], ..Device::default() }
}

fn mock() -> Mock {
    start_mock(None)
}

/// Knows the devices that the programs ask for.
fn start_mock(tls: Option<ServerTls>) -> Mock {
    let mut first = device(1, "first", "192.0.2.1");
    let column = |(id, kind): (u32, &str)| Column {
        id,
        name: format!("C_{}", kind.to_uppercase()),
        kind: kind.into(),
    };
    let kinds = [
        "string", "byte", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32",
        "float64", "addr", "inet",
    ];
    first.columns = (301..).zip(kinds).map(column).collect();
    first.sample_rate = 250;
    // More than the tests send.
    first.max_flow_rate = 1_000_000;
    let devices = vec![first, device(2, "loopback", "127.0.0.1"), device(42, "sensor_example", "192.0.2.7")];
    let config = MockConfig { token: TOKEN.into(), devices, tls, ..MockConfig::default() };
    Mock::start(config).expect("a port of the loopback is free")
}

/// Runs a program of `tests/c` with the URL of the mock.
fn run_program(name: &str, mock: &Mock) -> String {
    run(Command::new(compiled(name)).arg(mock.url()))
}

fn compiled(name: &str) -> PathBuf {
    Installed::new(name).compile(Language::C11, &format!("tests/c/{name}.c"), Linking::Shared)
}

/// The flows of a request, of which a strict receiver has nothing to complain about.
fn flows_of(request: &Received) -> Vec<Chf> {
    assert_eq!(request.faults, [""; 0]);
    request.records.clone().expect("it is a flow message without faults")
}

fn posts(mock: &Mock, path: &str) -> Vec<Received> {
    mock.requests().into_iter().filter(|request| request.path() == path).collect()
}

fn flows(mock: &Mock) -> Vec<Chf> {
    posts(mock, "/chf").iter().flat_map(flows_of).collect()
}

/// What `tests/c/fields.c` fills in, member by member in its order.
fn distinct_flow() -> Chf {
    let mut number = 999_u32;
    let mut next = || {
        number += 1;
        number
    };
    let address = |byte| Some([byte; 16]);
    Chf {
        timestamp_nano: next().into(),
        dst_as: next(),
        dst_geo: next(),
        dst_mac: next(),
        header_len: next(),
        in_bytes: 0x1_0000_0000 + u64::from(next()),
        in_pkts: 0x2_0000_0000 + u64::from(next()),
        input_port: next(),
        ip_size: next(),
        ipv4_dst_addr: next(),
        ipv4_src_addr: next(),
        l4_dst_port: next(),
        l4_src_port: next(),
        output_port: next(),
        protocol: next(),
        sampled_packet_size: next(),
        src_as: next(),
        src_geo: next(),
        src_mac: next(),
        tcp_flags: next(),
        tos: next(),
        vlan_in: next(),
        vlan_out: next(),
        ipv4_next_hop: next(),
        mpls_type: next(),
        out_bytes: 0x3_0000_0000 + u64::from(next()),
        out_pkts: 0x4_0000_0000 + u64::from(next()),
        tcp_retransmit: next(),
        sample_rate: 100 * next(),
        // The device's, not what the flow says.
        device_id: {
            next();
            1
        },
        timestamp: next().into(),
        src_next_hop_as: next(),
        dst_next_hop_as: next(),
        src_geo_region: next(),
        dst_geo_region: next(),
        src_geo_city: next(),
        dst_geo_city: next(),
        big: true,
        sample_adj: true,
        ipv4_dst_next_hop: next(),
        ipv4_src_next_hop: next(),
        src_route_prefix: next(),
        dst_route_prefix: next(),
        src_route_length: 21,
        dst_route_length: 22,
        src_second_asn: next(),
        dst_second_asn: next(),
        src_third_asn: next(),
        dst_third_asn: next(),
        ipv6_dst_addr: address(0xa0),
        ipv6_src_addr: address(0xa1),
        src_eth_mac: 0x0a0b_0c0d_0e0f,
        dst_eth_mac: 0x1a1b_1c1d_1e1f,
        ipv6_src_next_hop: address(0xa2),
        ipv6_dst_next_hop: address(0xa3),
        ipv6_src_route_prefix: address(0xa4),
        ipv6_dst_route_prefix: address(0xa5),
        is_metric: true,
        app_protocol: next(),
        ..Chf::default()
    }
}

/// The columns of `tests/c/fields.c`: every type in the member that holds it best.
fn all_values() -> Vec<CustomValue> {
    let text = |text: &str| CustomValue::Text(text.into());
    vec![
        text("not sent"),
        // The character on the edge is left out whole.
        text(&"x".repeat(383)),
        text(""),
        CustomValue::U8(201),
        CustomValue::U16(60_001),
        CustomValue::U32(4_000_000_001),
        CustomValue::U64(18_000_000_000_000_000_001),
        CustomValue::U8(0xff),
        CustomValue::U16(0xfffe),
        CustomValue::U32(0xffff_fffd),
        CustomValue::U64(0xffff_ffff_ffff_fffc),
        CustomValue::F32(1.5),
        CustomValue::F32(-0.25),
        CustomValue::Address(IpAddr::from([10, 0, 0, 1])),
        CustomValue::Address(IpAddr::from([0xfe; 16])),
        text(""),
    ]
}

fn expect_fields(mock: &Mock, printed: &str) {
    let [distinct, customs, named] = &flows(mock)[..] else { panic!("three flows were sent") };
    assert_eq!(*distinct, distinct_flow());
    let expected: Vec<Custom> =
        all_values().into_iter().map(|value| Custom { id: 301, is_dimension: false, value }).collect();
    assert_eq!(customs.custom, expected);
    assert_eq!(named.custom, [Custom { id: 301, is_dimension: false, value: CustomValue::U32(77) }]);

    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "device 1 first 250");
    assert_eq!(lines[1], "column 301 C_STRING 1");
    assert_eq!(lines[12], "column 312 C_ADDR 12");
    assert_eq!(lines[13..], ["column 313 C_INET 0"]);
}

#[test]
fn every_member_and_every_type_of_column_arrives_as_it_was_filled_in() {
    let installed = Installed::new("fields");
    for language in [Language::C99, Language::Cpp] {
        let mock = mock();
        let program = installed.compile(language, "tests/c/fields.c", Linking::Shared);
        let printed = run(Command::new(program).arg(mock.url()));
        expect_fields(&mock, &printed);
    }
}

#[test]
fn a_program_leaves_no_memory_behind() {
    let installed = Installed::new("memory");
    for linking in [Linking::Shared, Linking::Static] {
        let mock = mock();
        let program = installed.compile(Language::C11, "tests/c/fields.c", linking);
        let printed = run_under_valgrind(&program, &[&mock.url()]);
        expect_fields(&mock, &printed);
    }
}

#[test]
fn devices_are_found_or_created_by_every_way_there_is() {
    let mock = mock();
    let program = compiled("device");
    run_under_valgrind(&program, &[&mock.url()]);
    assert_eq!(mock.faults(), [""; 0]);
    let created: Vec<_> = mock.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(created.len(), 2);
    assert!(created.iter().all(|request| request.path() == "/api/internal/device/"), "{created:?}");
}

#[test]
fn many_threads_send_and_every_flow_arrives_once() {
    let mock = mock();
    assert_eq!(run_program("threads", &mock), "sent 16000\n");
    let mut ports: Vec<(u32, u32)> =
        flows(&mock).iter().map(|flow| (flow.l4_src_port, flow.l4_dst_port)).collect();
    ports.sort_unstable();
    let all = (1..=8).flat_map(|source| (0..2000).map(move |destination| (source, destination)));
    assert!(ports.into_iter().eq(all));
}

#[test]
fn parents_and_children_send_what_is_theirs() {
    let mock = mock();
    run_program("fork", &mock);
    let ports: Vec<u32> = flows(&mock).iter().map(|flow| flow.l4_src_port).collect();
    for port in 1..=4 {
        assert_eq!(ports.iter().filter(|sent| **sent == port).count(), 1, "flow {port}");
    }
}

#[test]
fn dns_answers_are_posted_as_messagepack() {
    let mock = mock();
    run_under_valgrind(&compiled("dns"), &[&mock.url()]);
    let posts = posts(&mock, "/dns");
    let [post] = &posts[..] else { panic!("all goes into one post") };
    assert_eq!((post.method.as_str(), post.header("content-type")), ("POST", vec!["application/chfdns"]));
    assert_eq!(post.header("x-ch-auth-api-token"), [TOKEN]);
    assert_eq!(post.header("content-encoding"), [""; 0]);

    let question = b"\x82\xa8Question\x82\xa4Name\xa9a.example\xa4Host\xc4\x04\x0a\x00\x00\x01\xa7Answers";
    let mut expected = question.to_vec();
    expected.extend(b"\x92\x84\xa4Name\xa0\xa5CNAME\xa0\xa2IP\xc4\x04\xc0\x00\x02\x01\xa3TTL\xcd\x01\x2c");
    expected.extend(b"\x84\xa4Name\xa0\xa5CNAME\xa0\xa2IP\xc4\x10\x20\x01\x0d\xb8");
    expected.extend([0; 12]);
    expected.extend(b"\xa3TTL\x05");
    expected.extend(question);
    expected.extend(b"\x90\x81\xa8Question\xc0");
    assert_eq!(post.body, expected);
}

#[test]
fn another_init_goes_on_elsewhere_and_the_former_sender_delivers_the_rest() {
    let (one, other) = (mock(), mock());
    run(Command::new(compiled("again")).args([one.url(), other.url()]));
    let ports = |mock: &Mock| flows(mock).iter().map(|flow| flow.l4_src_port).collect::<Vec<u32>>();
    assert_eq!((ports(&one), ports(&other)), (vec![1, 2], vec![3, 4]));
}

#[test]
fn a_stop_ends_in_time_and_says_what_it_leaves_behind() {
    let mock = mock();
    mock.usually(Route::Flow, Behaviour::Stall);
    run_program("stop", &mock);
}

#[test]
fn bad_luck_at_the_start_has_its_numbers() {
    let (one, stalled) = (mock(), mock());
    stalled.usually(Route::Api, Behaviour::Stall);
    run(Command::new(compiled("unlucky")).args([one.url(), stalled.url()]));
}

#[test]
fn broken_connections_and_errors_are_told_and_end_nothing() {
    let program = compiled("broken");
    let refusal = Behaviour::status(503).with_body(&format!("{{\"error\":\"bad token {TOKEN}\"}}"));
    for behaviour in [Behaviour::CloseWithoutAnswer, Behaviour::ResetAfter { body_bytes: 10 }, refusal] {
        let mock = mock();
        mock.script(Route::Flow, [behaviour.clone()]);
        let printed = run(Command::new(&program).arg(mock.url()));
        assert!(!printed.is_empty() && !printed.contains(TOKEN), "{behaviour:?}: {printed}");
        let last = posts(&mock, "/chf").pop().expect("it was tried again");
        assert_eq!(flows_of(&last).len(), 1);
    }
}

#[test]
fn flows_go_over_tls_which_may_break_too() {
    let authority = Authority::new();
    let installed = Installed::new("tls");
    let roots = installed.prefix.join("authority.pem");
    fs::write(&roots, authority.certificate_pem()).unwrap();
    let mock = start_mock(Some(ServerTls::new(&authority.sign("localhost"))));
    let program = installed.compile(Language::C11, "tests/c/broken.c", Linking::Static);
    // The head of the request alone: the rest is written to a connection that nobody reads any more.
    mock.script(Route::Flow, [Behaviour::ResetAfter { body_bytes: 0 }]);
    let printed = run(Command::new(program).arg(mock.url()).env("SSL_CERT_FILE", roots));
    assert!(!printed.is_empty());
    let last = posts(&mock, "/chf").pop().expect("it was tried again");
    assert_eq!(flows_of(&last).len(), 1);
}

#[test]
fn example_sends_its_flows() {
    let mock = mock();
    let program = Installed::new("send").compile(Language::C11, "examples/send.c", Linking::Shared);
    let mut command = Command::new(program);
    command.env("KFLOW_EMAIL", MockConfig::default().email).env("KFLOW_TOKEN", TOKEN);
    let printed = run(command.args(["1", &mock.flow_url(), &mock.api_url()]));
    assert_eq!(printed, "device first, sample rate 250, 13 custom columns\n");
    let ports: Vec<u32> = flows(&mock).iter().map(|flow| flow.l4_src_port).collect();
    assert_eq!(ports, [50_000, 50_001, 50_002, 50_003, 50_004]);
}

#[test]
fn status_is_told_while_a_program_runs() {
    let mock = mock();
    // Free when it was asked for; nothing else here takes fixed ports.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut program = Command::new(compiled("status"))
        .args([mock.url(), port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");

    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["flows-in"]["count"], 2, "{body}");

    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert_eq!(flows(&mock).len(), 5);
}
