//! A connection in HTTP/2 (RFC 9113): frames of both sides, requests and answers by stream.
//!
//! A header block is looked at once all of its frames are there; what does not fit into a buffer is not followed. Other
//! payloads are passed over unseen, but for the last byte of a DATA frame of a request: when it comes, the request has
//! ended as far as is known.

mod frame;
mod hpack;
pub(super) mod huffman;
mod table;

use self::{
    frame::Frame,
    hpack::Found,
    table::{Marks, Table},
};
use super::{
    one::Kind,
    queue::{Queue, Request},
    start::PREFACE,
};
use crate::{
    output::{BufferId, Output, Timing},
    parser::{Failure, Input, Sender, Step},
    pool::BUFFER_BYTES,
};
use kflow::AppProtocol;

#[derive(Debug)]
pub struct Two {
    /// Of source and destination.
    sides: [Side; 2],
    /// By stream.
    waiting: Queue<u32>,
    /// Memory of the tables of both directions.
    memory: Memory,
}

#[derive(Debug)]
struct Side {
    /// The preface has gone by, if there is one.
    has_begun: bool,
    /// The stream whose DATA ends with the next byte.
    data: Option<u32>,
    marks: Marks,
}

#[derive(Debug)]
enum Memory {
    NotNeeded,
    Held(BufferId),
    /// There was none when it was needed. Entries that came since are not remembered.
    Refused,
}

/// A header block with the stream that it is of, from so many bytes of frames.
#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    bytes: &'a [u8],
    stream: u32,
    is_promise: bool,
}

impl Two {
    pub const NEW: Two =
        Two { sides: [Side::NEW, Side::NEW], waiting: Queue::NEW, memory: Memory::NotNeeded };

    /// The request that asked for HTTP/2 is on stream 1 (RFC 7540 §3.2).
    pub fn upgrade(&mut self, request: Option<Request<Kind>>) {
        if let Some(Request { draft, end_ns, .. }) = request {
            self.waiting.push(Request { draft, end_ns, what: 1 });
        }
    }

