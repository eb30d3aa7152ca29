//! What one packet costs one core: decoding, updating its flow, and both, with the frames already in memory.
//!
//! Frames lie packed in a buffer larger than the caches, sizes and protocols mixed; every flow has the same share
//! of them, in random order, which is the worst case for the caches. They are worked off as a worker does it: in
//! bursts, decode all, look all up, update all, expire a few.
//!
//! Beside it, in the same run, the same frames go through the plain way to do it in Rust: etherparse and a
//! `HashMap` from the std library. Times are CPU times, each the median of the runs; `ratio` is value by reference
//! value.
//! Out: a JSON array on stdout, a table on stderr. Instructions are counted by callgrind where it is installed.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use kflow::FlowRecord;
use sensor_ebpf::hash::HashKey;
use sensor_user::{
    clock::Moment,
    flow::{Amount, FlowTable, Observation, TableConfig},
    packet::{self, Packet},
    source::{BURST_FRAMES_MAX, Frame},
};
use serde::Serialize;
use std::{collections::HashMap, hint::black_box, net::IpAddr, process::Command, time::Duration};
use traffic::frame::{
    Ethernet, Tag,
    ip::{Ip, Ipv4, Ipv6},
    transport::{Icmp, Tcp, Transport, Udp, tcp_flags},
};

const RUNS: usize = 7;
const FLOWS_EXPIRED_PER_BURST: usize = 8;
/// Virtual time between two packets: 10 million packets a second.
const PACKET_GAP_NS: u64 = 100;
const START: Moment = Moment(1_767_225_600_000_000_000);
const HASH_KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, work, passes] = &arguments[..]
        && verb == "--count"
    {
        let work = Work::ALL.into_iter().find(|known| known.name() == work).expect("a work of this program");
        return count(work, passes.parse().expect("a number of passes"));
    }
    let mut figures = Vec::new();
    for (flows, goal_ns) in [(10_000, 100.0), (1_000_000, 200.0)] {
        figures.extend(measure(flows, goal_ns));
    }
    figures.extend(instructions());
    print_table(&figures);
    println!("{}", serde_json::to_string_pretty(&figures).expect("figures are plain data"));
}

#[derive(Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    reference: Option<&'static str>,
    reference_value: Option<f64>,
    ratio: Option<f64>,
    goal: Option<f64>,
    met: Option<bool>,
}

impl Figure {
    fn new(name: String, value: f64, unit: &'static str) -> Figure {
        let (reference, reference_value, ratio, goal, met) = (None, None, None, None, None);
        Figure { name, value, unit, reference, reference_value, ratio, goal, met }
    }

    fn against(self, reference: &'static str, reference_value: f64) -> Figure {
        let ratio = Some(self.value / reference_value);
        Figure { reference: Some(reference), reference_value: Some(reference_value), ratio, ..self }
    }

    fn at_most(self, goal: f64) -> Figure {
        Figure { goal: Some(goal), met: Some(self.value <= goal), ..self }
    }
}

fn print_table(figures: &[Figure]) {
    eprintln!(
        "{:<44} {:>9} {:>9} {:>6} {:>7}  {:<26} reference",
        "", "value", "reference", "ratio", "goal", "unit"
    );
    for figure in figures {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        let verdict = match figure.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        eprintln!(
            "{:<44} {:>9.2} {:>9} {:>6} {:>7}  {:<26} {} {verdict}",
            figure.name,
            figure.value,
            number(figure.reference_value),
            number(figure.ratio),
            number(figure.goal),
            figure.unit,
            figure.reference.unwrap_or(""),
        );
    }
}

// Time and allocations.

