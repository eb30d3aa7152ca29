//! Answers that come before the request is whole.
//!
//! A server that does not want a body answers at once (413, 401 …) and closes. Writing the rest fails then, but the
//! answer is there to be read, and it says more than a broken connection: without it a batch that is too large would
//! be sent again for ever. So a write that fails because the other side has closed counts as done, and reading
//! decides; only if there is no answer the failed write is the error.

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
    WriteFailed(Error),
    /// The error was handed out.
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
                self.state = State::WriteFailed(Error::Io(error));
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let read = self.inner.await_input(timeout);
        if matches!(read, Ok(true)) || matches!(self.state, State::Whole) {
            return read;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::WriteFailed(error) => Err(error),
            State::Whole | State::Over => read,
        }
    }

    fn is_open(&mut self) -> bool {
        matches!(self.state, State::Whole) && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}
