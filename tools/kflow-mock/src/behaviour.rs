//! What a scripted server does with a request in place of answering honestly.

use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The answer of the real service.
    Honest,
    /// This answer, whatever was asked. The connection stays open unless a header says otherwise.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// Bytes in place of an answer; the connection is closed after them.
    Raw(Vec<u8>),
    /// The request is read; no answer comes for as long as the mock lives.
    Stall,
    /// The head of the request is read, and no more.
    NeverRead,
    /// The body is read in pieces of this size, with this pause after each; then the honest answer.
    SlowRead { bytes: usize, pause: Duration },
    /// The head of an answer, then one byte of its body at a time, with no end.
    Drip { status: u16, pause: Duration },
    /// One byte of the answer's head at a time, with no end.
    DripHead { pause: Duration },
    /// The connection is reset when so much of the body has arrived.
    ResetAfter { body_bytes: usize },
    /// The answer comes when the head is read; the connection is closed while the body is under way.
    EarlyAnswer { status: u16 },
    /// The request is read and the connection closed.
    CloseWithoutAnswer,
    /// A body of so many bytes.
    Huge { status: u16, body_bytes: usize },
    /// The honest answer, after which the connection is closed though nothing says so.
    HonestThenClose,
}

impl Behaviour {
    /// An answer with this status, and an error text if it is none of success.
    pub fn status(status: u16) -> Behaviour {
        let body = if status < 400 { String::new() } else { format!("{{\"error\":\"status {status}\"}}") };
        Behaviour::Answer { status, headers: Vec::new(), body }
    }

    /// Adds a header to an [`Behaviour::Answer`].
    ///
    /// # Panics
    /// It is no answer.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Behaviour {
        let Behaviour::Answer { headers, .. } = &mut self else { panic!("only an answer has headers") };
        headers.push((name.into(), value.into()));
        self
    }

    /// Exchanges the body of an [`Behaviour::Answer`].
    ///
    /// # Panics
    /// It is no answer.
    #[must_use]
    pub fn with_body(mut self, text: &str) -> Behaviour {
        let Behaviour::Answer { body, .. } = &mut self else { panic!("only an answer has a body") };
        *body = text.into();
        self
    }

    /// Whether a message that is sound is taken. One that is answered by anything but a success is not; one whose answer
    /// gets lost is.
    pub(crate) fn takes(&self) -> bool {
        match self {
            Behaviour::Answer { status, .. }
            | Behaviour::Drip { status, .. }
            | Behaviour::Huge { status, .. } => *status == 200,
            Behaviour::Honest
            | Behaviour::SlowRead { .. }
            | Behaviour::HonestThenClose
            | Behaviour::CloseWithoutAnswer
            | Behaviour::DripHead { .. }
            | Behaviour::Stall => true,
            Behaviour::Raw(_)
            | Behaviour::NeverRead
            | Behaviour::ResetAfter { .. }
            | Behaviour::EarlyAnswer { .. } => false,
        }
    }

    pub fn redirect(location: &str) -> Behaviour {
        Behaviour::status(302).with_header("Location", location)
    }
}