fn measure(flows: usize, goal_ns: f64) -> Vec<Figure> {
    eprintln!("building frames of {flows} flows");
    let capture = Capture::new(flows, (2 * flows).max(1 << 18));
    let mut bench = Bench::new(&capture);
    let mut figures = Vec::new();
    for (work, reference) in Work::PAIRS {
        bench.pass(work);
        bench.pass(reference);
        let (mut times, mut reference_times, mut allocations) = (Vec::new(), Vec::new(), 0);
        for _ in 0..RUNS {
            let before = allocator::allocations();
            let time = bench.timed_pass(work);
            allocations += allocator::allocations() - before;
            times.push(time);
            reference_times.push(bench.timed_pass(reference));
        }
        let name = |what: &str| format!("{} {what}, {flows} flows", work.name());
        let time = Figure::new(name("time"), median(times), "ns/packet")
            .against(reference.name(), median(reference_times));
        let per_packet = allocations as f64 / (RUNS * capture.descriptors.len()) as f64;
        let allocated = Figure::new(name("allocations"), per_packet, "allocations/packet");
        let has_goal = work == Work::Both;
        figures.push(if has_goal { time.at_most(goal_ns) } else { time });
        figures.push(allocated.at_most(0.0));
    }
    figures
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One of the things that are measured, over all frames of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Decode,
    Flow,
    Both,
    PlainDecode,
    PlainFlow,
    PlainBoth,
}

impl Work {
    const ALL: [Work; 6] =
        [Work::Decode, Work::Flow, Work::Both, Work::PlainDecode, Work::PlainFlow, Work::PlainBoth];
    const PAIRS: [(Work, Work); 3] =
        [(Work::Decode, Work::PlainDecode), (Work::Flow, Work::PlainFlow), (Work::Both, Work::PlainBoth)];

    const fn name(self) -> &'static str {
        match self {
            Work::Decode => "decode",
            Work::Flow => "flow",
            Work::Both => "decode+flow",
            Work::PlainDecode => "etherparse",
            Work::PlainFlow => "HashMap",
            Work::PlainBoth => "etherparse+HashMap",
        }
    }
}

/// Everything that a pass over a capture needs, made before the clock starts.
struct Bench<'a> {
    capture: &'a Capture,
    now: Moment,
    table: FlowTable,
    /// Records on their way out; recycled when full.
    records: Vec<FlowRecord>,
    prepared: Vec<Prepared>,
    /// The whole capture decoded, for flow updates alone.
    prepared_capture: Vec<Prepared>,
    plain: HashMap<PlainKey, PlainFlow>,
    plain_capture: Vec<(PlainPacket, u32)>,
}

/// A decoded packet and which frame of the burst it came in.
#[derive(Clone)]
struct Prepared {
    packet: Packet,
    hash: u64,
    frame: usize,
}

impl Prepared {
    const EMPTY: Prepared = Prepared { packet: Packet::EMPTY, hash: 0, frame: 0 };
}

