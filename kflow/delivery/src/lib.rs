//! Delivery of kflow over HTTP: requests as Kentik's receivers take them, when to try again and where, and the
//! device API. Blocking; no async runtime; one thread is enough.
//!
//! # The life of a batch
//!
//! 1. A sender has a message: prefix and packed records, compressed. It calls it a [`Batch`], with the
//!    [`BatchName`] under which its spool knows it.
//! 2. [`Policy::turn`](retry::Policy::turn) says which endpoint is ready for it now, or until when to wait.
//! 3. [`Client::send`] makes one request to that endpoint: `POST url?sender_id=company%3Aname%3Adevice&sid=0` with
//!    the [`Identity`] of the device and the [`Credentials`], over a connection that is kept open between batches.
//!    Every phase has a time limit, every answer a limit of size; no redirect is followed.
//! 4. The answer becomes an [`Outcome`]: delivered (200 and nothing else), or failed, with a cause, a text and a
//!    [`Remedy`].
//! 5. [`Policy::next`](retry::Policy::next) takes the outcome and says what follows: acknowledge the batch to the
//!    spool; give it back, which the caller counts as lost and why; look the device up and go on; or try again,
//!    which leads to step 2, at the same endpoint later or at the next one at once.
//!
//! The identity comes from the [`device`] API, from the file of its last answer, or from the configuration.
//!
//! A batch is in the caller's hands all the time. It ends as acknowledged or as given back, never in silence.
//!
//! Only [`clock`] reads the time and draws random numbers.

mod client;
pub mod clock;
pub mod device;
mod early;
mod error;
mod http;
mod outcome;
mod post;
mod proxy;
mod resolver;
pub mod retry;
pub mod sender;
mod sink;
mod tls;
mod token;
mod url;
pub mod window;

pub use client::{BATCH_HEADER, Batch, BatchName, Client, Credentials, Identity};
pub use clock::{Clock, Jitter, Moment};
pub use device::{Changes, Creation, Device, DeviceApi, DeviceStanding, DeviceWatch, Selector};
pub use error::Error;
pub use http::{HttpConfig, Interrupter, Timeouts};
pub use kflow::body::ContentEncoding;
pub use outcome::{Cause, Outcome, Phase, Remedy, RetryAfter, Trouble};
pub use post::Poster;
pub use proxy::{ProxyConfig, ProxyEnvironment, ProxyUrl};
pub use retry::{Action, EndpointId, GivenBack, Policy, RetryConfig, Standing, Turn};
pub use sink::SenderSink;
pub use tls::{ClientCertificate, TlsConfig};
pub use token::{Exposed, Token, TokenWarning};
pub use url::RegionUrls;
