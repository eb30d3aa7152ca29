//! Who may do what: one token for those who send flows, another for those who ask.
//!
//! A token comes as Kentik's clients send it (`X-CH-Auth-Email` and `X-CH-Auth-API-Token`) or as `Authorization: Bearer`.
//! Where no token is configured everybody may do everything; [`crate::door::Settings::check`] allows that on the loopback
//! alone.

use crate::door::secret::Secret;
use axum::http::{HeaderMap, Method, header};
use subtle::{Choice, ConstantTimeEq};

/// The tokens, and the account's e-mail address where it matters.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What requests with `X-CH-Auth-API-Token` have to say beside it; `None` is anything.
    pub email: Option<String>,
    pub ingest: Option<Secret>,
    pub query: Option<Secret>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing; but who shows a token shows a right one.
    None,
    Ingest,
    Query,
    /// Either of both.
    Any,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or a wrong one.
    Unauthorized,
    /// The token is right, but for something else.
    Forbidden,
}

impl Right {
    /// What a request needs. A path that is not known needs as much as a query.
    pub fn of(method: &Method, path: &str) -> Right {
        let is_below =
            |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if path == "/health" {
            Right::None
        } else if ["/chf", "/dns", "/tsdb"].into_iter().any(is_below) {
            Right::Ingest
        } else if is_below("/api/internal") {
            if method == Method::GET { Right::Any } else { Right::Ingest }
        } else {
            Right::Query
        }
    }
}

impl Access {
    /// Whether nobody is asked for a token.
    pub fn is_open(&self) -> bool {
        self.ingest.is_none() && self.query.is_none()
    }

    pub fn judge(&self, right: Right, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = self.shown(headers);
        if shown.is_none() && right == Right::None {
            return Ok(());
        }
        // Both are compared whatever the first says, so that the time does not tell which one it was.
        let (may_ingest, may_query) = (holds(self.ingest.as_ref(), shown), holds(self.query.as_ref(), shown));
        let is_granted = match right {
            Right::None | Right::Any => may_ingest || may_query,
            Right::Ingest => may_ingest,
            Right::Query => may_query,
        };
        match (is_granted, may_ingest || may_query) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::Forbidden),
            (false, false) => Err(Refusal::Unauthorized),
        }
    }

    /// The token that a request shows; one that comes with a wrong e-mail address is empty.
    fn shown<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        if let Some(token) = headers.get("x-ch-auth-api-token") {
            let email = headers.get("x-ch-auth-email").map_or(&b""[..], |value| value.as_bytes());
            let is_right = self.email.as_ref().is_none_or(|own| bool::from(own.as_bytes().ct_eq(email)));
            return Some(if is_right { token.as_bytes() } else { b"" });
        }
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, token) =
            value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
        Some(if scheme.eq_ignore_ascii_case(b"bearer") { token.trim_ascii() } else { b"" })
    }
}

fn holds(secret: Option<&Secret>, shown: Option<&[u8]>) -> bool {
    secret.is_none_or(|secret| shown.map_or(Choice::from(0), |shown| secret.is(shown)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn access() -> Access {
        Access {
            email: Some("ops@example.net".to_owned()),
            ingest: Some(Secret::new("in").unwrap()),
            query: Some(Secret::new("out").unwrap()),
        }
    }

    #[test]
    fn each_token_opens_its_own_door() {
        let kentik =
            |token| headers(&[("x-ch-auth-email", "ops@example.net"), ("x-ch-auth-api-token", token)]);
        let access = access();
        assert_eq!(access.judge(Right::Ingest, &kentik("in")), Ok(()));
        assert_eq!(access.judge(Right::Query, &kentik("out")), Ok(()));
        assert_eq!(access.judge(Right::Query, &kentik("in")), Err(Refusal::Forbidden));
        assert_eq!(access.judge(Right::Ingest, &kentik("out")), Err(Refusal::Forbidden));
        for right in [Right::None, Right::Any, Right::Ingest, Right::Query] {
            assert_eq!(access.judge(right, &kentik("other")), Err(Refusal::Unauthorized), "{right:?}");
        }
    }

    #[test]
    fn bearer_tokens_need_no_address_and_others_the_right_one() {
        let access = access();
        assert_eq!(access.judge(Right::Query, &headers(&[("authorization", "Bearer out")])), Ok(()));
        assert_eq!(access.judge(Right::Query, &headers(&[("authorization", "bearer  out")])), Ok(()));
        for wrong in [
            headers(&[("authorization", "Basic out")]),
            headers(&[("authorization", "Bearer")]),
            headers(&[("x-ch-auth-api-token", "out")]),
            headers(&[("x-ch-auth-api-token", "out"), ("x-ch-auth-email", "other@example.net")]),
            headers(&[]),
        ] {
            assert_eq!(access.judge(Right::Query, &wrong), Err(Refusal::Unauthorized), "{wrong:?}");
        }
    }

    #[test]
    fn health_needs_no_token() {
        assert_eq!(Right::of(&Method::GET, "/health"), Right::None);
        assert_eq!(access().judge(Right::None, &headers(&[])), Ok(()));
        assert_eq!(Right::of(&Method::GET, "/chfx"), Right::Query);
        assert_eq!(Right::of(&Method::POST, "/api/internal/device/"), Right::Ingest);
    }
}
