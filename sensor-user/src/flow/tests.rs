//! The table against models that follow its module documentation, and its promises one by one.

use super::{
    Amount, FlowKey, FlowTable, Observation, TableConfig,
    key::Ends,
    table::{EMBRYONIC_PACKETS, Emit, TableCounts},
};
use crate::{
    clock::Moment,
    packet::{Fragment, LinkTags, Packet, Side, TcpHeader, protocol},
    source::Frame,
};
use kflow::{DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, Latency, MacAddress, TcpRecord};
use proptest::prelude::*;
use sensor_ebpf::hash::HashKey;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    time::Duration,
};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const HOUR: u64 = 3600 * SECOND;
/// One tick of the wheel and a bit: how late it may notice a timeout.
const TICK: u64 = 135 * MS;
/// A date in 2023, as live captures have it.
const TODAY: u64 = 1_700_000_000 * SECOND;
const EVERYTHING: usize = usize::MAX;
const HASH_KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };

// What goes in.

/// A packet of one of a few conversations, at a time.
#[derive(Clone, Debug)]
struct Sent {
    conversation: u32,
    sender: Side,
    tcp_flags: u8,
    tos: u8,
    vlan: u16,
    icmp: IcmpKind,
    fragment: Fragment,
    bytes: u32,
    time: Moment,
}

impl Sent {
    fn new(conversation: u32, sender: Side, time_ns: u64) -> Sent {
        Sent {
            conversation,
            sender,
            tcp_flags: ACK,
            tos: 0,
            vlan: 0,
            icmp: IcmpKind::default(),
            fragment: Fragment::Whole,
            bytes: 100,
            time: Moment(time_ns),
        }
    }

    fn flags(self, tcp_flags: u8) -> Sent {
        Sent { tcp_flags, ..self }
    }

    fn packet(&self) -> Packet {
        let (low, high) = (0x0a00_0000 + self.conversation, 0x0b00_0000 + self.conversation);
        let (addresses, [source_port, destination_port]) = match self.sender {
            Side::Low => ([low, high], [4000, 80]),
            Side::High => ([high, low], [80, 4000]),
        };
        let (key, sender) =
            FlowKey::v4(addresses, Ends { source_port, destination_port, protocol: protocol::TCP });
        assert_eq!(sender, self.sender);
        Packet {
            key,
            sender,
            network_bytes: self.bytes,
            link: LinkTags { vlan: self.vlan, ..LinkTags::default() },
            tcp: self.tcp(),
            tos: self.tos,
            tcp_flags: self.tcp_flags,
            icmp: self.icmp,
            fragment: self.fragment,
            ..Packet::EMPTY
        }
    }

    fn frame_bytes(&self) -> u32 {
        self.bytes + 14
    }

    /// Destination and source, told apart by their last octet.
    fn mac_addresses(&self) -> (MacAddress, MacAddress) {
        let [low, high] = [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2])];
        if self.sender == Side::Low { (high, low) } else { (low, high) }
    }

    fn put_into(&self, table: &mut FlowTable, emit: &mut impl Emit) {
        let hash = self.packet().key.hash(HASH_KEY);
        self.put_with_hash(hash, table, emit);
    }

    fn put_with_hash(&self, hash: u64, table: &mut FlowTable, emit: &mut impl Emit) {
        let (MacAddress(destination), MacAddress(source)) = self.mac_addresses();
        let bytes = [&destination[..], &source].concat();
        let packet = self.packet();
        let frame = &Frame { bytes: &bytes, wire_bytes: self.frame_bytes(), time: self.time, ..Frame::EMPTY };
        let amount = Amount::one(&packet, frame);
        table.observe(&Observation { packet: &packet, hash, frame, amount, time: self.time }, emit);
    }

    /// Fragments show no header that could be looked into.
    fn tcp(&self) -> TcpHeader {
        if self.fragment != Fragment::Whole {
            return TcpHeader::default();
        }
        TcpHeader { sequence: self.sequence(), acknowledgement: 1, window: 1000, header_bytes: 20 }
    }

    /// Another one at every time.
    fn sequence(&self) -> u32 {
        (self.time.0 ^ self.time.0 >> 32) as u32
    }
}

#[derive(Clone, Debug)]
enum Step {
    Packet(Sent),
    Expire { now: Moment, flows_max: usize },
}

impl Step {
    fn time(&self) -> Moment {
        match self {
            Step::Packet(sent) => sent.time,
            Step::Expire { now, .. } => *now,
        }
    }

