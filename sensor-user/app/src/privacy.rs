//! What leaves the sensor of texts that somebody might object to.

use kflow::application::{Application, Field, Sensitivity};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Hex digits of a hashed text: 64 bits, so that a million different texts stay different.
const HASH_DIGITS: usize = 16;

/// How each kind of sensitive text is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    pub dns_names: Treatment,
    pub host_names: Treatment,
    pub url_queries: Treatment,
    pub user_names: Treatment,
    /// Goes into every hash, so that nobody without it can try out texts.
    pub key: [u8; 32],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Treatment {
    #[default]
    Keep,
    /// The first 64 bits of SHA-256 over key and text, in hex: equal texts stay equal.
    Hash,
    Drop,
}

impl Privacy {
    /// What may leave of an application.
    #[must_use]
    pub fn apply(&self, application: Application) -> Application {
        let Privacy { dns_names, host_names, url_queries, user_names, .. } = *self;
        let treatments = [dns_names, host_names, url_queries, user_names];
        if treatments.iter().all(|treatment| *treatment == Treatment::Keep) {
            return application;
        }
        application.with_texts(|field, text| self.treat(field, text))
    }

    fn treat<'a>(&self, field: &Field, text: &'a str) -> Option<Cow<'a, str>> {
        match field.sensitivity {
            Sensitivity::Open => Some(text.into()),
            Sensitivity::DnsName => self.treated(self.dns_names, text),
            Sensitivity::HostName => self.treated(self.host_names, text),
            Sensitivity::UserName => self.treated(self.user_names, text),
            Sensitivity::Url => Some(self.treat_url(text)),
        }
    }

    /// The host of a URL is a name like any other.
    fn treat_url<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (scheme, host, rest) = parts(text);
        let host = if host.is_empty() { Some(host.into()) } else { self.treated(self.host_names, host) };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let treated = query.map(|query| self.treated(self.url_queries, query));
        let is_kept = self.host_names == Treatment::Keep || host.as_deref() == Some("");
        if is_kept && (query.is_none() || self.url_queries == Treatment::Keep) {
            return text.into();
        }
        let host = host.unwrap_or_default();
        match treated.flatten() {
            Some(query) => format!("{scheme}{host}{path}?{query}").into(),
            None => format!("{scheme}{host}{path}").into(),
        }
    }

    fn treated<'a>(&self, treatment: Treatment, text: &'a str) -> Option<Cow<'a, str>> {
        match treatment {
            Treatment::Keep => Some(text.into()),
            Treatment::Hash => Some(self.hash(text).into()),
            Treatment::Drop => None,
        }
    }

    fn hash(&self, text: &str) -> String {
        let digest = Sha256::new().chain_update(self.key).chain_update(text).finalize();
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
        digits.take(HASH_DIGITS).map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
    }
}

/// Scheme with what follows it, authority, and the rest of a URL. A path has only a rest; what CONNECT names is an
/// authority (RFC 9112 §3.2).
fn parts(url: &str) -> (&str, &str, &str) {
    if url.starts_with('/') || url == "*" {
        return ("", "", url);
    }
    let scheme = url.find("://").map_or(0, |end| end + 3);
    let authority = url[scheme..].find(['/', '?', '#']).unwrap_or(url.len() - scheme);
    (&url[..scheme], &url[scheme..scheme + authority], &url[scheme + authority..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use kflow::application::{AppProtocol, Draft, protocols::http};

    fn request() -> Application {
        let mut draft = Draft::new(100);
        draft.begin(AppProtocol::Http);
        draft.text(http::URL, b"/search?q=secret");
        draft.text(http::REFERER, b"http://a.example/");
        draft.text(http::HOST, b"b.example");
        draft.to_application(None)
    }

    #[test]
    fn nothing_changes_unless_asked_for() {
        assert_eq!(Privacy::default().apply(request()), request());
    }

    #[test]
    fn only_the_query_of_a_url_is_dropped() {
        let privacy = Privacy { url_queries: Treatment::Drop, ..Privacy::default() };
        let treated = privacy.apply(request());
        assert_eq!(treated.text(http::URL), Some("/search"));
        assert_eq!(treated.text(http::REFERER), Some("http://a.example/"));
        assert_eq!(treated.text(http::HOST), Some("b.example"));
    }

    #[test]
    fn hosts_of_urls_are_names_of_hosts() {
        let privacy = Privacy { host_names: Treatment::Drop, ..Privacy::default() };
        let url = |text| privacy.treat_url(text).into_owned();
        assert_eq!(url("http://a.example/b?c=d"), "http:///b?c=d");
        assert_eq!(url("https://a.example?c://d/"), "https://?c://d/");
        assert_eq!(url("a.example:443"), "");
        assert_eq!(url("/b?u=http://a.example/"), "/b?u=http://a.example/");
        assert_eq!(url("*"), "*");
        let treated = privacy.apply(request());
        assert_eq!(treated.text(http::REFERER), Some("http:///"));
        let hashing = Privacy { host_names: Treatment::Hash, url_queries: Treatment::Drop, ..privacy };
        assert_eq!(hashing.treat_url("ftp://h/p?q"), format!("ftp://{}/p", hashing.hash("h")));
    }

    #[test]
    fn hashes_are_equal_for_equal_texts_and_depend_on_the_key() {
        let with_key = |key| Privacy { host_names: Treatment::Hash, key: [key; 32], ..Privacy::default() };
        let [first, again, other] = [1, 1, 2].map(|key| with_key(key).apply(request()));
        assert_eq!(first, again);
        assert_ne!(first.text(http::HOST), other.text(http::HOST));
        assert_eq!(first.text(http::HOST).map(str::len), Some(HASH_DIGITS));
        assert_eq!(first.text(http::URL), Some("/search?q=secret"));
    }
}
