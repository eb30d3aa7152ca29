//! The token is in its header and nowhere else: not in debug output, not in texts, not in logs.

use crate::support::{FIRST, batch, gzip, http, identity, message, plain_mock, send, trouble};
use kflow_delivery::{Client, Credentials, Outcome, ProxyConfig, ProxyUrl, Token};
use kflow_mock::{Behaviour, MockConfig, MockProxy, Route};
use std::sync::{Mutex, Once, PoisonError};

/// Only these tests log with it; others do not send it.
const SECRET: &str = "t0psecretTokenOfTheSecrecyTests";

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}", record.target(), record.args());
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

fn keep_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keeper).expect("this is the only logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

fn account() -> Credentials {
    Credentials { email: MockConfig::default().email, token: Token::new(SECRET).unwrap() }
}

#[test]
fn nothing_that_is_logged_or_printed_holds_the_token() {
    keep_logs();
    let (mock, proxy) = (plain_mock(), MockProxy::start(None));
    mock.script(
        Route::Flow,
        [
            Behaviour::status(200),
            Behaviour::status(401),
            Behaviour::redirect("http://192.0.2.1/"),
            Behaviour::Raw(b"no HTTP".to_vec()),
            Behaviour::CloseWithoutAnswer,
        ],
    );
    let mut config = http();
    let url = ProxyUrl(format!("http://me:{SECRET}@{}", proxy.address()));
    config.proxy = ProxyConfig::Url { url, except: String::new() };
    let client = Client::new(&[mock.flow_url()], &account(), &config).unwrap();
    let mut printed = format!("{client:?} {:?} {config:?}", account());
    for _ in 0..5 {
        let outcome = client.send(FIRST, &batch(&gzip(&message(1))), &identity(), None);
        printed += &format!("{outcome:?}");
        if let Outcome::Failed(trouble) = outcome {
            printed += &trouble.to_string();
        }
    }
    assert!(!printed.contains(SECRET), "{printed}");
    // All were real requests: the token went out with each.
    assert!(mock.requests().iter().all(|request| request.header("x-ch-auth-api-token") == [SECRET]));
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lines.iter().any(|line| line.starts_with("ureq")), "nothing was logged");
    let leaks: Vec<&String> = lines.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[test]
fn a_server_that_repeats_the_token_does_not_get_it_into_texts() {
    let mock = plain_mock();
    let body = format!("{{\"error\":\"token {SECRET} is not valid\"}}");
    mock.script(Route::Flow, [Behaviour::status(403).with_body(&body)]);
    let client = Client::new(&[mock.flow_url()], &account(), &http()).unwrap();
    assert_eq!(trouble(send(&client)).text, "token … is not valid");
}