impl<'a> Bench<'a> {
    fn new(capture: &'a Capture) -> Bench<'a> {
        let timeout = Duration::from_secs(3600);
        let capacity = capture.flows.next_power_of_two();
        let table = FlowTable::new(TableConfig {
            capacity,
            idle_timeout: timeout,
            active_timeout: timeout,
            close_linger: timeout,
            embryonic_timeout: timeout,
            pressure: capacity,
            sample_rate: 1,
        });
        let frames = || capture.descriptors.iter().map(|descriptor| capture.frame(*descriptor, START));
        Bench {
            capture,
            now: START,
            table,
            records: Vec::with_capacity(1024),
            prepared: vec![Prepared::EMPTY; BURST_FRAMES_MAX],
            prepared_capture: frames().filter_map(|frame| prepared_alone(&frame)).collect(),
            plain: HashMap::with_capacity(capacity),
            plain_capture: frames()
                .filter_map(|frame| Some((plain_decode(frame.bytes)?, frame.wire_bytes)))
                .collect(),
        }
    }

    fn timed_pass(&mut self, work: Work) -> f64 {
        let start_ns = cpu_time::now_ns();
        self.pass(work);
        (cpu_time::now_ns() - start_ns) as f64 / self.capture.descriptors.len() as f64
    }

    fn pass(&mut self, work: Work) {
        match work {
            Work::Decode => self.decode_pass(),
            Work::Flow => self.flow_pass(),
            Work::Both => self.both_pass(),
            Work::PlainDecode => self.plain_decode_pass(),
            Work::PlainFlow => self.plain_flow_pass(),
            Work::PlainBoth => self.plain_both_pass(),
        }
    }

    fn decode_pass(&mut self) {
        for burst in self.capture.descriptors.chunks(BURST_FRAMES_MAX) {
            self.now.0 += PACKET_GAP_NS * burst.len() as u64;
            let frames = receive(self.capture, burst, self.now);
            prepare_burst(&frames[..burst.len()], &mut self.prepared, |_| {});
            black_box(&self.prepared);
        }
    }

    fn flow_pass(&mut self) {
        let frames = [Frame { time: self.now, ..Frame::EMPTY }; BURST_FRAMES_MAX];
        for burst in self.prepared_capture.chunks(BURST_FRAMES_MAX) {
            self.now.0 += PACKET_GAP_NS * burst.len() as u64;
            for prepared in burst {
                self.table.prefetch_index(prepared.hash);
            }
            update_burst(&mut self.table, &frames, burst, self.now, &mut self.records);
        }
    }

    fn both_pass(&mut self) {
        for burst in self.capture.descriptors.chunks(BURST_FRAMES_MAX) {
            self.now.0 += PACKET_GAP_NS * burst.len() as u64;
            let frames = receive(self.capture, burst, self.now);
            let frames = &frames[..burst.len()];
            let count = prepare_burst(frames, &mut self.prepared, |hash| self.table.prefetch_index(hash));
            update_burst(&mut self.table, frames, &self.prepared[..count], self.now, &mut self.records);
        }
    }

    fn plain_decode_pass(&mut self) {
        for descriptor in &self.capture.descriptors {
            black_box(plain_decode(self.capture.frame(*descriptor, START).bytes));
        }
    }

    fn plain_flow_pass(&mut self) {
        for (packet, wire_bytes) in &self.plain_capture {
            self.now.0 += PACKET_GAP_NS;
            plain_update(&mut self.plain, packet, *wire_bytes, self.now);
        }
    }

    fn plain_both_pass(&mut self) {
        for descriptor in &self.capture.descriptors {
            self.now.0 += PACKET_GAP_NS;
            let frame = self.capture.frame(*descriptor, self.now);
            if let Some(packet) = plain_decode(frame.bytes) {
                plain_update(&mut self.plain, &packet, frame.wire_bytes, self.now);
            }
        }
    }
}

#[inline(always)]
fn receive<'a>(capture: &'a Capture, burst: &[Descriptor], now: Moment) -> [Frame<'a>; BURST_FRAMES_MAX] {
    let mut frames = [Frame::EMPTY; BURST_FRAMES_MAX];
    for (frame, descriptor) in frames.iter_mut().zip(burst) {
        *frame = capture.frame(*descriptor, now);
        packet::prefetch(frame);
    }
    frames
}

