//! A stand-in for Kentik's flow receiver and device API, strict about what it is sent, for tests and to try by hand.
//!
//! In come HTTP/1.1 requests over TCP or TLS on a port of the loopback; out go the answers that the real service
//! would give, or those of a script. Every request is kept for the test to look at, with all that is wrong with it.
//!
//! ```no_run
//! let mock = kflow_mock::Mock::start(kflow_mock::MockConfig::default()).unwrap();
//! mock.script(kflow_mock::Route::Flow, [kflow_mock::Behaviour::status(503)]);
//! // … send to mock.flow_url() …
//! let request = &mock.requests()[0];
//! assert!(request.faults.is_empty(), "{:?}", request.faults);
//! ```
//!
//! It shares no code with the sender, apart from the decoder of messages. One thread a connection; no limit on how
//! many; not for use on a network.

mod behaviour;
mod certificates;
mod check;
mod connection;
mod devices;
mod names;
mod proxy;
mod request;
mod server;

pub use behaviour::Behaviour;
pub use certificates::{Authority, Certificate, ServerTls};
pub use devices::{Column, Device};
pub use proxy::{MockProxy, ProxyRequest};
pub use request::{Fate, Received, Route};
pub use server::{BatchNames, Mock, MockConfig};
