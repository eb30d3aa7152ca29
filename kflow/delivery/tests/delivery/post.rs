//! Bodies beside flows reach their server as they are, signed.

use crate::support::{credentials, http, plain_mock, trouble};
use kflow_delivery::{Cause, Error, Outcome, Poster};
use kflow_mock::{Behaviour, MockConfig, Route};

#[test]
fn a_body_is_posted_as_it_is_over_one_connection() {
    let mock = plain_mock();
    mock.script(Route::Dns, [Behaviour::status(200), Behaviour::status(204)]);
    let url = mock.url() + "/dns";
    let poster = Poster::new(&url, "application/chfdns", &credentials(), &http()).unwrap();
    assert_eq!(poster.post(b"\x00one"), Outcome::Delivered);
    assert_eq!(poster.post(b"two"), Outcome::Delivered);
    let [first, second] = &mock.requests()[..] else { panic!("two were posted") };
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/dns"));
    assert_eq!((&first.body[..], &second.body[..]), (&b"\x00one"[..], &b"two"[..]));
    assert_eq!(first.header("content-type"), ["application/chfdns"]);
    assert_eq!(first.header("x-ch-auth-email"), [MockConfig::default().email]);
    assert_eq!(first.header("x-ch-auth-api-token"), [MockConfig::default().token]);
    assert!(first.header("content-encoding").is_empty());
    assert_eq!(mock.connections(), 1);
}

#[test]
fn a_refusal_says_what_the_server_says() {
    let mock = plain_mock();
    mock.script(Route::Metrics, [Behaviour::status(400)]);
    let url = mock.url() + "/tsdb";
    let poster = Poster::new(&url, "application/json", &credentials(), &http()).unwrap();
    let trouble = trouble(poster.post(b"[]"));
    assert_eq!((trouble.cause, trouble.text.as_str()), (Cause::Status(400), "status 400"));
}

#[test]
fn a_url_that_is_none_is_an_error_at_the_start() {
    let made = Poster::new("tsdb", "application/json", &credentials(), &http());
    assert!(matches!(made, Err(Error::Url { .. })), "{made:?}");
}
