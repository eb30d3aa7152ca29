//! What became of a request: which answers mean what, and words for what went wrong.

use crate::clock::Moment;
use std::fmt;
use std::time::Duration;

/// What became of one attempt to send a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has the batch: it answered 200.
    Delivered,
    Failed(Trouble),
}

/// What has to happen after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again later, elsewhere too: no connection, a timeout, 408, 425, 429, 5xx.
    Retry,
    /// The e-mail address or token is wrong, or may not do this (401, 403). Keep the batch, try again slowly.
    CheckCredentials,
    /// Whatever answered is no receiver of flows: a redirect, 405, 410, success other than 200. Keep the batch, try
    /// again slowly.
    CheckUrl,
    /// The receiver does not know the device (404). Look it up again.
    LookUpDevice,
    /// The batch itself is at fault (400, 413, 415, 422 and the rest of 4xx): the receiver will never take it.
    GiveBack,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub cause: Cause,
    /// What the server says about itself or what the system says; at most 200 characters on one line, without the
    /// token. May be empty.
    pub text: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<RetryAfter>,
}

/// Where an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name of the server has no address, or nobody could be asked.
    Resolve,
    /// No connection came about.
    Connect,
    /// The proxy did not let us through.
    Proxy,
    /// The TLS handshake failed, or one side does not trust the other.
    Tls,
    /// A phase took longer than it may.
    Timeout(Phase),
    /// The connection broke after it was made.
    Broken,
    /// What came back is no HTTP, or more of it than is read.
    Malformed,
    /// An answer with this status, other than 200.
    Status(u16),
}

/// Phase of a request that has a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Resolve,
    /// TCP, the proxy and TLS together.
    Connect,
    Send,
    /// From the end of the request to the end of the answer's head.
    Answer,
    /// The body of the answer.
    Body,
    /// All phases together.
    Whole,
}

/// The Retry-After header (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Delay(Duration),
    At(Moment),
}

impl RetryAfter {
    pub(crate) fn delay(self, now: Moment) -> Duration {
        match self {
            RetryAfter::Delay(delay) => delay,
            RetryAfter::At(moment) => moment.since(now),
        }
    }
}

impl Trouble {
    pub fn remedy(&self) -> Remedy {
        let Cause::Status(status) = self.cause else { return Remedy::Retry };
        match status {
            401 | 403 => Remedy::CheckCredentials,
            404 => Remedy::LookUpDevice,
            // 407 reaches us only from a proxy that is spoken to without CONNECT.
            407 | 408 | 425 | 429 => Remedy::Retry,
            405 | 410 => Remedy::CheckUrl,
            400..=499 => Remedy::GiveBack,
            500.. => Remedy::Retry,
            _ => Remedy::CheckUrl,
        }
    }
}

impl Cause {
    /// The value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Cause::Resolve => "resolve",
            Cause::Connect => "connect",
            Cause::Proxy => "proxy",
            Cause::Tls => "tls",
            Cause::Timeout(_) => "timeout",
            Cause::Broken => "broken",
            Cause::Malformed => "malformed",
            Cause::Status(401 | 403) => "refused",
            Cause::Status(404) => "unknown_device",
            Cause::Status(429) => "too_many_requests",
            Cause::Status(500..) => "server_error",
            Cause::Status(400..=499) => "client_error",
            Cause::Status(_) => "other_status",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Resolve => f.write_str("the name of the server cannot be resolved"),
            Cause::Connect => f.write_str("no connection to the server"),
            Cause::Proxy => f.write_str("the proxy did not connect"),
            Cause::Tls => f.write_str("no trust between the server and us"),
            Cause::Timeout(Phase::Resolve) => f.write_str("no answer from the name servers in time"),
            Cause::Timeout(Phase::Connect) => f.write_str("no connection in time"),
            Cause::Timeout(Phase::Send) => f.write_str("the server did not take the request in time"),
            Cause::Timeout(Phase::Answer) => f.write_str("the server did not answer in time"),
            Cause::Timeout(Phase::Body) => f.write_str("the server did not end its answer in time"),
            Cause::Timeout(Phase::Whole) => f.write_str("the request was not over in time"),
            Cause::Broken => f.write_str("the connection broke"),
            Cause::Malformed => f.write_str("the server did not answer by HTTP"),
            Cause::Status(status) => write!(f, "the server answered {status}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return self.cause.fmt(f);
        }
        write!(f, "{}: {}", self.cause, self.text)
    }
}

