//! A conversation in HTTP/1: requests and answers pair in order (RFC 9112).
//!
//! ```text
//!            head                 length           last byte but one
//! Start ─────────────► Start    ─────────► (passed over) ─────────► LastByte ─► Start
//!   │                  chunked             length ≠ 0       data, line end
//!   │                 ─────────► Chunk ◄──────────────────────────┐
//!   │                              │  └──────────► (passed over) ─► ChunkEnd
//!   │                              └─ 0 ─► Trailers ─ empty line ─► Start
//!   └─ neither request nor answer ─► Lost ─ a line that is one ─► Start
//! ```
//!
//! Bodies are passed over unseen, but for the last byte of a request's: when it comes, the request has ended. An answer
//! whose body ends with the connection is the last one. A body of which nobody can say where it ends is searched for
//! the next message, line by line.

use super::{
    HEAD_BYTES_MAX, chunk,
    head::{self, Framing, Head, LENGTH_MAX},
    queue::{Queue, Request},
    start::{Demand, Start},
};
use crate::{
    output::{DraftId, Output, Timing},
    parser::{Failure, Input, Sender, Step},
};
use kflow::application::{AppProtocol, protocols::http};
use memchr::memchr;

#[derive(Debug)]
pub struct One {
    /// Of source and destination.
    phases: [Phase; 2],
    waiting: Queue<Kind>,
    /// Requests that were given up for want of room: so many answers come before that to the oldest one waiting.
    given_up: u32,
    /// Who sent the latest request.
    client: Option<Sender>,
    answer: Option<Answer>,
}

/// What a request means for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// The answer has no body, whatever its head says.
    Head,
    /// What follows a good answer is not HTTP.
    Connect,
}

/// An answer whose chunks are being added up.
#[derive(Debug)]
struct Answer {
    draft: Option<DraftId>,
    timing: Timing,
}

/// What is next of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    LastByte,
    Chunk { sum: u64 },
    ChunkEnd { sum: u64 },
    Trailers { sum: u64 },
    Lost { is_line_start: bool },
}

/// What a conversation comes to.
#[derive(Debug)]
pub enum Turn {
    Step(Step),
    /// Here begins HTTP/2.
    Two,
    /// It begins behind so many bytes, with an answer to this request.
    Upgrade(usize, Option<Request<Kind>>),
}

impl One {
    pub const NEW: One =
        One { phases: [Phase::Start; 2], waiting: Queue::NEW, given_up: 0, client: None, answer: None };

    pub fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Turn {
        let step = match self.phases[input.sender.index()] {
            Phase::Start => return self.start(input, output),
            Phase::LastByte => self.last_byte(input),
            Phase::Chunk { sum } => self.chunk(input, output, sum),
            Phase::ChunkEnd { sum } => self.chunk_end(input, output, sum),
            Phase::Trailers { sum } => self.trailers(input, output, sum),
            Phase::Lost { is_line_start: true } => return self.search(input, output),
            Phase::Lost { is_line_start: false } => self.pass_line(input),
        };
        Turn::Step(step)
    }

    /// A head that will not be whole says what it can.
    pub fn salvage(&mut self, input: &Input<'_>, output: &mut Output<'_>) {
        let start = Start::of(input.bytes, Demand::Method);
        let head = head::whole_part(input.bytes);
        if self.phases[input.sender.index()] != Phase::Start || head.is_empty() {
            return;
        }
        // When it ended is not known.
        let input = Input { end_ns: input.start_ns, ..*input };
        match start {
            Start::Request => {
                self.request(&Head::of_request(head), head.len(), &input, output);
            }
            Start::Answer => {
                self.answer(&Head::of_answer(head), head.len(), &input, output);
            }
            Start::Preface | Start::Settings | Start::More | Start::No => {}
        }
    }

    /// Bytes of a side are missing. Which of the requests were answered in them is unknown.
    pub fn lose(&mut self, sender: Sender, output: &mut Output<'_>) {
        self.turn(sender, Phase::Start);
        if self.client != Some(sender) {
            self.finish(output);
        }
    }

    pub fn finish(&mut self, output: &mut Output<'_>) {
        self.end_answer(output, None);
        self.waiting.give_up(output);
        self.given_up = 0;
    }