    fn run(&self, table: &mut FlowTable, emit: &mut impl Emit) {
        match self {
            Step::Packet(sent) => sent.put_into(table, emit),
            Step::Expire { now, flows_max } => table.expire(*now, *flows_max, emit),
        }
    }
}

/// Times that go up by these differences, which may be negative, from a start.
fn at_times(start: u64, steps: Vec<(i64, Step)>) -> Vec<Step> {
    let mut now = start;
    let place = |(difference, step): (i64, Step)| {
        now = now.saturating_add_signed(difference);
        match step {
            Step::Packet(sent) => Step::Packet(Sent { time: Moment(now), ..sent }),
            Step::Expire { flows_max, .. } => Step::Expire { now: Moment(now), flows_max },
        }
    };
    steps.into_iter().map(place).collect()
}

fn sent(conversations: u32) -> impl Strategy<Value = Sent> {
    let sender = prop_oneof![3 => Just(Side::Low), 2 => Just(Side::High)];
    let tcp_flags = prop_oneof![
        4 => Just(ACK),
        2 => Just(SYN),
        2 => Just(SYN | ACK),
        2 => Just(FIN | ACK),
        1 => Just(RST),
        1 => any::<u8>(),
    ];
    let fragment =
        prop_oneof![6 => Just(Fragment::Whole), 1 => Just(Fragment::First), 1 => Just(Fragment::Later)];
    let rest = (any::<u8>(), 0u16..3, 0u8..3, 20u32..1500);
    (0..conversations, sender, tcp_flags, fragment, rest).prop_map(
        |(conversation, sender, tcp_flags, fragment, (tos, vlan, kind, bytes))| Sent {
            conversation,
            sender,
            tcp_flags,
            tos,
            vlan,
            icmp: IcmpKind { kind, code: 0 },
            fragment,
            bytes,
            time: Moment(0),
        },
    )
}

fn step(conversations: u32) -> impl Strategy<Value = Step> {
    let budget = prop_oneof![0usize..4, Just(EVERYTHING)];
    prop_oneof![
        3 => sent(conversations).prop_map(Step::Packet),
        1 => budget.prop_map(|flows_max| Step::Expire { now: Moment(0), flows_max }),
    ]
}

/// Differences of time that matter to the table: none, ticks, timeouts to the nanosecond, days.
fn forward() -> impl Strategy<Value = i64> {
    let timeout = prop::sample::select(vec![SECOND, 5 * SECOND, 15 * SECOND, 60 * SECOND]);
    let exact = (timeout, -1i64..=1).prop_map(|(timeout, off)| timeout as i64 + off);
    prop_oneof![
        4 => Just(0i64),
        4 => 0..(300 * MS) as i64,
        4 => 0..(20 * SECOND) as i64,
        3 => exact,
        1 => 0..(48 * HOUR) as i64,
    ]
}

fn start_of_time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(TODAY), 0..200 * SECOND, any::<u64>()]
}

fn config() -> impl Strategy<Value = TableConfig> {
    let timeout = || {
        prop::sample::select(
            vec![0, 1, 5, 15, 60, 300].into_iter().map(Duration::from_secs).collect::<Vec<_>>(),
        )
    };
    (timeout(), timeout(), timeout(), timeout()).prop_map(
        |(idle_timeout, active_timeout, close_linger, embryonic_timeout)| TableConfig {
            idle_timeout,
            active_timeout,
            close_linger,
            embryonic_timeout,
            ..ample()
        },
    )
}

/// Never full and never under pressure in these tests.
fn ample() -> TableConfig {
    TableConfig {
        capacity: 64,
        idle_timeout: Duration::from_secs(15),
        active_timeout: Duration::from_secs(60),
        close_linger: Duration::from_secs(5),
        embryonic_timeout: Duration::from_secs(1),
        pressure: 64,
        sample_rate: 1,
    }
}

/// A table in which nothing times out.
fn patient(capacity: usize) -> TableConfig {
    let timeout = Duration::from_hours(1);
    TableConfig {
        capacity,
        idle_timeout: timeout,
        active_timeout: timeout,
        close_linger: timeout,
        embryonic_timeout: timeout,
        pressure: capacity,
        sample_rate: 1,
    }
}

// What comes out.

fn assert_balanced(table: &FlowTable) {
    let TableCounts { flows_created, flows_ended, .. } = table.counts();
    assert_eq!(flows_created, flows_ended + table.len() as u64);
    assert!(table.len() <= table.capacity());
}