const TEXT_CHARACTERS_MAX: usize = 200;

/// Makes a foreign text fit for a log: one line, bounded, without `secret`.
pub(crate) fn presentable(text: &str, secret: &str) -> String {
    let clean = if secret.is_empty() { text.to_owned() } else { text.replace(secret, "…") };
    let mut line: String = clean
        .trim()
        .chars()
        .take(TEXT_CHARACTERS_MAX + 1)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if let Some((cut, _)) = line.char_indices().nth(TEXT_CHARACTERS_MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Reads the two headers that say when to come back. With the server's own date a wrong clock on either side does
/// not matter.
pub(crate) fn retry_after(value: Option<&str>, date: Option<&str>) -> Option<RetryAfter> {
    let value = value?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is as good as for ever; the policy has a limit.
        return Some(RetryAfter::Delay(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX)))));
    }
    let at = http_date(value)?;
    Some(match date.and_then(http_date) {
        Some(sent) => RetryAfter::Delay(at.since(sent)),
        None => RetryAfter::At(at),
    })
}

/// Reads a date in the form that all servers have to send: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<Moment> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.trim();
    if text.len() != 29 || !text.is_ascii() || !text.ends_with(" GMT") {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = &text[from..to];
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let (day, year) = (number(5, 7)?, number(12, 16)?);
    let month = MONTHS.iter().position(|name| *name == &text[8..11])? as u64 + 1;
    let (hour, minute, second) = (number(17, 19)?, number(20, 22)?, number(23, 25)?);
    if year < 1970 || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Moment(seconds.saturating_mul(1_000_000_000)))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar from then on.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    // Years that start in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_to_march = year * 365 + year / 4 - year / 100 + year / 400;
    days_to_march + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

/// Days from March 1st of the year 0 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Trouble {
        Trouble { cause: Cause::Status(status), text: String::new(), retry_after: None }
    }

    #[test]
    fn every_status_has_its_remedy() {
        let table = [
            (Remedy::CheckCredentials, &[401, 403][..]),
            (Remedy::LookUpDevice, &[404]),
            (Remedy::Retry, &[407, 408, 425, 429, 500, 501, 502, 503, 504, 599]),
            (Remedy::CheckUrl, &[201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 405, 410]),
            (Remedy::GiveBack, &[400, 402, 406, 409, 411, 413, 414, 415, 422, 431, 451, 499]),
        ];
        for (remedy, statuses) in table {
            for status in statuses {
                assert_eq!(answered(*status).remedy(), remedy, "{status}");
            }
        }
        for cause in [Cause::Resolve, Cause::Connect, Cause::Tls, Cause::Timeout(Phase::Whole), Cause::Broken]
        {
            assert_eq!(Trouble { cause, ..answered(0) }.remedy(), Remedy::Retry, "{cause}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let seconds = |text| retry_after(Some(text), None);
        assert_eq!(seconds(" 120 "), Some(RetryAfter::Delay(Duration::from_secs(120))));
        assert_eq!(
            seconds("99999999999999999999"),
            Some(RetryAfter::Delay(Duration::from_secs(u64::from(u32::MAX))))
        );
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(seconds(at), Some(RetryAfter::At(Moment(784_111_777_000_000_000))));
        let date = Some("Sun, 06 Nov 1994 08:49:07 GMT");
        assert_eq!(retry_after(Some(at), date), Some(RetryAfter::Delay(Duration::from_secs(30))));
        for text in
            ["", "soon", "-1", "1.5", "+1", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Now 1994 08:49:37 GMT"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn dates_around_leap_days_are_right() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 31 Dec 2026 23:59:59 GMT", 1_798_761_599),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(http_date(text), Some(Moment(seconds * 1_000_000_000)), "{text}");
        }
    }

    #[test]
    fn foreign_texts_become_one_bounded_line_without_the_secret() {
        assert_eq!(presentable(" no\r\nsuch \u{1b}[31mdevice\n", "x"), "no  such  [31mdevice");
        assert_eq!(presentable("bad token s3cret, s3cret!", "s3cret"), "bad token …, …!");
        let long = presentable(&"ü".repeat(500), "");
        assert_eq!(long.chars().count(), TEXT_CHARACTERS_MAX + 1);
        assert!(long.ends_with('…'));
    }
}