    fn start(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Turn {
        let bytes = input.bytes;
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if blank > 0 {
            return Turn::Step(Step::Took(blank as u64));
        }
        let start = Start::of(bytes, Demand::Method);
        match start {
            Start::Preface => return Turn::Two,
            Start::Settings if self.client.is_none() => return Turn::Two,
            Start::More => return Turn::Step(Step::Need(bytes.len() + 1)),
            Start::Settings | Start::No => return Turn::Step(self.garbage(input, output)),
            Start::Request | Start::Answer => {}
        }
        let seen = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        // Most heads are the last of what came; others may have to be offered more than once.
        if !seen.ends_with(b"\n\r\n") && head::end_of(seen).is_none() {
            let is_at_limit = seen.len() == HEAD_BYTES_MAX;
            return Turn::Step(if is_at_limit {
                Step::Failed(Failure::Limit)
            } else {
                Step::Need(seen.len() + 1)
            });
        }
        let is_answer = start == Start::Answer;
        let head = if is_answer { Head::of_answer(seen) } else { Head::of_request(seen) };
        let head_bytes = head.end.expect("there is an empty line");
        if is_answer {
            return self.answer(&head, head_bytes, input, output);
        }
        Turn::Step(self.request(&head, head_bytes, input, output))
    }

    fn request(
        &mut self,
        head: &Head<'_>,
        head_bytes: usize,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Step {
        let sender = input.sender;
        if self.client.is_some_and(|client| client != sender) {
            self.finish(output);
        }
        self.client = Some(sender);
        let draft = output.begin(AppProtocol::Http);
        if let Some(id) = &draft {
            head.message.write_request(output.draft(id));
        }
        let what = match head.message.method {
            Some(b"HEAD") => Kind::Head,
            Some(b"CONNECT") => Kind::Connect,
            _ => Kind::Plain,
        };
        if let Some(oldest) = self.waiting.push(Request { draft, end_ns: input.end_ns, what }) {
            oldest.give_up(output);
            self.given_up = self.given_up.saturating_add(1);
        }
        let head_bytes = head_bytes as u64;
        match head.framing() {
            Framing::Chunked => self.turn(sender, Phase::Chunk { sum: 0 }),
            Framing::Length(length) if length > 0 && what != Kind::Connect => {
                self.turn(sender, Phase::LastByte);
                return Step::Took(head_bytes + length - 1);
            }
            Framing::Length(_) | Framing::Absent => self.turn(sender, Phase::Start),
            Framing::Coded | Framing::Invalid => {
                output.note_failure(AppProtocol::Http, Failure::Malformed);
                self.turn(sender, Phase::Lost { is_line_start: true });
            }
        }
        Step::Took(head_bytes)
    }

    fn answer(
        &mut self,
        head: &Head<'_>,
        head_bytes: usize,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Turn {
        let status = head.message.status.unwrap_or_default();
        if matches!(status, 100 | 102..200) {
            // Not the last word.
            return Turn::Step(Step::Took(head_bytes as u64));
        }
        let request = self.take_request(input.sender);
        if status == 101 && head.upgrades_to(b"h2c") {
            return Turn::Upgrade(head_bytes, request);
        }
        let kind = request.as_ref().map_or(Kind::Plain, |request| request.what);
        let request_ns = request.as_ref().map(|request| request.end_ns);
        let draft = request.map_or_else(|| output.begin(AppProtocol::Http), |request| request.draft);
        if let Some(id) = &draft {
            head.message.write_answer(output.draft(id));
        }
        self.end_answer(output, None);
        let timing = Timing { request_ns, answer_ns: Some(input.start_ns) };
        self.answer = Some(Answer { draft, timing });
        let is_last = status == 101 || (kind == Kind::Connect && status / 100 == 2);
        let is_without_body = is_last || kind == Kind::Head || matches!(status, 204 | 304);
        let framing = if is_without_body { Framing::Length(0) } else { head.framing() };
        if framing == Framing::Chunked {
            self.turn(input.sender, Phase::Chunk { sum: 0 });
            return Turn::Step(Step::Took(head_bytes as u64));
        }
        self.end_answer(output, None);
        self.turn(input.sender, Phase::Start);
        Turn::Step(match framing {
            _ if is_last && head.upgrades_to(b"websocket") => Step::Done,
            _ if is_last => Step::HandOver(head_bytes),
            Framing::Length(length) => Step::Took(head_bytes as u64 + length),
            Framing::Invalid => {
                output.note_failure(AppProtocol::Http, Failure::Malformed);
                self.turn(input.sender, Phase::Lost { is_line_start: true });
                Step::Took(head_bytes as u64)
            }
            Framing::Absent | Framing::Coded | Framing::Chunked => Step::SideDone,
        })
    }

    /// The request that an answer from this side is to; `None` if it was not seen, or was given up.
    fn take_request(&mut self, sender: Sender) -> Option<Request<Kind>> {
        if self.client == Some(sender) {
            return None;
        }
        if self.given_up > 0 {
            self.given_up -= 1;
            return None;
        }
        self.waiting.take(0)
    }

    fn last_byte(&mut self, input: &Input<'_>) -> Step {
        self.turn(input.sender, Phase::Start);
        self.note_end(input.sender, input.start_ns);
        Step::Took(1)
    }

    fn chunk(&mut self, input: &Input<'_>, output: &mut Output<'_>, sum: u64) -> Step {
        let (line, length) = match chunk::read(input.bytes) {
            Ok(Some((line, length))) => (line as u64, length),
            Ok(None) => return Step::Need(input.bytes.len() + 1),
            Err(failure) => return self.give_up_body(input, output, failure),
        };
        if length == 0 {
            self.turn(input.sender, Phase::Trailers { sum });
            return Step::Took(line);
        }
        if sum + length > LENGTH_MAX {
            return self.give_up_body(input, output, Failure::Malformed);
        }
        self.turn(input.sender, Phase::ChunkEnd { sum: sum + length });
        Step::Took(line + length)
    }

    fn chunk_end(&mut self, input: &Input<'_>, output: &mut Output<'_>, sum: u64) -> Step {
        let taken = match input.bytes {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [b'\r'] => return Step::Need(2),
            _ => return self.give_up_body(input, output, Failure::Malformed),
        };
        // Mostly the next chunk is there, and there are many.
        if let Ok(Some((line, length @ 1..))) = chunk::read(&input.bytes[taken..])
            && sum + length <= LENGTH_MAX
        {
            self.turn(input.sender, Phase::ChunkEnd { sum: sum + length });
            return Step::Took((taken + line) as u64 + length);
        }
        self.turn(input.sender, Phase::Chunk { sum });
        Step::Took(taken as u64)
    }

    fn trailers(&mut self, input: &Input<'_>, output: &mut Output<'_>, sum: u64) -> Step {
        let mut rest = input.bytes;
        while let Some(end) = memchr(b'\n', rest).filter(|end| *end < HEAD_BYTES_MAX) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if matches!(line, b"" | b"\r") {
                self.end_chunks(input, output, sum);
                break;
            }
        }
        match input.bytes.len() - rest.len() {
            0 if rest.len() < HEAD_BYTES_MAX => Step::Need(rest.len() + 1),
            0 => Step::Failed(Failure::Limit),
            taken => Step::Took(taken as u64),
        }
    }

    /// A chunked body has come to its end.
    fn end_chunks(&mut self, input: &Input<'_>, output: &mut Output<'_>, sum: u64) {
        self.turn(input.sender, Phase::Start);
        if self.client != Some(input.sender) {
            return self.end_answer(output, Some(sum));
        }
        self.note_end(input.sender, input.end_ns);
        let draft = self.waiting.latest().and_then(|request| request.draft.as_ref());
        if let Some(id) = draft {
            output.draft(id).number(http::REQUEST_BODY_BYTES, sum);
        }
    }

    /// The request whose body just ended is the latest one, if its answer has not come before.
    fn note_end(&mut self, sender: Sender, now_ns: u64) {
        if self.client == Some(sender)
            && let Some(request) = self.waiting.latest()
        {
            request.end_ns = now_ns;
        }
    }

    fn end_answer(&mut self, output: &mut Output<'_>, body_bytes: Option<u64>) {
        let Some(Answer { draft: Some(id), timing }) = self.answer.take() else { return };
        if let Some(bytes) = body_bytes {
            output.draft(&id).number(http::RESPONSE_BODY_BYTES, bytes);
        }
        output.complete(id, timing);
    }

    fn give_up_body(&mut self, input: &Input<'_>, output: &mut Output<'_>, failure: Failure) -> Step {
        if self.client != Some(input.sender) {
            self.end_answer(output, None);
        }
        output.note_failure(AppProtocol::Http, failure);
        self.pass_line(input)
    }

    /// Neither request nor answer. Behind CONNECT it may be what goes through the tunnel, if only this side is captured.
    fn garbage(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let is_client = self.client == Some(input.sender);
        if is_client && self.waiting.latest().is_some_and(|request| request.what == Kind::Connect) {
            return Step::HandOver(0);
        }
        output.note_failure(AppProtocol::Http, Failure::Malformed);
        self.pass_line(input)
    }

    /// Looks whether a message begins with this line.
    fn search(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Turn {
        let start = Start::of(input.bytes, Demand::Line);
        let is_wanted = match start {
            Start::Request => self.client != Some(input.sender.other()),
            Start::Answer => self.client != Some(input.sender),
            Start::More => return Turn::Step(Step::Need(input.bytes.len() + 1)),
            Start::Preface | Start::Settings | Start::No => false,
        };
        if is_wanted { self.start(input, output) } else { Turn::Step(self.pass_line(input)) }
    }

    /// A message may begin with the next line.
    fn pass_line(&mut self, input: &Input<'_>) -> Step {
        let end = memchr(b'\n', input.bytes);
        self.turn(input.sender, Phase::Lost { is_line_start: end.is_some() });
        Step::Took(end.map_or(input.bytes.len(), |end| end + 1) as u64)
    }

    fn turn(&mut self, sender: Sender, phase: Phase) {
        self.phases[sender.index()] = phase;
    }
}