/// The number that [`Sent::packet`] put into the addresses.
fn conversation_of(record: &FlowRecord) -> u32 {
    match record.source.address {
        IpAddr::V4(address) => address.to_bits() & 0x00ff_ffff,
        IpAddr::V6(_) => panic!("only IPv4 went in"),
    }
}

fn sent_by_low(record: &FlowRecord) -> bool {
    record.source.port == 4000
}

/// Packets, bytes and frame bytes by conversation and direction (from the low end or not).
type Sums = BTreeMap<(u32, bool), [u64; 3]>;

fn add(sums: &mut Sums, key: (u32, bool), amounts: [u64; 3]) {
    if amounts == [0; 3] {
        return;
    }
    let sum = sums.entry(key).or_default();
    for (total, amount) in sum.iter_mut().zip(amounts) {
        *total += amount;
    }
}

fn add_record(sums: &mut Sums, record: &FlowRecord) {
    let amounts = |counters: &DirectionCounters| [counters.packets, counters.bytes, counters.frame_bytes];
    let conversation = conversation_of(record);
    add(sums, (conversation, sent_by_low(record)), amounts(&record.forward));
    add(sums, (conversation, !sent_by_low(record)), amounts(&record.reverse));
}

fn sorted(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    records.sort_by_cached_key(|record| format!("{record:?}"));
    records
}

// The laws.

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_in_comes_out(
        config in config(),
        (capacity, pressure) in (1usize..=16, 0usize..=16),
        start in start_of_time(),
        steps in prop::collection::vec(
            (prop_oneof![3 => forward(), 1 => forward().prop_map(|difference| -difference)], step(12)),
            1..150,
        ),
    ) {
        let mut table = FlowTable::new(TableConfig { capacity, pressure, ..config });
        let (mut went_in, mut came_out) = (Sums::new(), Sums::new());
        let mut records = [0; 5];
        let mut emit = |record: FlowRecord| {
            assert!(record.start_ns <= record.end_ns);
            assert!(record.forward.packets + record.reverse.packets > 0, "a record has packets");
            records[record.end_reason as usize - 1] += 1;
            add_record(&mut came_out, &record);
        };
        for step in at_times(start, steps) {
            if let Step::Packet(sent) = &step {
                let amounts = [1, u64::from(sent.bytes), u64::from(sent.frame_bytes())];
                add(&mut went_in, (sent.conversation, sent.sender == Side::Low), amounts);
            }
            step.run(&mut table, &mut emit);
            assert_balanced(&table);
        }
        table.flush(&mut emit);
        assert_balanced(&table);
        prop_assert_eq!(table.len(), 0);
        prop_assert_eq!(table.counts().records, records);
        prop_assert_eq!(came_out, went_in);
    }

    #[test]
    fn records_are_those_of_the_model_however_often_the_wheel_turns(
        config in config(),
        start in start_of_time(),
        steps in prop::collection::vec((forward(), step(4)), 1..150),
    ) {
        let steps = at_times(start, steps);
        let mut table = FlowTable::new(config);
        let mut model = Model { config, flows: HashMap::new(), records: Vec::new() };
        let mut records = Vec::new();
        for step in &steps {
            step.run(&mut table, &mut |record: FlowRecord| records.push(record));
            if let Step::Packet(sent) = step {
                model.observe(sent);
            }
        }
        table.flush(&mut |record: FlowRecord| records.push(record));
        model.flush(steps.last().expect("there is one step at least").time());
        // Latencies and TCP performance have tests of their own.
        let records = records.into_iter().map(|record| FlowRecord {
            latency: Latency::default(),
            tcp: TcpRecord::default(),
            ..record
        });
        prop_assert_eq!(sorted(records.collect()), sorted(model.records));
    }

    #[test]
    fn at_the_limit_the_oldest_embryonic_flow_goes_and_else_the_idlest(
        capacity in 1usize..=8,
        packets in prop::collection::vec(sent(14), 1..200),
    ) {
        let mut table = FlowTable::new(patient(capacity));
        // In order of creation.
        let mut model: Vec<Seat> = Vec::new();
        for (n, sent) in packets.into_iter().enumerate() {
            // Within one tick and over several.
            let sent = Sent { time: Moment(TODAY + n as u64 * 17 * MS), ..sent };
            let victim = seat(&mut model, capacity, &sent);
            let mut evicted = Vec::new();
            sent.put_into(&mut table, &mut |record: FlowRecord| {
                if record.end_reason == EndReason::LackOfResources {
                    evicted.push(conversation_of(&record));
                }
            });
            prop_assert_eq!(evicted, Vec::from_iter(victim));
        }
    }
}

