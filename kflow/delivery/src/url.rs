//! Where a server is: URLs of receivers and of the device API, and those of Kentik's regions.

use crate::error::Error;
use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;

/// The URLs of one of Kentik's regions, or of another service that lays its own out the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionUrls {
    /// Base of the device API.
    pub api: String,
    pub flow: String,
    pub dns: String,
    /// Where a sender's own metrics go.
    pub metrics: String,
}

impl RegionUrls {
    /// `us` and `eu` are Kentik's; a name with a dot is a domain; any other is one of Kentik's clusters.
    pub fn of(region: &str) -> RegionUrls {
        let region = region.trim().to_ascii_lowercase();
        let domain = match region.as_str() {
            "" | "us" => "kentik.com".to_owned(),
            "eu" => "kentik.eu".to_owned(),
            domain if domain.contains('.') => domain.to_owned(),
            cluster => format!("{cluster}.kentik.com"),
        };
        RegionUrls {
            api: format!("https://api.{domain}/api/internal"),
            flow: format!("https://flow.{domain}/chf"),
            dns: format!("https://flow.{domain}/dns"),
            metrics: format!("https://flow.{domain}/tsdb"),
        }
    }
}

/// An http or https URL without credentials, query and fragment. Its path does not end in a slash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    host: String,
    port: u16,
    https: bool,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, Error> {
        // A URL with credentials is not repeated in the message.
        if text.contains('@') {
            return Err(Error::Url { url: "…@…".into(), what: "it holds a user name or password" });
        }
        let refuse = |what| Err(Error::Url { url: text.chars().take(200).collect(), what });
        if text.contains(['?', '#']) {
            return refuse("it has a query or a fragment");
        }
        let Ok(uri) = text.parse::<Uri>() else { return refuse("it is no URL") };
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return refuse("it does not start with https:// or http://"),
        };
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return refuse("it has no host") };
        // The parser lets anything stand for a port.
        let behind_host = uri.authority().map_or("", |authority| &authority.as_str()[host.len()..]);
        let port = match (behind_host.strip_prefix(':'), uri.port_u16()) {
            (Some(_), Some(port)) => port,
            (Some(_), None) => return refuse("its port is no number up to 65535"),
            (None, _) => {
                if https {
                    443
                } else {
                    80
                }
            }
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Url { text: text.trim_end_matches('/').to_owned(), host, port, https })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Name or address, an IPv6 one without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// What is sent there can be read on the way.
    pub(crate) fn is_exposed(&self) -> bool {
        !self.https && !self.is_loopback()
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Writes `text` so that it is one value of a query or one segment of a path (RFC 3986, section 2.3: all but the
/// unreserved characters as `%XX`).
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_the_urls_that_kentik_documents() {
        assert_eq!(RegionUrls::of("US").flow, "https://flow.kentik.com/chf");
        assert_eq!(RegionUrls::of("eu").api, "https://api.kentik.eu/api/internal");
        assert_eq!(RegionUrls::of("us-west").dns, "https://flow.us-west.kentik.com/dns");
        assert_eq!(RegionUrls::of("flows.example").metrics, "https://flow.flows.example/tsdb");
    }

    #[test]
    fn a_url_is_taken_apart_once() {
        let url = Url::parse("https://Flow.Example/chf/").unwrap();
        assert_eq!(
            (url.as_str(), url.host(), url.port(), url.is_https()),
            ("https://Flow.Example/chf", "flow.example", 443, true)
        );
        let url = Url::parse("http://[::1]:8080").unwrap();
        assert_eq!((url.host(), url.port(), url.is_https()), ("::1", 8080, false));
    }

    #[test]
    fn plain_http_is_exposed_unless_it_stays_on_this_machine() {
        for (text, exposed) in [
            ("http://engine.internal/chf", true),
            ("http://192.0.2.1/chf", true),
            ("https://flow.kentik.com/chf", false),
            ("http://localhost:8080/chf", false),
            ("http://127.0.0.1/chf", false),
            ("http://[::1]/chf", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().is_exposed(), exposed, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_receiver_is_refused() {
        for text in [
            "",
            "flow.kentik.com",
            "ftp://a/b",
            "https://",
            "https:///chf",
            "https://a/chf?sid=1",
            "https://a/#b",
            "https://a:/b",
            "https://a:port/",
            "https://a b/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_of_a_url_are_not_repeated() {
        let error = Url::parse("https://me:s3cret@a/").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn values_of_a_query_are_encoded() {
        let mut out = String::new();
        encode("1:a b/ü~&=+%:2", &mut out);
        assert_eq!(out, "1%3Aa%20b%2F%C3%BC~%26%3D%2B%25%3A2");
    }
}