    pub fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let bytes = input.bytes;
        let side = &mut self.sides[input.sender.index()];
        if !side.has_begun {
            let opening = &bytes[..bytes.len().min(PREFACE.len())];
            let is_preface = PREFACE.starts_with(opening);
            if is_preface && opening.len() < PREFACE.len() {
                return Step::Need(PREFACE.len());
            }
            side.has_begun = true;
            if is_preface {
                return Step::Took(PREFACE.len() as u64);
            }
        }
        if let Some(stream) = side.data.take() {
            self.note_end(stream, input.start_ns);
            return Step::Took(1);
        }
        let Some(frame) = Frame::read(bytes) else { return Step::Need(frame::HEADER_BYTES) };
        if let Err(failure) = frame.check() {
            return Step::Failed(failure);
        }
        let frame_bytes = frame.bytes() as u64;
        match frame.kind {
            frame::HEADERS | frame::PUSH_PROMISE => self.header_block(&frame, input, output),
            frame::CONTINUATION => Step::Failed(Failure::Malformed),
            frame::DATA if frame.payload_bytes > 0 && self.place_of(frame.stream).is_some() => {
                self.sides[input.sender.index()].data = Some(frame.stream);
                Step::Took(frame_bytes - 1)
            }
            frame::RST_STREAM => {
                if let Some(request) = self.take(frame.stream) {
                    request.give_up(output);
                }
                Step::Took(frame_bytes)
            }
            _ => Step::Took(frame_bytes),
        }
    }

    pub fn finish(&mut self, output: &mut Output<'_>) {
        self.waiting.give_up(output);
        if let Memory::Held(id) = std::mem::replace(&mut self.memory, Memory::Refused) {
            output.release_buffer(id);
        }
    }

    /// A frame that begins a header block, and those that it goes on in.
    fn header_block(&mut self, first: &Frame, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let mut last = *first;
        let mut end = first.bytes();
        loop {
            if end > BUFFER_BYTES {
                return Step::Failed(Failure::Limit);
            }
            if last.ends_headers() {
                break;
            }
            let Some(next) = input.bytes.get(end..).and_then(Frame::read) else {
                return Step::Need(end + frame::HEADER_BYTES);
            };
            if next.kind != frame::CONTINUATION || next.stream != first.stream {
                return Step::Failed(Failure::Malformed);
            }
            last = next;
            end += next.bytes();
        }
        let Some(frames) = input.bytes.get(..end) else { return Step::Need(end) };
        let payload = &frames[frame::HEADER_BYTES..first.bytes()];
        let Some(fragment) = first.fragment(payload) else { return Step::Failed(Failure::Malformed) };
        let is_promise = first.kind == frame::PUSH_PROMISE;
        let block = Block { bytes: fragment.bytes, stream: fragment.stream, is_promise };
        let rest = &frames[first.bytes()..];
        let result = if rest.is_empty() {
            self.fields(&block, input, output)
        } else {
            let mut whole = [0; BUFFER_BYTES];
            let bytes = join(fragment.bytes, rest, &mut whole);
            self.fields(&Block { bytes, ..block }, input, output)
        };
        match result {
            Ok(()) => Step::Took(end as u64),
            Err(failure) => Step::Failed(failure),
        }
    }

    fn fields(
        &mut self,
        block: &Block<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        if matches!(self.memory, Memory::NotNeeded) {
            self.memory = output.take_buffer().map_or(Memory::Refused, Memory::Held);
        }
        let memory = match &self.memory {
            Memory::Held(id) => {
                let (source, destination) = output.buffer_memory(id).split_at_mut(BUFFER_BYTES / 2);
                if input.sender == Sender::Source { source } else { destination }
            }
            Memory::NotNeeded | Memory::Refused => &mut [],
        };
        let marks = &mut self.sides[input.sender.index()].marks;
        let mut found = Found::new();
        hpack::read(block.bytes, &mut Table { marks, memory }, &mut found)?;
        let message = found.message();
        if message.status.is_some() {
            self.answer(block, &found, input, output);
        } else if message.method.is_some() {
            self.request(block, &found, input, output);
        }
        Ok(())
    }

    fn request(&mut self, block: &Block<'_>, found: &Found, input: &Input<'_>, output: &mut Output<'_>) {
        let draft = output.begin(AppProtocol::Http);
        if let Some(id) = &draft {
            found.message().write_request(output.draft(id));
        }
        let known = self.take(block.stream);
        let pushed_out = self.waiting.push(Request { draft, end_ns: input.end_ns, what: block.stream });
        for request in [known, pushed_out].into_iter().flatten() {
            request.give_up(output);
        }
    }

    fn answer(&mut self, block: &Block<'_>, found: &Found, input: &Input<'_>, output: &mut Output<'_>) {
        let message = found.message();
        if block.is_promise || matches!(message.status, Some(100..200)) {
            return;
        }
        let request = self.take(block.stream);
        let request_ns = request.as_ref().map(|request| request.end_ns);
        let draft = request.map_or_else(|| output.begin(AppProtocol::Http), |request| request.draft);
        if let Some(id) = draft {
            message.write_answer(output.draft(&id));
            output.complete(id, Timing { request_ns, answer_ns: Some(input.start_ns) });
        }
    }

    fn place_of(&self, stream: u32) -> Option<usize> {
        self.waiting.iter().position(|request| request.what == stream)
    }

    fn take(&mut self, stream: u32) -> Option<Request<u32>> {
        self.waiting.take(self.place_of(stream)?)
    }

    fn note_end(&mut self, stream: u32, now_ns: u64) {
        if let Some(request) = self.waiting.iter_mut().find(|request| request.what == stream) {
            request.end_ns = now_ns;
        }
    }
}

impl Side {
    const NEW: Side = Side { has_begun: false, data: None, marks: Marks::NEW };
}

/// A block's first fragment and those of CONTINUATION frames, together.
fn join<'a>(first: &[u8], frames: &[u8], whole: &'a mut [u8; BUFFER_BYTES]) -> &'a [u8] {
    whole[..first.len()].copy_from_slice(first);
    let mut length = first.len();
    let mut rest = frames;
    while let Some(frame) = Frame::read(rest) {
        let (bytes, after) = rest.split_at(frame.bytes());
        let fragment = &bytes[frame::HEADER_BYTES..];
        whole[length..][..fragment.len()].copy_from_slice(fragment);
        length += fragment.len();
        rest = after;
    }
    &whole[..length]
}
