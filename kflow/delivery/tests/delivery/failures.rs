//! Whatever a server does, a send ends in time with an outcome that says what happened.

use crate::support::{
    AMPLE, BRIEF, FIRST, NAME, batch, client, http, identity, plain_mock, send, send_to, trouble,
};
use kflow_delivery::{Cause, HttpConfig, Moment, Outcome, Phase, Remedy, RetryAfter, Timeouts};
use kflow_mock::{Behaviour, Route};
use std::net::TcpListener;
use std::time::Duration;

/// Limits with which the phase under test is the first that is over.
fn limits(change: impl FnOnce(&mut Timeouts)) -> HttpConfig {
    let mut http = http();
    change(&mut http.timeouts);
    http
}

#[test]
fn each_status_has_its_remedy() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    for (status, remedy) in [
        (401, Remedy::CheckCredentials),
        (403, Remedy::CheckCredentials),
        (404, Remedy::LookUpDevice),
        (429, Remedy::Retry),
        (500, Remedy::Retry),
        (503, Remedy::Retry),
        (400, Remedy::GiveBack),
        (413, Remedy::GiveBack),
        (415, Remedy::GiveBack),
        (422, Remedy::GiveBack),
        (201, Remedy::CheckUrl),
        (204, Remedy::CheckUrl),
    ] {
        mock.script(Route::Flow, [Behaviour::status(status)]);
        let trouble = trouble(send(&client));
        assert_eq!((trouble.cause, trouble.remedy()), (Cause::Status(status), remedy));
        let text = if status < 400 { String::new() } else { format!("status {status}") };
        assert_eq!(trouble.text, text);
    }
    assert_eq!(mock.connections(), 1);
}

#[test]
fn the_receiver_refuses_wrong_credentials_and_unknown_devices() {
    let mock = plain_mock();
    mock.change_devices(Vec::clear);
    let unknown = trouble(send_to(&mock, &http()));
    assert_eq!(unknown.to_string(), "the server answered 404: unknown device");
    let mut account = crate::support::credentials();
    account.email = "other@example.com".into();
    let client = kflow_delivery::Client::new(&[mock.flow_url()], &account, &http()).unwrap();
    let refused = trouble(send(&client));
    assert_eq!(refused.to_string(), "the server answered 401: the credentials are wrong");
}

#[test]
fn retry_after_comes_along_as_seconds_and_as_a_date() {
    let mock = plain_mock();
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    mock.script(
        Route::Flow,
        [
            Behaviour::status(429).with_header("Retry-After", "17"),
            Behaviour::status(503).with_header("Retry-After", date),
            Behaviour::status(503)
                .with_header("Retry-After", date)
                .with_header("Date", "Sun, 06 Nov 1994 08:48:37 GMT"),
            Behaviour::status(503).with_header("Retry-After", "whenever"),
        ],
    );
    let client = client(&mock.flow_url(), &http());
    let asked = || trouble(send(&client)).retry_after;
    assert_eq!(asked(), Some(RetryAfter::Delay(Duration::from_secs(17))));
    assert_eq!(asked(), Some(RetryAfter::At(Moment(784_111_777_000_000_000))));
    assert_eq!(asked(), Some(RetryAfter::Delay(Duration::from_secs(60))));
    assert_eq!(asked(), None);
}

#[test]
fn error_texts_are_bounded_and_on_one_line() {
    let mock = plain_mock();
    let long = format!("{{\"error\":\"first\\nsecond {}\"}}", "x".repeat(5000));
    mock.script(Route::Flow, [Behaviour::status(500).with_body(&long)]);
    let trouble = trouble(send_to(&mock, &http()));
    assert!(trouble.text.starts_with("first second xxx"), "{trouble}");
    assert_eq!(trouble.text.chars().count(), 201);
}

#[test]
fn no_listener_is_no_connection() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let trouble = trouble(send(&client(&format!("http://127.0.0.1:{port}/chf"), &http())));
    assert_eq!((trouble.cause, trouble.remedy()), (Cause::Connect, Remedy::Retry));
    assert!(trouble.text.contains("refused"), "{trouble}");
}

#[test]
fn a_name_without_an_address_is_not_resolved() {
    // RFC 6761 keeps .invalid free of hosts.
    let config = limits(|limits| limits.resolve = AMPLE / 2);
    let trouble = trouble(send(&client("http://receiver.invalid/chf", &config)));
    match trouble.cause {
        Cause::Resolve => assert!(trouble.text.starts_with("receiver.invalid:80: "), "{trouble}"),
        // Name servers that do not answer at all are late, not wrong.
        cause => assert_eq!(cause, Cause::Timeout(Phase::Resolve)),
    }
}

#[test]
fn a_server_that_does_not_answer_is_left() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::Stall);
    let trouble = trouble(send_to(&mock, &limits(|limits| limits.answer = BRIEF)));
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Answer));
}

#[test]
fn a_server_that_does_not_read_is_left() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::NeverRead);
    // More than the buffers of both sockets hold.
    let body = vec![0x5a; 32 << 20];
    let client = client(&mock.flow_url(), &limits(|limits| limits.send = BRIEF));
    let trouble = trouble(client.send(FIRST, &batch(&body), &identity(), Some(&NAME)));
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Send));
}

#[test]
fn a_server_that_reads_slowly_gets_all() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::SlowRead { bytes: 16, pause: Duration::from_millis(1) }]);
    assert_eq!(send_to(&mock, &http()), Outcome::Delivered);
    assert_eq!(mock.faults(), Vec::<String>::new());
}

#[test]
fn a_head_that_comes_drop_by_drop_does_not_hold_us() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::DripHead { pause: Duration::from_millis(5) });
    let trouble = trouble(send_to(&mock, &limits(|limits| limits.answer = BRIEF)));
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Answer));
}