/// What the module documentation of the table says, in a map.
struct Model {
    config: TableConfig,
    flows: HashMap<u32, ModelFlow>,
    records: Vec<FlowRecord>,
}

struct ModelFlow {
    /// The span as it would be exported now; its end reason and times are filled in at the end.
    span: FlowRecord,
    source: Side,
    start: u64,
    last: u64,
    /// By sender, low end first.
    has_fin: [bool; 2],
    is_closing: bool,
    numbers: Numbers,
}

/// Initial sequence numbers of both ends, as far as packets told them.
#[derive(Default)]
struct Numbers([Option<u32>; 2]);

impl Numbers {
    /// Whether a SYN begins another connection.
    fn is_another(&self, sent: &Sent) -> bool {
        let known = self.0[sent.sender as usize];
        let is_fresh_syn = sent.tcp_flags & (SYN | ACK) == SYN && sent.fragment == Fragment::Whole;
        is_fresh_syn && known.is_some_and(|initial| initial != sent.sequence())
    }

    fn note(&mut self, sent: &Sent) {
        if sent.fragment != Fragment::Whole {
            return;
        }
        if self.is_another(sent) {
            *self = Numbers::default();
        }
        let before_data = u32::from(sent.tcp_flags & SYN == 0);
        self.0[sent.sender as usize].get_or_insert(sent.sequence().wrapping_sub(before_data));
        if sent.tcp_flags & ACK != 0 {
            self.0[sent.sender.other() as usize].get_or_insert(0);
        }
    }
}

impl Model {
    fn observe(&mut self, sent: &Sent) {
        self.settle(sent.conversation, sent.time);
        let flow = self.flows.get(&sent.conversation);
        if flow.is_some_and(|flow| flow.is_closing && flow.numbers.is_another(sent)) {
            self.end(sent.conversation, EndReason::EndOfFlow);
        }
        self.flows.entry(sent.conversation).or_insert_with(|| ModelFlow::new(sent)).add(sent);
    }

    fn flush(&mut self, now: Moment) {
        for conversation in Vec::from_iter(self.flows.keys().copied()) {
            self.settle(conversation, now);
            let Some(flow) = self.flows.get(&conversation) else { continue };
            let reason = if flow.is_closing { EndReason::EndOfFlow } else { EndReason::ForcedEnd };
            self.end(conversation, reason);
        }
    }

    /// Does what time has done to a flow until `now`, the earliest first.
    fn settle(&mut self, conversation: u32, now: Moment) {
        let Some(flow) = self.flows.get(&conversation) else { return };
        let after = |from: u64, timeout: Duration| Moment(from).plus(timeout);
        let idle_end = after(flow.last, self.config.idle_timeout);
        let linger_end = after(flow.last, self.config.close_linger);
        let active_end = after(flow.start, self.config.active_timeout);
        if flow.is_closing {
            if now >= idle_end.min(linger_end).min(active_end) {
                self.end(conversation, EndReason::EndOfFlow);
            }
            return;
        }
        if active_end < idle_end && now >= active_end {
            self.export(conversation, EndReason::ActiveTimeout);
        }
        if now >= idle_end {
            self.end(conversation, EndReason::IdleTimeout);
        }
    }

    fn end(&mut self, conversation: u32, reason: EndReason) {
        self.export(conversation, reason);
        self.flows.remove(&conversation);
    }

    fn export(&mut self, conversation: u32, end_reason: EndReason) {
        let flow = self.flows.get_mut(&conversation).expect("the callers looked it up");
        if flow.is_span_empty() {
            return;
        }
        let (start_ns, end_ns) = (flow.start, flow.last);
        self.records.push(FlowRecord { start_ns, end_ns, end_reason, ..flow.span.clone() });
        for counters in [&mut flow.span.forward, &mut flow.span.reverse] {
            *counters = DirectionCounters::default();
        }
    }
}

