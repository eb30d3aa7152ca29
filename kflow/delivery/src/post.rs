//! Posts to a server beside flows: DNS answers, a sender's own counters. One attempt a call, as in [`crate::Client`].

use crate::client::{Account, Credentials};
use crate::error::Error;
use crate::http::{Answer, HttpConfig, Network, Peer};
use crate::outcome::{Cause, Outcome, Trouble, presentable};
use crate::url::Url;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderValue, Request};

/// Answers say a word or two.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Posts bodies of one type to one URL, and keeps the connection.
#[derive(Debug)]
pub struct Poster {
    url: Url,
    peer: Peer,
    account: Account,
    content_type: HeaderValue,
}

impl Poster {
    /// # Errors
    /// The URL, the proxy, a certificate or a header's value cannot be used. Nothing is connected to yet.
    pub fn new(
        url: &str,
        content_type: &'static str,
        credentials: &Credentials,
        config: &HttpConfig,
    ) -> Result<Poster, Error> {
        let url = Url::parse(url)?;
        let peer = Network::new(config)?.peer(&url)?;
        let content_type = HeaderValue::from_static(content_type);
        Ok(Poster { url, peer, account: Account::new(credentials)?, content_type })
    }

    /// Sends a body as it is. Every success counts as delivered, since other servers than those of flows answer 204
    /// and the like.
    pub fn post(&self, body: &[u8]) -> Outcome {
        let mut request = match Request::post(self.url.as_str()).body(body) {
            Ok(request) => request,
            Err(error) => {
                let text = presentable(&error.to_string(), self.account.secret());
                return Outcome::Failed(Trouble { cause: Cause::Malformed, text, retry_after: None });
            }
        };
        self.account.sign(request.headers_mut());
        request.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        match self.peer.call(request, ANSWER_BYTES_MAX, self.account.secret()) {
            Ok(Answer { status: 200..300, .. }) => Outcome::Delivered,
            Ok(answer) => Outcome::Failed(self.account.refusal(&answer)),
            Err(trouble) => Outcome::Failed(trouble),
        }
    }
}
