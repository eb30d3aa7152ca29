//! Answers that come before the request is whole.
//!
//! A server that does not want a body answers at once (413, 401 …) and closes. Writing the rest fails then, but the
//! answer is there to be read, and it says more than a broken connection: without it a batch that is too large would
//! be sent again for ever. So a write that fails because the other side has closed counts as done, and reading
//! decides; only if there is no answer the failed write is the error.
//!
//! An answer of success is none here: whoever says 200 to a batch that it has not read does not have it. The failed
//! write is the error then too, and the batch goes again. What is not seen is a success that comes while the rest of
//! the batch is still in the buffers of both systems, where writing does not fail: HTTP/1.1 has no sign of that.

use std::io;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// The last link of a chain of connectors.
#[derive(Debug)]
pub(crate) struct EarlyAnswers;

#[derive(Debug)]
pub(crate) struct EarlyAnswerTransport<T> {
    inner: T,
    state: State,
}

#[derive(Debug)]
enum State {
    Whole,
    /// Writing failed like this; what is still to be written is thrown away.
    WriteFailed(io::Error),
    /// The answer counts, or the error was handed out.
    Over,
}

impl<In: Transport> Connector<In> for EarlyAnswers {
    type Out = EarlyAnswerTransport<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| EarlyAnswerTransport { inner, state: State::Whole }))
    }
}

impl<T: Transport> Transport for EarlyAnswerTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !matches!(self.state, State::Whole) {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_closed(&error) => {
                self.state = State::WriteFailed(error);
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        loop {
            let read = self.inner.await_input(timeout);
            let State::WriteFailed(error) = &self.state else { return read };
            let verdict = match read {
                Ok(true) => judge(self.inner.buffers().input()),
                _ => Verdict::None,
            };
            let error = match verdict {
                Verdict::Unknown => continue,
                Verdict::Counts => {
                    self.state = State::Over;
                    return read;
                }
                Verdict::None => io::Error::new(error.kind(), error.to_string()),
                Verdict::Success => io::Error::new(error.kind(), EARLY_SUCCESS),
            };
            self.state = State::Over;
            return Err(Error::Io(error));
        }
    }

    fn is_open(&mut self) -> bool {
        matches!(self.state, State::Whole) && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// What an answer is worth to a request that was not written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There is none.
    None,
    /// It has not said enough.
    Unknown,
    /// 1xx, which says nothing, or 2xx, which cannot be.
    Success,
    /// It says why the request was not wanted, or is for others to make sense of.
    Counts,
}

/// Reads no further than to the first digit of the status.
fn judge(answer: &[u8]) -> Verdict {
    const VERSIONS: [&[u8]; 2] = [b"HTTP/1.1 ", b"HTTP/1.0 "];
    let (version, rest) = answer.split_at(answer.len().min(VERSIONS[0].len()));
    if !VERSIONS.iter().any(|known| known.starts_with(version)) {
        return Verdict::Counts;
    }
    match rest.first() {
        None => Verdict::Unknown,
        Some(b'1' | b'2') => Verdict::Success,
        Some(_) => Verdict::Counts,
    }
}

const EARLY_SUCCESS: &str = "the server claims success without having read the request";

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_is_no_success_counts() {
        for (answer, verdict) in [
            ("", Verdict::Unknown),
            ("HTT", Verdict::Unknown),
            ("HTTP/1.1 ", Verdict::Unknown),
            ("HTTP/1.1 2", Verdict::Success),
            ("HTTP/1.0 200 OK", Verdict::Success),
            ("HTTP/1.1 100 Continue", Verdict::Success),
            ("HTTP/1.1 413 Too large", Verdict::Counts),
            ("HTTP/1.1 302", Verdict::Counts),
            ("SSH-2.0", Verdict::Counts),
            ("HTTP/2", Verdict::Counts),
        ] {
            assert_eq!(judge(answer.as_bytes()), verdict, "{answer}");
        }
    }
}