impl ModelFlow {
    fn new(first: &Sent) -> ModelFlow {
        let source = match (first.tcp_flags & (SYN | ACK) == SYN | ACK, first.sender) {
            (false, Side::Low) | (true, Side::High) => Side::Low,
            (false, Side::High) | (true, Side::Low) => Side::High,
        };
        let end = |side| {
            let (address, port) = first.packet().key.end(side);
            let (destination, sender) = first.mac_addresses();
            Endpoint { address, port, mac: if side == first.sender { sender } else { destination } }
        };
        let span = FlowRecord {
            source: end(source),
            destination: end(source.other()),
            protocol: protocol::TCP,
            icmp: first.icmp,
            ..FlowRecord::default()
        };
        let Moment(now) = first.time;
        ModelFlow {
            span,
            source,
            start: now,
            last: now,
            has_fin: [false; 2],
            is_closing: false,
            numbers: Numbers::default(),
        }
    }

    fn is_span_empty(&self) -> bool {
        self.span.forward.packets + self.span.reverse.packets == 0
    }

    fn add(&mut self, sent: &Sent) {
        if self.is_span_empty() {
            self.start = sent.time.0;
        }
        self.last = sent.time.0;
        let is_forward = sent.sender == self.source;
        let counters = if is_forward { &mut self.span.forward } else { &mut self.span.reverse };
        if counters.packets == 0 {
            counters.vlan = sent.vlan;
        }
        counters.packets += 1;
        counters.bytes += u64::from(sent.bytes);
        counters.frame_bytes += u64::from(sent.frame_bytes());
        counters.fragments += u32::from(sent.fragment != Fragment::Whole);
        counters.tcp_flags |= sent.tcp_flags;
        counters.tos |= sent.tos;
        counters.ecn_ce_packets += u32::from(sent.tos & 0b11 == 0b11);
        self.numbers.note(sent);
        self.has_fin[sent.sender as usize] |= sent.tcp_flags & FIN != 0;
        self.is_closing |= sent.tcp_flags & RST != 0 || self.has_fin == [true, true];
    }
}

/// A flow in the model of the eviction policy.
struct Seat {
    conversation: u32,
    sent: [u64; 2],
    has_fin: [bool; 2],
    is_closing: bool,
    numbers: Numbers,
    last: Moment,
}

impl Seat {
    fn is_embryonic(&self) -> bool {
        let [low, high] = self.sent;
        !self.is_closing && (low == 0 || high == 0) && low + high < EMBRYONIC_PACKETS
    }
}

/// Counts a packet and says which conversation has to leave for it.
fn seat(seats: &mut Vec<Seat>, capacity: usize, sent: &Sent) -> Option<u32> {
    let known = seats.iter().position(|seat| seat.conversation == sent.conversation);
    let is_reuse = known.is_some_and(|at| seats[at].is_closing && seats[at].numbers.is_another(sent));
    let known = match known {
        Some(at) if is_reuse => {
            seats.remove(at);
            None
        }
        known => known,
    };
    let mut victim = None;
    if known.is_none() && seats.len() == capacity {
        let idlest = || (0..seats.len()).min_by_key(|at| seats[*at].last).expect("it is full");
        let leaving = seats.iter().position(Seat::is_embryonic).unwrap_or_else(idlest);
        victim = Some(seats.remove(leaving).conversation);
    }
    let at = known.unwrap_or_else(|| {
        let (sent_packets, has_fin) = ([0; 2], [false; 2]);
        let conversation = sent.conversation;
        let (numbers, last) = (Numbers::default(), sent.time);
        seats.push(Seat { conversation, sent: sent_packets, has_fin, is_closing: false, numbers, last });
        seats.len() - 1
    });
    let seat = &mut seats[at];
    seat.sent[sent.sender as usize] += 1;
    seat.has_fin[sent.sender as usize] |= sent.tcp_flags & FIN != 0;
    seat.is_closing |= sent.tcp_flags & RST != 0 || seat.has_fin == [true, true];
    seat.numbers.note(sent);
    seat.last = sent.time;
    victim
}

// Named cases.

#[test]
fn a_flood_of_any_size_never_evicts_an_answered_conversation() {
    let mut table = FlowTable::new(patient(1000));
    let mut emit = |record: FlowRecord| assert!(conversation_of(&record) >= 500, "{record:?}");
    for conversation in 0..500 {
        Sent::new(conversation, Side::Low, TODAY).flags(SYN).put_into(&mut table, &mut emit);
        Sent::new(conversation, Side::High, TODAY + 1).flags(SYN | ACK).put_into(&mut table, &mut emit);
    }
    for spoofed in 500..100_500 {
        let time = TODAY + u64::from(spoofed) * 1000;
        Sent::new(spoofed, Side::Low, time).flags(SYN).put_into(&mut table, &mut emit);
        table.expire(Moment(time), 2, &mut emit);
    }
    let counts = table.counts();
    assert_eq!(counts.evicted_embryonic, 99_500);
    assert_eq!(counts.evicted_idlest + counts.evicted_crowded, 0);
    assert_balanced(&table);
}

