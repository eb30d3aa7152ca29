//! Which proxy leads to a server: from the configuration, else from the environment.
//!
//! All connections through a proxy are tunnels (CONNECT), also those to plain http servers, so that a proxy sees
//! neither the token nor the flows of https.

use crate::error::Error;
use crate::url::Url;
use std::fmt;
use std::net::IpAddr;

/// Where the proxy's address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyConfig {
    /// Connections are direct whatever the environment says.
    Direct,
    /// As the variables of the environment say.
    Environment(ProxyEnvironment),
    /// This one, whatever the environment says.
    Url {
        url: ProxyUrl,
        /// Rules as in NO_PROXY.
        except: String,
    },
}

/// The variables that other programs read too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyEnvironment {
    pub https_proxy: Option<ProxyUrl>,
    pub http_proxy: Option<ProxyUrl>,
    pub all_proxy: Option<ProxyUrl>,
    pub no_proxy: String,
}

impl ProxyEnvironment {
    /// Reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, or else the same in small letters.
    pub fn read() -> ProxyEnvironment {
        let variable = |name: &str| {
            let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
            value.ok().filter(|value| !value.trim().is_empty())
        };
        ProxyEnvironment {
            https_proxy: variable("HTTPS_PROXY").map(ProxyUrl),
            http_proxy: variable("HTTP_PROXY").map(ProxyUrl),
            all_proxy: variable("ALL_PROXY").map(ProxyUrl),
            no_proxy: variable("NO_PROXY").unwrap_or_default(),
        }
    }
}

/// `http://user:password@host:port`, or https; user and password are optional and percent-encoded. `Debug` hides
/// them.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(pub String);

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((_, address)) => write!(f, "ProxyUrl(…@{address})"),
            None => write!(f, "ProxyUrl({})", self.0),
        }
    }
}

impl ProxyConfig {
    /// The proxy for `url`, if there is one.
    pub(crate) fn choose(&self, url: &Url) -> Result<Option<ureq::Proxy>, Error> {
        let (proxy, except) = match self {
            ProxyConfig::Direct => return Ok(None),
            ProxyConfig::Url { url, except } => (Some(url), except),
            ProxyConfig::Environment(environment) => {
                if url.is_loopback() {
                    return Ok(None);
                }
                let own = if url.is_https() { &environment.https_proxy } else { &environment.http_proxy };
                (own.as_ref().or(environment.all_proxy.as_ref()), &environment.no_proxy)
            }
        };
        match proxy {
            Some(proxy) if !is_exempt(except, url) => parse(proxy).map(Some),
            _ => Ok(None),
        }
    }
}

fn parse(url: &ProxyUrl) -> Result<ureq::Proxy, Error> {
    let proxy = ureq::Proxy::new(url.0.trim())
        .map_err(|_| Error::Proxy { what: "its address is no http or https URL" })?;
    match proxy.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(proxy),
        _ => Err(Error::Proxy { what: "only http and https proxies are spoken to" }),
    }
}

/// Whether one of the rules names the server: `*`; a domain with all below it; `.domain` for what is below it alone;
/// an address; a prefix (`10.0.0.0/8`); each with `:port` or without, except the prefix.
fn is_exempt(rules: &str, url: &Url) -> bool {
    let rules = rules.split([',', ' ']).map(str::trim).filter(|rule| !rule.is_empty());
    rules.into_iter().any(|rule| rule_matches(&rule.to_ascii_lowercase(), url))
}

fn rule_matches(rule: &str, url: &Url) -> bool {
    if rule == "*" {
        return true;
    }
    let address = url.host().parse::<IpAddr>();
    if let Some((prefix, bits)) = rule.split_once('/') {
        let (Ok(address), Ok(prefix), Ok(bits)) = (address, prefix.parse(), bits.parse()) else {
            return false;
        };
        return in_prefix(address, prefix, bits);
    }
    // An IPv6 address has colons of its own and no port unless it is in brackets.
    let (host, port) = match rule.rsplit_once(':') {
        Some((host, port)) if rule.parse::<IpAddr>().is_err() => (host, Some(port)),
        _ => (rule, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(url.port())) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let (Ok(address), Ok(named)) = (&address, host.parse::<IpAddr>()) {
        return *address == named;
    }
    let (below_only, domain) = match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
        Some(domain) => (true, domain),
        None => (false, host),
    };
    match url.host().strip_suffix(domain) {
        Some("") => !below_only && !domain.is_empty(),
        Some(front) => !domain.is_empty() && front.ends_with('.'),
        None => false,
    }
}