/// How many frames of the burst belong to flows.
#[inline(always)]
fn prepare_burst(frames: &[Frame<'_>], prepared: &mut [Prepared], prefetch: impl Fn(u64)) -> usize {
    let mut count = 0;
    for (index, frame) in frames.iter().enumerate() {
        let Prepared { packet, hash, frame: frame_index } = &mut prepared[count];
        if packet::decode_into(frame, packet).is_ok() {
            *hash = packet.key.hash(HASH_KEY);
            *frame_index = index;
            prefetch(*hash);
            count += 1;
        }
    }
    count
}

fn prepared_alone(frame: &Frame<'_>) -> Option<Prepared> {
    let mut prepared = [Prepared::EMPTY];
    let count = prepare_burst(std::slice::from_ref(frame), &mut prepared, |_| {});
    let [prepared] = prepared;
    (count == 1).then_some(prepared)
}

#[inline(always)]
fn update_burst(
    table: &mut FlowTable,
    frames: &[Frame<'_>],
    burst: &[Prepared],
    now: Moment,
    records: &mut Vec<FlowRecord>,
) {
    for prepared in burst {
        table.prefetch_flow(prepared.hash);
    }
    let mut emit = |record| {
        if records.len() == records.capacity() {
            records.clear();
        }
        records.push(record);
    };
    for prepared in burst {
        let frame = &frames[prepared.frame];
        let observation = Observation {
            packet: &prepared.packet,
            hash: prepared.hash,
            frame,
            amount: Amount::one(&prepared.packet, frame),
            time: now,
        };
        table.observe(&observation, &mut emit);
    }
    table.expire(now, FLOWS_EXPIRED_PER_BURST, &mut emit);
}

// The plain way.

/// Addresses and ports, the lower end first, and the protocol.
type PlainKey = ([(IpAddr, u16); 2], u8);

struct PlainPacket {
    key: PlainKey,
    direction: usize,
    bytes: u64,
    tcp_flags: u8,
}

#[derive(Default)]
struct PlainFlow {
    last: Moment,
    packets: [u64; 2],
    bytes: [u64; 2],
    frame_bytes: [u64; 2],
    tcp_flags: [u8; 2],
}

fn plain_decode(bytes: &[u8]) -> Option<PlainPacket> {
    let sliced = SlicedPacket::from_ethernet(bytes).ok()?;
    let (source, destination, protocol, bytes) = match sliced.net? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            (IpAddr::V4(source), IpAddr::V4(destination), header.protocol().0, u64::from(header.total_len()))
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            let bytes = u64::from(header.payload_length()) + 40;
            (IpAddr::V6(source), IpAddr::V6(destination), ip.payload().ip_number.0, bytes)
        }
        NetSlice::Arp(_) => return None,
    };
    let (source_port, destination_port, tcp_flags) = match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port(), tcp.slice()[13]),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port(), 0),
        _ => (0, 0, 0),
    };
    let (source, destination) = ((source, source_port), (destination, destination_port));
    let direction = usize::from(source > destination);
    let ends = if direction == 0 { [source, destination] } else { [destination, source] };
    Some(PlainPacket { key: (ends, protocol), direction, bytes, tcp_flags })
}

fn plain_update(
    flows: &mut HashMap<PlainKey, PlainFlow>,
    packet: &PlainPacket,
    wire_bytes: u32,
    now: Moment,
) {
    let flow = flows.entry(packet.key).or_default();
    flow.last = now;
    flow.packets[packet.direction] += 1;
    flow.bytes[packet.direction] += packet.bytes;
    flow.frame_bytes[packet.direction] += u64::from(wire_bytes);
    flow.tcp_flags[packet.direction] |= packet.tcp_flags;
}

// Frames.

/// Where a frame lies in the buffer.
#[derive(Clone, Copy)]
struct Descriptor {
    offset: u64,
    length: u32,
}

/// Frames one behind the other, each flow with the same number of them, in random order.
struct Capture {
    flows: usize,
    buffer: Vec<u8>,
    descriptors: Vec<Descriptor>,
}

impl Capture {
    fn new(flows: usize, frames: usize) -> Capture {
        let mut random = Random(7);
        let mut order: Vec<usize> = (0..frames).collect();
        for n in (1..frames).rev() {
            order.swap(n, random.below(n + 1));
        }
        let (mut buffer, mut descriptors) = (Vec::new(), Vec::with_capacity(frames));
        for n in order {
            let bytes = build_frame((n % flows) as u32, n / flows % 2 == 1, &mut random);
            descriptors.push(Descriptor { offset: buffer.len() as u64, length: bytes.len() as u32 });
            buffer.extend_from_slice(&bytes);
        }
        Capture { flows, buffer, descriptors }
    }

    #[inline(always)]
    fn frame(&self, Descriptor { offset, length }: Descriptor, time: Moment) -> Frame<'_> {
        let bytes = &self.buffer[offset as usize..offset as usize + length as usize];
        Frame { bytes, wire_bytes: length, time, ..Frame::EMPTY }
    }
}