#[test]
fn a_flood_costs_a_table_full_of_conversations_one_of_them() {
    let mut table = FlowTable::new(patient(100));
    let mut lost = Vec::new();
    for conversation in 0..100 {
        let time = TODAY + u64::from(conversation) * SECOND;
        Sent::new(conversation, Side::Low, time).put_into(&mut table, &mut |_| {});
        Sent::new(conversation, Side::High, time).put_into(&mut table, &mut |_| {});
    }
    for spoofed in 100..5_000 {
        Sent::new(spoofed, Side::Low, TODAY + 200 * SECOND)
            .flags(SYN)
            .put_into(&mut table, &mut |record: FlowRecord| lost.push(conversation_of(&record)));
    }
    lost.retain(|conversation| *conversation < 100);
    assert_eq!(lost, [0], "the idlest");
}

#[test]
fn a_crowded_neighbourhood_spares_the_answered() {
    let mut table = FlowTable::new(patient(1000));
    let mut lost = Vec::new();
    for conversation in 0..100 {
        Sent::new(conversation, Side::Low, TODAY).put_with_hash(7, &mut table, &mut |_| {});
        Sent::new(conversation, Side::High, TODAY).put_with_hash(7, &mut table, &mut |_| {});
    }
    for colliding in 100..1_000 {
        Sent::new(colliding, Side::Low, TODAY + u64::from(colliding)).put_with_hash(
            7,
            &mut table,
            &mut |record: FlowRecord| lost.push(conversation_of(&record)),
        );
    }
    assert_eq!(table.counts().evicted_crowded, 900 - 28, "128 flows share a home");
    assert_eq!(lost, Vec::from_iter(100..972), "the oldest of the unanswered, one after the other");
    assert_balanced(&table);
}

#[test]
fn a_crowd_of_conversations_loses_its_idlest() {
    let mut table = FlowTable::new(patient(1000));
    for conversation in 0..128 {
        // Conversation 77 is the one that spoke last the longest ago.
        let time = if conversation == 77 { TODAY } else { TODAY + SECOND };
        Sent::new(conversation, Side::Low, time).put_with_hash(7, &mut table, &mut |_| {});
        Sent::new(conversation, Side::High, time).put_with_hash(7, &mut table, &mut |_| {});
    }
    let mut lost = Vec::new();
    Sent::new(500, Side::Low, TODAY + 2 * SECOND).put_with_hash(7, &mut table, &mut |record: FlowRecord| {
        lost.push(conversation_of(&record));
    });
    assert_eq!(lost, [77]);
}

#[test]
fn a_refused_syn_ends_as_closed_and_leaves_the_other_embryos_in_order() {
    let mut table = FlowTable::new(patient(3));
    let mut ended = Vec::new();
    let mut emit = |record: FlowRecord| ended.push((conversation_of(&record), record.end_reason));
    for conversation in [0, 1, 2] {
        Sent::new(conversation, Side::Low, TODAY).flags(SYN).put_into(&mut table, &mut emit);
    }
    Sent::new(1, Side::High, TODAY).flags(RST | ACK).put_into(&mut table, &mut emit);
    Sent::new(3, Side::Low, TODAY).flags(SYN).put_into(&mut table, &mut emit);
    Sent::new(4, Side::Low, TODAY).flags(SYN).put_into(&mut table, &mut emit);
    table.expire(Moment(TODAY + 2 * HOUR), 1, &mut emit);
    table.flush(&mut emit);
    assert_eq!(ended[..2], [(0, EndReason::LackOfResources), (2, EndReason::LackOfResources)]);
    assert!(ended[2..].contains(&(1, EndReason::EndOfFlow)), "{ended:?}");
}

