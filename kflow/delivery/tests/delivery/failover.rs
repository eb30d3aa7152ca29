//! Client and policy together: batches reach the receiver that works, and come back to the preferred one.

use crate::support::{credentials, http, plain_mock, send_by};
use kflow_delivery::{
    Action, Client, EndpointId, GivenBack, Jitter, Moment, Outcome, Policy, Remedy, RetryConfig, Standing,
    Turn,
};
use kflow_mock::{Behaviour, Device, Mock, Route};
use std::time::Duration;

/// A sender whose time passes as it has to wait, without waiting.
struct Sender {
    client: Client,
    policy: Policy,
    now: Moment,
    waited: Vec<Duration>,
}

impl Sender {
    fn to(mocks: &[&Mock]) -> Sender {
        let urls: Vec<String> = mocks.iter().map(|mock| mock.flow_url()).collect();
        let client = Client::new(&urls, &credentials(), &http()).unwrap();
        let policy = Policy::new(RetryConfig::default(), client.endpoints());
        Sender { client, policy, now: Moment(1 << 60), waited: Vec::new() }
    }

    /// One batch to its end, or to the look-up of the device.
    fn send(&mut self) -> Action {
        loop {
            match self.policy.turn(self.now) {
                Turn::Wait(until) => {
                    self.waited.push(until.since(self.now));
                    self.now = until;
                }
                Turn::Send(endpoint) => {
                    let outcome = send_by(&self.client, endpoint);
                    let action = self.policy.next(endpoint, &outcome, self.now, Jitter(0));
                    if action != Action::TryAgain {
                        return action;
                    }
                }
            }
        }
    }
}

#[test]
fn a_batch_goes_to_the_next_receiver_and_back_when_the_first_works_again() {
    let (first, second) = (plain_mock(), plain_mock());
    let mut sender = Sender::to(&[&first, &second]);
    first.script(Route::Flow, [Behaviour::status(503), Behaviour::CloseWithoutAnswer]);
    for _ in 0..10 {
        assert_eq!(sender.send(), Action::Acknowledge);
        sender.now = sender.now.plus(Duration::from_secs(1));
    }
    assert_eq!((first.requests().len(), second.requests().len()), (1, 10));
    sender.now = sender.now.plus(Duration::from_secs(300));
    // The first still fails, which costs the batch nothing but a try.
    assert_eq!(sender.send(), Action::Acknowledge);
    assert_eq!((first.requests().len(), second.requests().len()), (2, 11));
    sender.now = sender.now.plus(Duration::from_secs(300));
    assert_eq!(sender.send(), Action::Acknowledge);
    assert_eq!((first.requests().len(), second.requests().len()), (3, 11));
    assert!(sender.waited.is_empty());
    assert_eq!(sender.policy.current(), EndpointId(0));
}

#[test]
fn a_single_receiver_that_recovers_gets_the_batch_after_growing_waits() {
    let mock = plain_mock();
    mock.script(
        Route::Flow,
        [
            Behaviour::status(500),
            Behaviour::status(429).with_header("Retry-After", "7"),
            Behaviour::status(302).with_header("Location", "http://192.0.2.1/"),
            Behaviour::status(503),
        ],
    );
    let mut sender = Sender::to(&[&mock]);
    assert_eq!(sender.send(), Action::Acknowledge);
    let seconds: Vec<f64> = sender.waited.iter().map(Duration::as_secs_f64).collect();
    assert_eq!(seconds, [0.5, 7.0, 150.0, 4.0]);
    assert_eq!(mock.requests().len(), 5);
    assert_eq!(sender.policy.standing(), &Standing::Delivering);
}

#[test]
fn a_rejected_batch_comes_back_at_once() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::status(413)]);
    let mut sender = Sender::to(&[&mock]);
    assert_eq!(sender.send(), Action::GiveBack(GivenBack::Rejected));
    assert_eq!(sender.send(), Action::Acknowledge);
    assert_eq!(mock.requests().len(), 2);
}

#[test]
fn a_device_that_is_gone_is_looked_up() {
    let mock = plain_mock();
    mock.change_devices(Vec::clear);
    let mut sender = Sender::to(&[&mock]);
    assert_eq!(sender.send(), Action::LookUpDevice);
    let Standing::Failing { remedy, trouble, .. } = sender.policy.standing() else {
        panic!("it is not failing")
    };
    assert_eq!((*remedy, &trouble.text[..]), (Remedy::LookUpDevice, "unknown device"));
    mock.change_devices(|devices| devices.push(Device::default()));
    assert_eq!(sender.send(), Action::Acknowledge);
    assert!(sender.waited.is_empty());
}

#[test]
fn a_connection_that_the_server_gave_up_costs_no_wait() {
    let mock = plain_mock();
    let mut sender = Sender::to(&[&mock]);
    assert_eq!(sender.send(), Action::Acknowledge);
    mock.script(Route::Flow, [Behaviour::CloseWithoutAnswer]);
    assert_eq!(sender.send(), Action::Acknowledge);
    assert!(sender.waited.is_empty());
    assert!(matches!(send_by(&sender.client, EndpointId(0)), Outcome::Delivered));
}
