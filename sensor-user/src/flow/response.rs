//! How long answers take: the time from the end of what the source asked to the start of what the destination
//! answers, for any protocol over TCP and UDP. `TCP.md` of the sensor defines each number.
//!
//! A *message* is what asks or answers: new payload for TCP, every packet for UDP. A *turn* is a message of the
//! destination after one of the source. Of ICMP echoes the latest request is answered by the reply with its identifier
//! and sequence number.

use super::microseconds;
use crate::{
    clock::Moment,
    packet::{Packet, bytes_at, protocol},
    source::Frame,
};
use kflow::Latency;

#[derive(Clone, Copy, Debug)]
pub struct Responses {
    /// Of the source; zero if the destination's came before it.
    first_message: Moment,
    /// The latest echo request and its identifier and sequence number.
    echo_time: Moment,
    echo: u32,
    first_response_us: Option<u32>,
    sum_us: u64,
    min_us: u32,
    max_us: u32,
    responses: u32,
}

impl Responses {
    pub const NONE: Responses = Responses {
        first_message: Moment(0),
        echo_time: Moment(0),
        echo: 0,
        first_response_us: None,
        sum_us: 0,
        min_us: 0,
        max_us: 0,
        responses: 0,
    };

    /// The first message of the source, before any of the destination.
    pub fn ask_first(&mut self, now: Moment) {
        self.first_message = now;
    }

    /// A message of the destination after one of the source, `asked` being the time of the latter.
    pub fn answer(&mut self, asked: Moment, now: Moment) {
        if self.first_response_us.is_none() && self.first_message != Moment(0) {
            self.first_response_us = Some(microseconds(now.since(self.first_message)));
        }
        let elapsed_us = microseconds(now.since(asked));
        self.min_us = if self.responses == 0 { elapsed_us } else { self.min_us.min(elapsed_us) };
        self.max_us = self.max_us.max(elapsed_us);
        self.sum_us = self.sum_us.saturating_add(u64::from(elapsed_us));
        self.responses = self.responses.saturating_add(1);
    }

    pub fn note_echo(&mut self, echo: Echo, now: Moment) {
        match echo {
            Echo::Request(echo) => {
                if self.first_message == Moment(0) {
                    self.first_message = now;
                }
                (self.echo, self.echo_time) = (echo, now);
            }
            Echo::Reply(echo) if echo == self.echo && self.echo_time != Moment(0) => {
                self.answer(self.echo_time, now);
                self.echo_time = Moment(0);
            }
            Echo::Reply(_) => {}
        }
    }

    /// Begins a new span of the same flow.
    pub fn restart_span(&mut self) {
        let Responses { first_message, echo_time, echo, first_response_us, .. } = *self;
        *self = Responses { first_message, echo_time, echo, first_response_us, ..Responses::NONE };
    }

    /// For the record.
    pub fn latency(&self) -> Latency {
        let known = |value_us| (self.responses > 0).then_some(value_us);
        Latency {
            first_response_us: self.first_response_us,
            response_min_us: known(self.min_us),
            // A mean of 32-bit numbers fits.
            response_mean_us: self.sum_us.checked_div(u64::from(self.responses)).map(|mean| mean as u32),
            response_max_us: known(self.max_us),
            responses: self.responses,
        }
    }
}

/// An ICMP or ICMPv6 echo: identifier and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    Request(u32),
    Reply(u32),
}

impl Echo {
    /// `None` for anything else (RFC 792, RFC 4443 §4).
    pub fn of(packet: &Packet, frame: &Frame<'_>) -> Option<Echo> {
        let of: fn(u32) -> Echo = match (packet.key.protocol(), packet.icmp.kind) {
            (protocol::ICMP, 8) | (protocol::ICMPV6, 128) => Echo::Request,
            (protocol::ICMP, 0) | (protocol::ICMPV6, 129) => Echo::Reply,
            _ => return None,
        };
        bytes_at::<4>(frame.bytes, packet.transport_start as usize + 4)
            .map(|pair| of(u32::from_be_bytes(*pair)))
    }
}