fn in_prefix(address: IpAddr, prefix: IpAddr, bits: u32) -> bool {
    match (address, prefix) {
        (IpAddr::V4(address), IpAddr::V4(prefix)) if bits <= 32 => {
            let rest = 32 - bits;
            (address.to_bits() ^ prefix.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(prefix)) if bits <= 128 => {
            let rest = 128 - bits;
            (address.to_bits() ^ prefix.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn host_of(config: &ProxyConfig, target: &str) -> Option<String> {
        config.choose(&url(target)).unwrap().map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn the_environment_has_a_proxy_for_each_scheme() {
        let config = ProxyConfig::Environment(ProxyEnvironment {
            https_proxy: Some(ProxyUrl("http://secure:3128".into())),
            http_proxy: None,
            all_proxy: Some(ProxyUrl("other:3128".into())),
            no_proxy: "kentik.eu, 192.0.2.0/24".into(),
        });
        assert_eq!(host_of(&config, "https://flow.kentik.com/chf").as_deref(), Some("secure"));
        assert_eq!(host_of(&config, "http://flow.kentik.com/chf").as_deref(), Some("other"));
        for direct in
            ["https://flow.kentik.eu/chf", "https://192.0.2.9", "http://localhost:1", "http://[::1]/"]
        {
            assert_eq!(host_of(&config, direct), None, "{direct}");
        }
    }

    #[test]
    fn a_configured_proxy_leads_everywhere_but_to_its_exceptions() {
        let proxy = ProxyUrl("http://me:s3cret@proxy:3128".into());
        let config = ProxyConfig::Url { url: proxy, except: "engine.internal".into() };
        assert_eq!(host_of(&config, "http://127.0.0.1/chf").as_deref(), Some("proxy"));
        assert_eq!(host_of(&config, "https://engine.internal/chf"), None);
        assert_eq!(host_of(&ProxyConfig::Direct, "https://flow.kentik.com"), None);
        let shown = format!("{config:?}");
        assert!(!shown.contains("s3cret") && shown.contains("proxy:3128"), "{shown}");
    }

    #[test]
    fn rules_match_as_in_other_programs() {
        for (rule, target, expected) in [
            ("*", "https://a.example", true),
            ("example", "https://a.example", true),
            ("a.example", "https://a.example", true),
            ("a.example", "https://b.a.example", true),
            ("a.example", "https://ba.example", false),
            (".a.example", "https://a.example", false),
            (".a.example", "https://b.a.example", true),
            ("*.a.example", "https://b.a.example", true),
            ("A.Example:443", "https://a.example", true),
            ("a.example:80", "https://a.example", false),
            ("192.0.2.1", "https://192.0.2.1", true),
            ("192.0.2.1:443", "https://192.0.2.1", true),
            ("192.0.2.0/24", "https://192.0.3.1", false),
            ("0.0.0.0/0", "https://192.0.3.1", true),
            ("2001:db8::/32", "https://[2001:db8:1::1]", true),
            ("2001:db8::1", "https://[2001:db8::1]", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
            ("::/0", "https://192.0.2.1", false),
            ("10.0.0.0/99", "https://10.0.0.1", false),
            (".", "https://a.example", false),
            ("", "https://a.example", false),
            (" , ", "https://a.example", false),
        ] {
            assert_eq!(is_exempt(rule, &url(target)), expected, "{rule} for {target}");
        }
    }

    #[test]
    fn other_kinds_of_proxies_are_refused_without_their_password() {
        for text in ["socks5://me:s3cret@proxy", "http://", "::::", "ftp://proxy"] {
            let error = parse(&ProxyUrl(text.into())).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
