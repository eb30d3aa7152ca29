//! HTTP in datagrams: SSDP, which finds devices (UPnP Device Architecture §1). Each message stands for itself, since
//! requests go to a group and answers come from elsewhere.

use super::{
    head::{self, Head},
    start::{Demand, Start},
};
use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Step},
};
use kflow::AppProtocol;

pub fn parse(input: &Input<'_>, output: &mut Output<'_>) -> Step {
    let start = Start::of(input.bytes, Demand::Line);
    let bytes = head_of(input);
    let at = Some(input.end_ns);
    let (head, timing) = match start {
        Start::Request => (Head::of_request(bytes), Timing { request_ns: at, answer_ns: None }),
        Start::Answer => (Head::of_answer(bytes), Timing { request_ns: None, answer_ns: at }),
        _ if input.is_cut => return Step::Failed(Failure::Cut),
        _ => return Step::Failed(Failure::Malformed),
    };
    if let Some(id) = output.begin(AppProtocol::Http) {
        let draft = output.draft(&id);
        match start {
            Start::Request => head.message.write_request(draft),
            _ => head.message.write_answer(draft),
        }
        output.complete(id, timing);
    }
    Step::Took(input.bytes.len() as u64)
}

/// The head. Some devices leave out the empty line at its end.
fn head_of<'a>(input: &Input<'a>) -> &'a [u8] {
    match head::end_of(input.bytes) {
        Some(end) => &input.bytes[..end],
        None if input.is_cut => head::whole_part(input.bytes),
        None => input.bytes,
    }
}
