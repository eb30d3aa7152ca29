//! Records to messages.
//!
//! # The life of a record
//!
//! 1. It becomes one or two *sides*: each direction that has packets, or both in one ([`crate::Biflow`]). What is of the
//!    whole flow (latencies, the connection, the application) goes with the first.
//! 2. What a side has something in is its *shape*, and a shape has a template ([`crate::template`]).
//! 3. The template is announced in front of the side if this round has not done it yet, and so is the sampler.
//! 4. The side is appended to the message. If it does not fit, the message goes out without it, and it begins the next
//!    one; if it does not fit there either, its texts are cut.
//! 5. The message goes out when it is full, and at the end of the batch.

use crate::config::{Biflow, Elements, Format, IpfixConfig, Transactions, Transport};
use crate::element::{Sender, Side};
use crate::message::{Delivery, Draft, Header, Message};
use crate::sampling;
use crate::shape::{Leads, Shape};
use crate::template::{Templates, options_set};
use kflow::{EndReason, FlowRecord};

/// Makes messages. Knows neither sockets nor clocks.
#[derive(Debug)]
pub struct Encoder {
    config: IpfixConfig,
    templates: Templates,
    draft: Draft,
    rounds: Rounds,
    /// Data records (IPFIX) or messages (NetFlow) that went out.
    sequence: u32,
    times: Times,
    counts: Counts,
}

/// What became of the records of a batch that is not in its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions that are left out by config, or that the format has no records for.
    pub left_out: u64,
    /// Records of which a text is cut, for want of room in the message.
    pub cut: u64,
    /// Times that NetFlow has no room for: a flow that lasts longer than 49 days begins later.
    pub clamped: u64,
}

/// When what was announced is announced again.
#[derive(Debug)]
struct Rounds {
    /// From 1 on.
    current: u64,
    began_ns: Option<u64>,
    messages: u32,
    /// The rate that the collector goes by, and the round in which it was said; `None` if none was ever said.
    rate: Option<(u32, u64)>,
}

/// What headers say of the time.
#[derive(Debug, Default)]
struct Times {
    /// The latest that was heard of.
    now_ns: u64,
    /// The latest end among the records of the message.
    end_ms: u64,
    /// What NetFlow's times count from; of the first message on.
    boot_ms: Option<u64>,
}

impl Encoder {
    /// The config has been checked.
    pub fn new(config: IpfixConfig) -> Encoder {
        Encoder {
            draft: Draft::new(config.format, config.message_bytes()),
            templates: Templates::default(),
            rounds: Rounds { current: 1, began_ns: None, messages: 0, rate: None },
            sequence: 0,
            times: Times::default(),
            counts: Counts::default(),
            config,
        }
    }

    /// Tells the time, nanoseconds since the Unix epoch. Export times are the latest that was told, or the latest end of
    /// a record.
    pub fn advance(&mut self, now_ns: u64) {
        self.times.now_ns = self.times.now_ns.max(now_ns);
    }

    /// Announces everything anew from here on: a message was lost, or the peer is another.
    pub fn announce_again(&mut self) {
        self.rounds.current += 1;
        self.rounds.began_ns = None;
        self.rounds.messages = 0;
    }

    /// A new transport session, whose records are counted from zero (RFC 7011, 3.1).
    pub fn begin_session(&mut self) {
        self.announce_again();
        self.rounds.rate = None;
        self.sequence = 0;
    }