/// A packet of a flow: a sixth IPv6, a tenth tagged, TCP, UDP and a little ICMP; small, middle and full frames.
fn build_frame(flow: u32, is_answer: bool, random: &mut Random) -> Vec<u8> {
    let tags = if flow.is_multiple_of(10) { vec![Tag::vlan(100)] } else { Vec::new() };
    let ethernet = Ethernet { tags, ..Ethernet::default() };
    let ip = if flow.is_multiple_of(6) {
        let low = 0x2001_0db8_0000_0000_0000_0000_0000_0000_u128 + u128::from(flow);
        Ip::V6(Ipv6::between(std::net::Ipv6Addr::from(low), std::net::Ipv6Addr::from(low | 1 << 64)))
    } else {
        Ip::V4(Ipv4::between((0x0a00_0000 + flow).to_be_bytes(), (0xac10_0000 + flow / 16).to_be_bytes()))
    };
    let client_port = 1024 + (flow % 60_000) as u16;
    let ends = |server_port| if is_answer { (server_port, client_port) } else { (client_port, server_port) };
    let transport = match flow % 20 {
        0 if flow.is_multiple_of(6) => Transport::Icmpv6(Icmp::echo_request_v6(1, 1)),
        0 => Transport::Icmp(Icmp::echo_request(1, 1)),
        1..=5 => {
            let (source_port, destination_port) = ends(53);
            Transport::Udp(Udp { source_port, destination_port })
        }
        _ => {
            let (source_port, destination_port) = ends(443);
            let (flags, window) = (tcp_flags::ACK, 1000);
            let (sequence, acknowledgement, options) = (1, 1, vec![1; 12]);
            Transport::Tcp(Tcp {
                source_port,
                destination_port,
                sequence,
                acknowledgement,
                flags,
                window,
                options,
            })
        }
    };
    // About the simple Internet mix: 7 small, 4 of 576, 1 full.
    let payload_bytes = match random.below(12) {
        0..=6 => 0,
        7..=10 => 520,
        _ => 1400,
    };
    let ip = if is_answer { ip.reversed() } else { ip };
    ethernet.carry(&ip.packet(&transport, &[0; 1400][..payload_bytes]))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * bound as u128) >> 64) as usize
    }
}

// Instructions.

const COUNTED_FLOWS: usize = 4_096;
const COUNTED_FRAMES: usize = 16_384;

/// What runs under callgrind: the same preparation for any number of passes.
fn count(work: Work, passes: usize) {
    let capture = Capture::new(COUNTED_FLOWS, COUNTED_FRAMES);
    let mut bench = Bench::new(&capture);
    bench.pass(work);
    for _ in 0..passes {
        bench.pass(work);
    }
}

/// Instructions per packet: the difference between two runs of this program, which leaves only the passes.
fn instructions() -> Vec<Figure> {
    let per_packet = |work: Work| {
        let [once, twice] = [1, 2].map(|passes| collected(work, passes));
        Some((twice? - once?) as f64 / COUNTED_FRAMES as f64)
    };
    let figure = |(work, reference): (Work, Work)| {
        let value = per_packet(work)?;
        let name = format!("{} instructions, {COUNTED_FLOWS} flows", work.name());
        Some(
            Figure::new(name, value, "instructions/packet").against(reference.name(), per_packet(reference)?),
        )
    };
    let figures: Vec<Figure> = Work::PAIRS.into_iter().filter_map(figure).collect();
    if figures.is_empty() {
        eprintln!("instructions are not counted: valgrind is not installed or cannot run this program");
    }
    figures
}

fn collected(work: Work, passes: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--count", work.name(), &passes.to_string()])
        .output()
        .ok()?;
    let stderr = String::from_utf8(output.stderr).ok()?;
    let line = stderr.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Time on the CPU, which other programs on the machine do not add to.
mod cpu_time {
    #![expect(unsafe_code, reason = "the standard library does not know CPU time")]

    pub fn now_ns() -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` outlives the call, which writes nothing but it.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(result, 0, "every Linux has this clock");
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
    }
}

/// Counts what the measured loops allocate.
mod allocator {
    #![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;
    static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

    pub fn allocations() -> u64 {
        ALLOCATIONS.load(Ordering::Relaxed)
    }

    // SAFETY: every call goes to the system's allocator with the arguments it came with.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the caller's promise about `layout` is the one needed here.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the pointer came from `alloc` above, that is from the system's allocator.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}