#[test]
fn a_silent_flow_past_both_timeouts_ends_by_the_earlier_one() {
    let config = TableConfig {
        idle_timeout: Duration::from_secs(120),
        active_timeout: Duration::from_secs(60),
        ..ample()
    };
    let second_packet_at = |time| {
        let mut table = FlowTable::new(config);
        let mut records = Vec::new();
        Sent::new(0, Side::Low, TODAY).put_into(&mut table, &mut |record: FlowRecord| records.push(record));
        Sent::new(0, Side::High, time).put_into(&mut table, &mut |record: FlowRecord| records.push(record));
        table.flush(&mut |record: FlowRecord| records.push(record));
        records
    };
    let lived_on = second_packet_at(TODAY + 119 * SECOND);
    assert_eq!(lived_on[0].end_reason, EndReason::ActiveTimeout);
    assert_eq!(lived_on[1].reverse.packets, 1, "the same flow, the same source");
    let returned = second_packet_at(TODAY + 120 * SECOND);
    assert_eq!(returned[0].end_reason, EndReason::ActiveTimeout);
    assert_eq!(returned[1].forward.packets, 1, "a new flow, whose source is who spoke first");
}

#[test]
fn timeouts_of_zero_make_a_record_of_every_packet() {
    let never = Duration::from_hours(1);
    for (idle_timeout, active_timeout) in
        [(Duration::ZERO, never), (never, Duration::ZERO), (Duration::ZERO, Duration::ZERO)]
    {
        let mut table = FlowTable::new(TableConfig { idle_timeout, active_timeout, ..ample() });
        let mut records = 0;
        for _ in 0..5 {
            Sent::new(0, Side::Low, TODAY).put_into(&mut table, &mut |_| records += 1);
        }
        table.flush(&mut |_| records += 1);
        assert_eq!(records, 5);
    }
}

#[test]
fn a_straggler_after_the_linger_is_a_new_flow() {
    let mut table = FlowTable::new(ample());
    let mut reasons = Vec::new();
    let mut emit = |record: FlowRecord| reasons.push((record.end_reason, record.forward.packets));
    Sent::new(0, Side::Low, TODAY).flags(RST).put_into(&mut table, &mut emit);
    Sent::new(0, Side::Low, TODAY + 4 * SECOND).put_into(&mut table, &mut emit);
    Sent::new(0, Side::Low, TODAY + 9 * SECOND).put_into(&mut table, &mut emit);
    table.flush(&mut emit);
    assert_eq!(reasons, [(EndReason::EndOfFlow, 2), (EndReason::ForcedEnd, 1)]);
}

#[test]
fn a_syn_reuses_the_ports_of_a_closed_flow() {
    let mut table = FlowTable::new(ample());
    let mut records = Vec::new();
    let mut emit = |record: FlowRecord| records.push(record);
    Sent::new(0, Side::Low, TODAY).flags(FIN | ACK).put_into(&mut table, &mut emit);
    Sent::new(0, Side::High, TODAY).flags(FIN | ACK).put_into(&mut table, &mut emit);
    Sent::new(0, Side::Low, TODAY).flags(ACK).put_into(&mut table, &mut emit);
    Sent::new(0, Side::High, TODAY + SECOND).flags(SYN).put_into(&mut table, &mut emit);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].end_reason, EndReason::EndOfFlow);
    assert_eq!((records[0].forward.packets, records[0].reverse.packets), (2, 1));
    assert_eq!(table.len(), 1);
    assert_balanced(&table);
}

#[test]
fn the_receiver_of_a_syn_ack_is_the_source() {
    let mut table = FlowTable::new(ample());
    let mut records = Vec::new();
    Sent::new(0, Side::High, TODAY).flags(SYN | ACK).put_into(&mut table, &mut |_| {});
    table.flush(&mut |record: FlowRecord| records.push(record));
    assert_eq!(records[0].source.port, 4000);
    assert_eq!(records[0].source.mac, MacAddress([2, 0, 0, 0, 0, 1]));
    assert_eq!((records[0].forward.packets, records[0].reverse.packets), (0, 1));
}

#[test]
fn a_timeout_is_noticed_within_two_ticks_wherever_time_starts() {
    for start in [0, 1, 7 * SECOND, TODAY, u64::MAX - HOUR] {
        let mut table = FlowTable::new(ample());
        let mut noticed = None;
        Sent::new(0, Side::Low, start).put_into(&mut table, &mut |_| {});
        for step in 0..2_000 {
            let now = start + step * 10 * MS;
            table.expire(Moment(now), 4, &mut |record: FlowRecord| {
                noticed = Some((now - start, record.end_reason));
            });
        }
        let (after, reason) = noticed.expect("20 s are more than the timeout");
        assert_eq!(reason, EndReason::IdleTimeout);
        assert!((15 * SECOND..15 * SECOND + 2 * TICK).contains(&after), "{after} ns from {start}");
    }
}

