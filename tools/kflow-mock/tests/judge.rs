//! What the mock says to requests that were written by hand.

use kflow_mock::{Mock, MockConfig, Route};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends one request with the right credentials, and gives the first line of the answer.
fn ask(mock: &Mock, first_line: &str, headers: &str, body: &[u8]) -> String {
    let MockConfig { email, token, .. } = MockConfig::default();
    let head = format!(
        "{first_line} HTTP/1.1\r\nHost: mock\r\nX-CH-Auth-Email: {email}\r\nX-CH-Auth-API-Token: {token}\r\n\
         Connection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(mock.address()).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

fn mock() -> Mock {
    Mock::start(MockConfig::default()).unwrap()
}

#[test]
fn names_and_metrics_have_places_of_their_own() {
    let mock = mock();
    let dns = "Content-Type: application/chfdns\r\n";
    assert_eq!(ask(&mock, "POST /dns", dns, b"\x82\xa8Question"), "HTTP/1.1 200 Status");
    assert_eq!(ask(&mock, "POST /dns", "", b"\x82"), "HTTP/1.1 400 Status");
    assert_eq!(ask(&mock, "POST /dns", dns, b"{}"), "HTTP/1.1 400 Status");
    let json = "Content-Type: application/json\r\n";
    let point = br#"[{"metric":"a","timestamp":1,"value":2,"tags":{}}]"#;
    assert_eq!(ask(&mock, "POST /tsdb", json, point), "HTTP/1.1 200 Status");
    assert_eq!(ask(&mock, "POST /tsdb", json, b"[{}]"), "HTTP/1.1 400 Status");
    let routes: Vec<Route> = mock.requests().iter().map(|request| request.route).collect();
    assert_eq!(routes, [Route::Dns, Route::Dns, Route::Dns, Route::Metrics, Route::Metrics]);
    assert_eq!(mock.faults().len(), 3);
}

#[test]
fn queries_in_another_form_are_faults() {
    let mock = mock();
    for query in [
        "",
        "sid=0&sender_id=7%3Asensor_example%3A42",
        "sender_id=7:sensor_example:42&sid=0",
        "sender_id=7%3asensor_example%3a42&sid=0",
        "sender_id=7%3Asensor_example%3A42&sid=1",
        "sender_id=7%3Asensor_example%3A42&sid=0&x=1",
        "sender_id=%3Asensor_example%3A42&sid=0",
    ] {
        ask(&mock, &format!("POST /chf?{query}"), "", b"");
        let request = mock.requests().pop().unwrap();
        assert!(request.faults.iter().any(|fault| fault.starts_with("the query is")), "{query}");
    }
}

#[test]
fn bytes_that_are_no_request_end_the_connection_and_nothing_else() {
    let mock = mock();
    for bytes in [&b"\x16\x03\x01\x00\x05hello\r\n\r\n"[..], b"GET\r\n\r\n", b"POST /chf HTTP/1.1\r\nHost: a"]
    {
        let mut stream = TcpStream::connect(mock.address()).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.is_empty());
    }
    assert_eq!(ask(&mock, "GET /api/internal/device/42", "", b""), "HTTP/1.1 200 Status");
}
