//! Batches reach a receiver in the one form that it takes.

use crate::support::{
    AMPLE, FIRST, NAME, batch, client, credentials, gzip, http, identity, message, plain_mock, send, send_to,
    trouble,
};
use kflow_delivery::{Batch, Cause, Client, ContentEncoding, Error, Identity, Outcome};
use kflow_mock::{Behaviour, Device, Route};

#[test]
fn a_strict_receiver_finds_nothing_wrong_with_a_request() {
    let mock = plain_mock();
    assert_eq!(send_to(&mock, &http()), Outcome::Delivered);
    let [request] = &mock.requests()[..] else { panic!("not one request") };
    assert_eq!(request.faults, Vec::<String>::new());
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/chf?sender_id=7%3Asensor_example%3A42&sid=0");
    assert_eq!(request.records.as_ref().map(Vec::len), Some(3));
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    // Nothing but what the receiver knows, and the one header of ours.
    assert_eq!(
        names,
        [
            "content-encoding",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-ch-auth-api-token",
            "x-ch-auth-email",
            "x-kflow-batch"
        ]
    );
    assert_eq!(request.header("x-kflow-batch"), ["edge%201%2Fa/3/9"]);
    assert_eq!(request.header("user-agent"), ["test/1"]);
}

#[test]
fn a_batch_without_a_name_has_no_header_of_ours() {
    let mock = plain_mock();
    let body = gzip(&message(1));
    let outcome = client(&mock.flow_url(), &http()).send(FIRST, &batch(&body), &identity(), None);
    assert_eq!(outcome, Outcome::Delivered);
    assert!(mock.requests()[0].header("x-kflow-batch").is_empty());
}

#[test]
fn an_uncompressed_batch_says_no_encoding() {
    let mock = plain_mock();
    let body = message(2);
    let batch = Batch { body: &body, encoding: ContentEncoding::Identity, records: 2 };
    let outcome = client(&mock.flow_url(), &http()).send(FIRST, &batch, &identity(), Some(&NAME));
    assert_eq!(outcome, Outcome::Delivered);
    assert!(mock.requests()[0].header("content-encoding").is_empty());
}

#[test]
fn a_zstd_batch_says_so() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::status(200)]);
    let batch = Batch { body: b"not looked into", encoding: ContentEncoding::Zstd, records: 1 };
    let outcome = client(&mock.flow_url(), &http()).send(FIRST, &batch, &identity(), Some(&NAME));
    assert_eq!(outcome, Outcome::Delivered);
    let request = &mock.requests()[0];
    assert_eq!((request.header("content-encoding"), &request.body[..]), (vec!["zstd"], batch.body));
}

#[test]
fn a_body_of_megabytes_arrives_whole() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::status(200)]);
    let body: Vec<u8> = (0..5_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    let outcome = client(&mock.flow_url(), &http()).send(FIRST, &batch(&body), &identity(), Some(&NAME));
    assert_eq!(outcome, Outcome::Delivered);
    assert!(mock.requests()[0].body == body);
}

#[test]
fn names_of_devices_are_encoded() {
    let name = "größe &=+/%:1";
    let mock = plain_mock();
    let device = Device { name: name.into(), ..Device::default() };
    mock.change_devices(|devices| devices[0] = device);
    let identity = Identity { device_name: name.into(), ..identity() };
    let body = gzip(&message(1));
    let outcome = client(&mock.flow_url(), &http()).send(FIRST, &batch(&body), &identity, None);
    assert_eq!(outcome, Outcome::Delivered);
}

#[test]
fn requests_share_one_connection() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    for _ in 0..20 {
        assert_eq!(send(&client), Outcome::Delivered);
    }
    // Answers that are no success do not end it either.
    mock.script(Route::Flow, [Behaviour::status(503), Behaviour::status(401).with_body("no JSON at all")]);
    trouble(send(&client));
    trouble(send(&client));
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!((mock.requests().len(), mock.connections()), (23, 1));
}

#[test]
fn a_connection_that_the_server_wants_closed_is_not_used_again() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::status(200).with_header("Connection", "close")]);
    let client = client(&mock.flow_url(), &http());
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(send(&client), Outcome::Delivered);
    assert_eq!(mock.connections(), 2);
}

#[test]
fn a_restarted_server_is_connected_to_anew() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    assert_eq!(send(&client), Outcome::Delivered);
    mock.close_connections();
    // Whether the end of the connection is seen before the request is written is up to the kernel.
    let again = match send(&client) {
        Outcome::Delivered => Outcome::Delivered,
        Outcome::Failed(trouble) => {
            assert_eq!(trouble.cause, Cause::Broken);
            send(&client)
        }
    };
    assert_eq!(again, Outcome::Delivered);
    assert_eq!(mock.connections(), 2);
}

#[test]
fn the_strict_receiver_does_find_faults() {
    let mock = plain_mock();
    let client = client(&mock.flow_url(), &http());
    let good = message(1);
    let mut prefix = good.clone();
    prefix[79] = 1;
    let mut packed = good.clone();
    packed.truncate(good.len() - 3);
    let mut other = vec![0; 80];
    other.extend_from_slice(kflow::codec::Encoder::new().encode(&[kflow::FlowRecord::default()]).unwrap());
    for (body, encoding, fault) in [
        (gzip(&other), ContentEncoding::Gzip, "of device 0"),
        (gzip(&prefix), ContentEncoding::Gzip, "prefix"),
        (gzip(&packed), ContentEncoding::Gzip, "message is broken"),
        (gzip(&good[..60]), ContentEncoding::Gzip, "shorter"),
        (good, ContentEncoding::Gzip, "no gzip"),
        (gzip(&message(1)), ContentEncoding::Zstd, "content-encoding"),
    ] {
        let batch = Batch { body: &body, encoding, records: 1 };
        let trouble = trouble(client.send(FIRST, &batch, &identity(), Some(&NAME)));
        assert_eq!(trouble.cause, Cause::Status(400));
        assert!(trouble.text.contains(fault), "{trouble}");
    }
    assert_eq!(mock.faults().len(), 6);
}

#[test]
fn what_cannot_be_sent_is_said_when_the_client_is_made() {
    let urls = |text: &str| vec![text.to_owned()];
    let error = Client::new(&[], &credentials(), &http()).unwrap_err();
    assert!(matches!(error, Error::Url { .. }), "{error}");
    for url in ["flow.kentik.com/chf", "https://u:p@flow.kentik.com/chf", "https://flow.kentik.com/chf?x=1"] {
        let error = Client::new(&urls(url), &credentials(), &http()).unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{error}");
    }
    let mut account = credentials();
    account.email = "a@example.com\r\nX-Other: 1".into();
    let error = Client::new(&urls("http://localhost/chf"), &account, &http()).unwrap_err();
    assert!(matches!(error, Error::Header { name: "e-mail address", .. }), "{error}");
    let mut config = http();
    config.user_agent = "a\nb".into();
    let error = Client::new(&urls("http://localhost/chf"), &credentials(), &config).unwrap_err();
    assert!(matches!(error, Error::Header { name: "user agent", .. }), "{error}");
}

#[test]
fn the_mock_is_waited_for() {
    let mock = plain_mock();
    let url = mock.flow_url();
    let sender = std::thread::spawn(move || send(&client(&url, &http())));
    assert_eq!(mock.wait_for_requests(1, AMPLE).len(), 1);
    assert_eq!(sender.join().unwrap(), Outcome::Delivered);
}