#[test]
fn an_active_timeout_is_noticed_within_two_ticks_though_the_flow_never_rests() {
    let mut table = FlowTable::new(ample());
    let mut noticed = Vec::new();
    for step in 0..13_000 {
        let after = step * 10 * MS;
        if step % 100 == 0 {
            // Only this conversation's packets would notice it themselves.
            Sent::new(0, Side::Low, TODAY + after).put_into(&mut table, &mut |_| noticed.push(after));
        }
        table.expire(Moment(TODAY + after), 4, &mut |_| noticed.push(after));
    }
    assert_eq!(noticed, [60 * SECOND, 120 * SECOND]);
}

#[test]
fn a_jump_of_hours_ends_every_flow_in_one_go() {
    for start in [0, TODAY] {
        let mut table = FlowTable::new(TableConfig { capacity: 2000, pressure: 2000, ..ample() });
        for conversation in 0..1000 {
            let time = start + u64::from(conversation) * 14 * MS;
            Sent::new(conversation, Side::Low, time).put_into(&mut table, &mut |_| {});
            if conversation % 3 == 0 {
                table.expire(Moment(start), 1, &mut |_| {});
            }
        }
        let mut records = 0;
        table.expire(Moment(start + 30 * HOUR), 4_000, &mut |record: FlowRecord| {
            records += 1;
            assert_eq!(record.end_reason, EndReason::IdleTimeout);
        });
        assert_eq!((records, table.len()), (1000, 0));
    }
}

#[test]
fn time_stamps_that_run_backwards_do_not_turn_the_wheel_back() {
    let mut table = FlowTable::new(ample());
    let mut records = Vec::new();
    Sent::new(0, Side::Low, TODAY).put_into(&mut table, &mut |record: FlowRecord| records.push(record));
    Sent::new(0, Side::Low, TODAY - HOUR)
        .put_into(&mut table, &mut |record: FlowRecord| records.push(record));
    Sent::new(1, Side::Low, TODAY - HOUR)
        .put_into(&mut table, &mut |record: FlowRecord| records.push(record));
    assert!(records.is_empty());
    table.expire(Moment(TODAY - HOUR), EVERYTHING, &mut |record: FlowRecord| records.push(record));
    table.expire(Moment(TODAY + SECOND), EVERYTHING, &mut |record: FlowRecord| records.push(record));
    let ended: Vec<u32> = records.iter().map(conversation_of).collect();
    assert_eq!(ended, [0, 1], "one by active timeout, one by idle timeout");
    assert_eq!((records[0].start_ns, records[0].end_ns), (TODAY - HOUR, TODAY));
}

#[test]
fn pressure_shortens_the_life_of_the_embryonic_only() {
    let config = TableConfig { capacity: 100, pressure: 10, ..ample() };
    let mut table = FlowTable::new(config);
    let mut ended = Vec::new();
    for conversation in 0..20 {
        Sent::new(conversation, Side::Low, TODAY).flags(SYN).put_into(&mut table, &mut |_| {});
    }
    for conversation in 0..5 {
        Sent::new(conversation, Side::High, TODAY).flags(SYN | ACK).put_into(&mut table, &mut |_| {});
    }
    let just_before = Moment(TODAY + SECOND - 1);
    table.expire(just_before, EVERYTHING, &mut |record: FlowRecord| ended.push(conversation_of(&record)));
    assert!(ended.is_empty());
    table.expire(Moment(TODAY + SECOND), 3, &mut |record: FlowRecord| ended.push(conversation_of(&record)));
    assert_eq!(ended, [5, 6, 7], "the oldest first, no more than the budget");
    table.expire(Moment(TODAY + SECOND), EVERYTHING, &mut |record: FlowRecord| {
        ended.push(conversation_of(&record));
    });
    assert_eq!(ended, Vec::from_iter(5..16), "until the pressure is gone");
    assert_eq!(table.len(), 9);
}

#[test]
fn what_a_table_occupies_is_what_was_predicted() {
    // Hot lines, connection, its events, cold lines, neighbours on the wheel, the free list; index words.
    let predicted = FlowTable::predicted_bytes(1 << 16);
    let parts = (1 << 16) * (128 + 192 + 320 + 192 + 8 + 4) + (1 << 17) * 8;
    assert!((parts..parts + 16 * 1024).contains(&predicted), "{predicted}");
}
