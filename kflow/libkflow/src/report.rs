//! The sender's own counters on their way to the collector, once a minute.

use std::time::Duration;

use kflow_delivery::{Clock, Outcome, Poster};

use crate::errors::Errors;
use crate::meter::Meters;
use crate::tsdb::{self, Tags};

/// A report that takes longer is not worth waiting for.
pub const TIMEOUT: Duration = Duration::from_secs(5);

const TRIES: u32 = 2;

/// Posts the counters each time that it is called, if they are wanted. Of failures in a row the first is told.
pub fn reporter(
    poster: Option<Poster>,
    tags: Tags,
    errors: &'static Errors,
) -> impl FnMut(&Meters) + Send + 'static {
    let clock = Clock::start();
    let mut has_failed = false;
    move |meters| {
        let Some(poster) = &poster else { return };
        let Some(points) = tsdb::points(meters, &tags, clock.now().0 / 1_000_000_000) else { return };
        let mut last = Outcome::Delivered;
        for _ in 0..TRIES {
            last = poster.post(points.as_bytes());
            if last == Outcome::Delivered {
                break;
            }
        }
        if let Outcome::Failed(trouble) = &last
            && !has_failed
        {
            errors.push(&format!("counters of the sender cannot be posted: {trouble}"));
        }
        has_failed = last != Outcome::Delivered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Counts;
    use kflow_delivery::{Credentials, HttpConfig, Token};
    use kflow_mock::{Behaviour, Mock, MockConfig, Route};

    fn tags() -> Tags {
        Tags {
            program: "probe".into(),
            version: "1".into(),
            company_id: 1,
            device_id: 2,
            host: "here".into(),
        }
    }

    #[test]
    fn a_report_is_tried_twice_and_the_first_failure_of_a_row_is_told() {
        let config = MockConfig::default();
        let token = Token::new(&config.token).expect("the mock's token is one");
        let credentials = Credentials { email: config.email.clone(), token };
        let mock = Mock::start(config).expect("a port of the loopback is free");
        let url = mock.url() + "/tsdb";
        let poster = Poster::new(&url, "application/json", &credentials, &HttpConfig::default()).unwrap();
        let errors: &'static Errors = Box::leak(Box::default());
        let mut report = reporter(Some(poster), tags(), errors);
        let mut meters = Meters::default();

        report(&meters);
        assert_eq!(mock.requests().len(), 0, "there is nothing to tell yet");

        meters.tick(&Counts { flows_in: 50, ..Counts::default() });
        mock.script(Route::Metrics, vec![Behaviour::status(503); 5]);
        report(&meters);
        report(&meters);
        report(&meters);
        let requests = mock.requests();
        assert_eq!(requests.len(), 6);
        let points: serde_json::Value = serde_json::from_slice(&requests[5].body).unwrap();
        assert_eq!(points[0]["metric"], "chf.client_Total");
        assert_eq!(points[0]["value"], 50);
        let fetch = || errors.fetch(|text| Some(text.to_owned()));
        let text = fetch().expect("the first failure is told");
        assert!(
            text.starts_with("counters of the sender cannot be posted: the server answered 503"),
            "{text}"
        );
        assert_eq!(fetch(), None);
    }
}
