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
            Sensitivity::Url => {
                let Some((path, query)) = text.split_once('?') else { return Some(text.into()) };
                match self.url_queries {
                    Treatment::Keep => Some(text.into()),
                    Treatment::Hash => Some(format!("{path}?{}", self.hash(query)).into()),
                    Treatment::Drop => Some(path.into()),
                }
            }
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
    fn hashes_are_equal_for_equal_texts_and_depend_on_the_key() {
        let with_key = |key| Privacy { host_names: Treatment::Hash, key: [key; 32], ..Privacy::default() };
        let [first, again, other] = [1, 1, 2].map(|key| with_key(key).apply(request()));
        assert_eq!(first, again);
        assert_ne!(first.text(http::HOST), other.text(http::HOST));
        assert_eq!(first.text(http::HOST).map(str::len), Some(HASH_DIGITS));
        assert_eq!(first.text(http::URL), Some("/search?q=secret"));
    }
}