    /// Makes a batch into messages, each handed to `send`, which says what became of it. `uptime_ns` is a steady
    /// clock, by which announcements are repeated.
    pub fn encode(
        &mut self,
        records: &[FlowRecord],
        uptime_ns: u64,
        mut send: impl FnMut(Message<'_>) -> Delivery,
    ) -> Counts {
        self.counts = Counts::default();
        self.begin_round_if_due(uptime_ns);
        let mut index = 0;
        for record in records {
            if self.is_left_out(record) {
                self.counts.left_out += 1;
                continue;
            }
            self.put_record(index, record, &mut send);
            index += 1;
        }
        self.finish(&mut send);
        self.counts
    }

    fn begin_round_if_due(&mut self, uptime_ns: u64) {
        // Over a connection nothing gets lost (RFC 7011, 10.4.4).
        if self.config.transport == Transport::Tcp {
            return;
        }
        let began_ns = *self.rounds.began_ns.get_or_insert(uptime_ns);
        let is_old =
            u128::from(uptime_ns.saturating_sub(began_ns)) >= self.config.template_refresh.as_nanos();
        if is_old || self.rounds.messages >= self.config.template_refresh_messages {
            self.announce_again();
            self.rounds.began_ns = Some(uptime_ns);
        }
    }

    fn is_left_out(&self, record: &FlowRecord) -> bool {
        let has_options = self.config.format == Format::Ipfix;
        let has_all = self.config.elements == Elements::All;
        let is_wanted = has_options && has_all && self.config.transactions == Transactions::Options;
        record.end_reason == EndReason::Transaction && !is_wanted
    }

    fn put_record(
        &mut self,
        index: usize,
        record: &FlowRecord,
        send: &mut impl FnMut(Message<'_>) -> Delivery,
    ) {
        let side = |sender| Side { record, sender, boot_ms: 0 };
        let is_one = record.end_reason == EndReason::Transaction || self.config.biflow == Biflow::Rfc5103;
        if is_one && self.config.format == Format::Ipfix {
            return self.put_side(index, side(Sender::Source), Leads::Flow, send);
        }
        let has_reverse = record.reverse.packets > 0;
        if record.forward.packets > 0 || !has_reverse {
            self.put_side(index, side(Sender::Source), Leads::Flow, send);
            if has_reverse {
                self.put_side(index, side(Sender::Destination), Leads::Nothing, send);
            }
        } else {
            self.put_side(index, side(Sender::Destination), Leads::Flow, send);
        }
    }

    /// Appends a side, with what has to be announced before it.
    fn put_side(
        &mut self,
        index: usize,
        side: Side<'_>,
        leads: Leads,
        send: &mut impl FnMut(Message<'_>) -> Delivery,
    ) {
        if self.config.format == Format::NetflowV9 && !self.times.reach(&side) {
            self.finish(send);
            self.counts.clamped += u64::from(self.times.begin_at(&side));
        }
        let side = Side { boot_ms: self.times.boot_ms.unwrap_or_default(), ..side };
        let shape = Shape::of(&side, leads, &self.config);
        if self.try_side(index, &side, shape, usize::MAX) == 0 {
            return;
        }
        if !self.draft.is_empty() {
            self.finish(send);
        }
        if self.try_side(index, &side, shape, usize::MAX) == 0 {
            return;
        }
        if !self.announce_alone(index, shape, send) {
            // The record was in that message's range.
            return;
        }
        let excess = self.try_side(index, &side, shape, usize::MAX);
        if excess > 0 {
            self.cut(index, &side, shape, excess);
        }
    }

    /// Appends a side if there is room for it and all that comes with it; returns how many bytes are missing.
    fn try_side(&mut self, index: usize, side: &Side<'_>, shape: Shape, text_bytes_max: usize) -> usize {
        let mark = self.draft.mark();
        let announces = self.put_announcements(side, shape);
        let template = self.templates.get(shape, &self.config);
        let mut is_cut = false;
        self.draft.append(template.id, |bytes| is_cut = template.write(side, text_bytes_max, bytes));
        self.draft.belongs_to(index);
        let excess = self.draft.excess();
        if excess > 0 {
            self.draft.rewind(&mark);
            return excess;
        }
        if announces.template {
            template.announced = self.rounds.current;
        }
        if announces.sampling {
            self.rounds.rate = Some((rate_of(side), self.rounds.current));
        }
        self.counts.cut += u64::from(is_cut);
        self.times.end_ms = self.times.end_ms.max(side.end_ms());
        self.times.now_ns = self.times.now_ns.max(side.record.end_ns);
        0
    }

    /// Appends the announcements that this round owes the side.
    fn put_announcements(&mut self, side: &Side<'_>, shape: Shape) -> Announces {
        let template = self.templates.get(shape, &self.config);
        let announces = Announces {
            template: template.announced != self.rounds.current,
            sampling: self.rounds.owe_rate(rate_of(side)),
        };
        let format = self.config.format;
        if announces.template {
            let announcement = &template.announcement;
            self.draft.append(template.set_id(format), |bytes| bytes.extend_from_slice(announcement));
        }
        if announces.sampling {
            for options in sampling::options(&self.config) {
                // A set each: collectors (nfcapd) read the first template of options in a set only.
                self.draft.close_set();
                self.draft.append(options_set(format), |bytes| options.write_template(format, bytes));
            }
            for options in sampling::options(&self.config) {
                let write = |bytes: &mut Vec<u8>| options.write_record(rate_of(side), &self.config, bytes);
                self.draft.append(options.id, write);
            }
        }
        announces
    }

    /// The announcement of a template in a message of its own, which the record depends on. Whether it is announced.
    fn announce_alone(
        &mut self,
        index: usize,
        shape: Shape,
        send: &mut impl FnMut(Message<'_>) -> Delivery,
    ) -> bool {
        let template = self.templates.get(shape, &self.config);
        if template.announced == self.rounds.current {
            return true;
        }
        let set_id = template.set_id(self.config.format);
        self.draft.append(set_id, |bytes| bytes.extend_from_slice(&template.announcement));
        self.draft.belongs_to(index);
        let is_out = self.finish(send);
        // Also if an earlier message was lost, after which all others are announced anew.
        let current = self.rounds.current;
        self.templates.get(shape, &self.config).announced = current;
        is_out
    }

    /// Appends a side with shorter texts. Only texts make a side too long for a message of its own.
    fn cut(&mut self, index: usize, side: &Side<'_>, shape: Shape, excess: usize) {
        let application = side.record.application.as_ref();
        let text_bytes: usize = application
            .into_iter()
            .flat_map(kflow::Application::values)
            .map(|(_, value)| match value {
                kflow::application::Datum::Text(text) => text.len(),
                _ => 0,
            })
            .sum();
        let excess = self.try_side(index, side, shape, text_bytes.saturating_sub(excess));
        assert_eq!(excess, 0, "a record without texts fits the smallest message");
    }

    /// Hands the message over, if there is anything in it. Whether it went out.
    fn finish(&mut self, send: &mut impl FnMut(Message<'_>) -> Delivery) -> bool {
        if self.draft.is_empty() {
            return true;
        }
        let (export_s, uptime_ms) = self.times.header(self.config.format);
        let header = Header { export_s, uptime_ms, sequence: self.sequence, domain: self.config.domain };
        let counted = match self.config.format {
            Format::Ipfix => self.draft.data_records(),
            Format::NetflowV9 => 1,
        };
        let delivery = send(self.draft.finish(&header));
        // Also of what did not go out: the collector sees how much is missing.
        self.sequence = self.sequence.wrapping_add(counted);
        self.rounds.messages = self.rounds.messages.saturating_add(1);
        self.draft.clear();
        self.times.end_ms = 0;
        if delivery != Delivery::Sent {
            self.announce_again();
            self.rounds.rate = self.rounds.rate.map(|_| UNKNOWN_RATE);
        }
        delivery != Delivery::Failed
    }
}

/// What was appended in front of a side.
#[derive(Clone, Copy, Debug)]
struct Announces {
    template: bool,
    sampling: bool,
}

impl Rounds {
    /// Whether a rate has to be said before a record that has it. That nothing is sampled needs not be said unless
    /// something was.
    fn owe_rate(&self, rate: u32) -> bool {
        match self.rate {
            None => rate > 1,
            Some((said, round)) => said != rate || (rate > 1 && round != self.current),
        }
    }
}

/// What the collector goes by after a message was lost.
const UNKNOWN_RATE: (u32, u64) = (0, 0);

fn rate_of(side: &Side<'_>) -> u32 {
    side.record.sample_rate.max(1)
}

/// How far before the first flow an exporter of NetFlow says it started.
const BOOT_MARGIN_MS: u64 = 3_600_000;

impl Times {
    /// Whether NetFlow's 32 bits hold the times of a side as they count now.
    fn reach(&self, side: &Side<'_>) -> bool {
        let Some(boot_ms) = self.boot_ms else { return false };
        side.start_ms() >= boot_ms && side.end_ms() - boot_ms <= UPTIME_MS_MAX
    }

    /// Counts from an hour before the side from here on, as after a restart. Whether its times are still too far apart.
    fn begin_at(&mut self, side: &Side<'_>) -> bool {
        let earliest_ms = side.end_ms().saturating_sub(UPTIME_MS_MAX);
        self.boot_ms = Some(side.start_ms().saturating_sub(BOOT_MARGIN_MS).max(earliest_ms));
        side.start_ms() < earliest_ms
    }

    /// Export time in seconds, and milliseconds since the start.
    fn header(&self, format: Format) -> (u32, u32) {
        let now_ms = self.now_ns / 1_000_000;
        let (Format::NetflowV9, Some(boot_ms)) = (format, self.boot_ms) else {
            return (u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX), 0);
        };
        // Records of the past say when it was.
        let is_near = now_ms.saturating_sub(boot_ms) <= UPTIME_MS_MAX;
        let export_ms = if is_near { now_ms.max(self.end_ms) } else { self.end_ms };
        // Whole seconds, so that the start is exact to the millisecond; not before any end.
        let export_s = export_ms.div_ceil(1_000).min(u64::from(u32::MAX));
        let uptime_ms = (export_s * 1_000).saturating_sub(boot_ms);
        (export_s as u32, uptime_ms.min(u64::from(u32::MAX)) as u32)
    }
}

/// The most that 32 bits hold, less the second that export times are rounded by.
const UPTIME_MS_MAX: u64 = u32::MAX as u64 - 1_000;