#[test]
fn the_body_of_an_answer_that_comes_drop_by_drop_does_not_hold_us() {
    let mock = plain_mock();
    let pause = Duration::from_millis(5);
    for limits in [limits(|limits| limits.body = BRIEF), limits(|limits| limits.whole = BRIEF * 2)] {
        mock.script(
            Route::Flow,
            [Behaviour::Drip { status: 500, pause }, Behaviour::Drip { status: 200, pause }],
        );
        let client = client(&mock.flow_url(), &limits);
        assert_eq!(trouble(send(&client)).cause, Cause::Status(500));
        // The receiver has said that it has the batch.
        assert_eq!(send(&client), Outcome::Delivered);
    }
}

#[test]
fn the_whole_request_has_a_limit() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::SlowRead { bytes: 1, pause: Duration::from_millis(20) });
    let trouble = trouble(send_to(&mock, &limits(|limits| limits.whole = BRIEF)));
    assert_eq!(trouble.cause, Cause::Timeout(Phase::Whole));
}

#[test]
fn a_reset_in_the_middle_of_the_body_is_a_broken_connection() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::ResetAfter { body_bytes: 1000 }]);
    let client = client(&mock.flow_url(), &http());
    let body = vec![0x5a; 16 << 20];
    let trouble = trouble(client.send(FIRST, &batch(&body), &identity(), Some(&NAME)));
    assert_eq!((trouble.cause, trouble.remedy()), (Cause::Broken, Remedy::Retry), "{trouble}");
    assert_eq!(mock.requests()[0].body.len(), 1000);
    assert_eq!(send(&client), Outcome::Delivered);
}

#[test]
fn an_answer_that_comes_before_the_request_is_whole_is_heard() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    let body = vec![0x5a; 32 << 20];
    for (status, remedy) in [(413, Remedy::GiveBack), (401, Remedy::CheckCredentials), (503, Remedy::Retry)] {
        mock.script(Route::Flow, [Behaviour::EarlyAnswer { status }]);
        let trouble = trouble(client.send(FIRST, &batch(&body), &identity(), Some(&NAME)));
        assert_eq!((trouble.cause, trouble.remedy()), (Cause::Status(status), remedy), "{trouble}");
        assert_eq!(trouble.text, "early");
    }
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(mock.connections(), 4);
}

#[test]
fn a_success_before_the_request_is_whole_is_none() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    let body = vec![0x5a; 32 << 20];
    for status in [200, 204] {
        mock.script(Route::Flow, [Behaviour::EarlyAnswer { status }]);
        let trouble = trouble(client.send(FIRST, &batch(&body), &identity(), Some(&NAME)));
        assert_eq!((trouble.cause, trouble.remedy()), (Cause::Broken, Remedy::Retry), "{trouble}");
        assert_eq!(trouble.text, "the server claims success without having read the request");
    }
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(mock.connections(), 3);
}

#[test]
fn a_request_under_way_can_be_interrupted() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::Stall);
    let client = client(&mock.flow_url(), &http());
    let interrupter = client.interrupter();
    let sender = std::thread::spawn(move || (trouble(send(&client)), trouble(send(&client))));
    assert_eq!(mock.wait_for_requests(1, AMPLE).len(), 1);
    interrupter.interrupt();
    let (under_way, later) = sender.join().unwrap();
    assert_eq!((under_way.cause, later.cause), (Cause::Broken, Cause::Broken));
    assert_eq!(mock.requests().len(), 1);
}

#[test]
fn a_connection_closed_without_an_answer_is_broken() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::CloseWithoutAnswer]);
    let client = client(&mock.flow_url(), &http());
    assert_eq!(trouble(send(&client)).cause, Cause::Broken);
    assert_eq!(send(&client), Outcome::Delivered);
}

#[test]
fn what_is_no_http_is_malformed() {
    let mock = plain_mock();
    let raw: [&[u8]; 4] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    ];
    for bytes in raw {
        mock.script(Route::Flow, [Behaviour::Raw(bytes.to_vec())]);
        let trouble = trouble(send_to(&mock, &http()));
        assert_eq!(
            (trouble.cause, trouble.remedy()),
            (Cause::Malformed, Remedy::Retry),
            "{bytes:?}: {trouble}"
        );
    }
}

#[test]
fn an_endless_head_is_not_read_to_its_end() {
    let mock = plain_mock();
    let mut head = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
    head.resize(1 << 20, b'x');
    mock.script(Route::Flow, [Behaviour::Raw(head)]);
    assert_eq!(trouble(send_to(&mock, &http())).cause, Cause::Malformed);
}

#[test]
fn a_huge_answer_is_not_read_to_its_end() {
    let mock = plain_mock();
    let body_bytes = 64 << 20;
    mock.script(
        Route::Flow,
        [Behaviour::Huge { status: 200, body_bytes }, Behaviour::Huge { status: 502, body_bytes }],
    );
    let client = client(&mock.flow_url(), &http());
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(trouble(send(&client)).cause, Cause::Status(502));
    // The rest of both answers was thrown away with the connection.
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(mock.connections(), 3);
}

#[test]
fn a_redirect_is_not_followed_and_leaks_no_token() {
    let (mock, other) = (plain_mock(), plain_mock());
    for status in [301, 302, 303, 307, 308] {
        let redirect = Behaviour::status(status).with_header("Location", &other.flow_url());
        mock.script(Route::Flow, [redirect]);
        let trouble = trouble(send_to(&mock, &http()));
        assert_eq!((trouble.cause, trouble.remedy()), (Cause::Status(status), Remedy::CheckUrl));
    }
    assert_eq!((other.connections(), mock.requests().len()), (0, 5));
}
