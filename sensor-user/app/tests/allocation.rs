//! A payload that completes nothing allocates nothing, once the pools have grown to what is under way.
#![expect(unsafe_code, reason = "an allocator that counts")]

use kflow::{AppProtocol, Endpoint, FlowRecord};
use sensor_app::{Inspector, Limits, Payload, Privacy, Sender, Transport};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all calls go on to the system's allocator as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const DNS_QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";
const DNS_ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01\
    \xC0\x0C\0\x01\0\x01\0\0\x01\x2C\0\x04\xC0\0\x02\x09";
const REQUEST: &[u8] =
    b"GET /index.html?a=b HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: agent/1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4000\r\n\r\n";
const IDENTIFICATION: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

/// A payload, and whether what is said then may leave the inspector.
type Message = (Sender, Vec<u8>, bool);

/// One conversation of each kind, by transport and port.
fn conversations() -> Vec<(Transport, u16, Vec<Message>)> {
    let split = |bytes: &[u8], at: usize| (bytes[..at].to_vec(), bytes[at..].to_vec());
    let (head, tail) = split(REQUEST, 30);
    let (answer_head, answer_tail) = split(ANSWER, 20);
    let body = || (Sender::Destination, vec![b'x'; 1000], false);
    vec![
        (
            Transport::Udp,
            53,
            vec![
                (Sender::Source, DNS_QUERY.to_vec(), false),
                (Sender::Destination, DNS_ANSWER.to_vec(), true),
            ],
        ),
        (
            Transport::Tcp,
            80,
            vec![
                (Sender::Source, head, false),
                (Sender::Source, tail, false),
                (Sender::Destination, answer_head, false),
                // The head is whole, and the transaction complete with the last byte of the body.
                (Sender::Destination, answer_tail, true),
                body(),
                body(),
                body(),
                (Sender::Destination, vec![b'x'; 1000], true),
            ],
        ),
        (
            Transport::Tcp,
            22,
            vec![
                (Sender::Destination, IDENTIFICATION.to_vec(), false),
                (Sender::Source, IDENTIFICATION.to_vec(), true),
                (Sender::Source, vec![7; 900], false),
            ],
        ),
        // No parser knows these.
        (Transport::Tcp, 9, vec![(Sender::Source, vec![0xA5; 1200], false); 20]),
        (Transport::Udp, 9, vec![(Sender::Source, vec![0xA5; 600], false); 20]),
    ]
}

#[test]
fn what_completes_no_transaction_allocates_nothing() {
    let limits = Limits { flows: 8, parsers: 8, drafts: 16, buffers: 8, ..Limits::default() };
    let mut inspector = Inspector::new(limits, Privacy::default());
    let mut measured = 0;
    for round in 0..3 {
        for (slot, (transport, port, messages)) in conversations().into_iter().enumerate() {
            let mut sequences = [1_u32; 2];
            for (index, (sender, bytes, may_complete)) in messages.iter().enumerate() {
                let ports = [40_000, port];
                let payload = Payload {
                    slot: slot as u32,
                    is_fresh: index == 0,
                    transport,
                    sender: *sender,
                    sender_port: ports[sender.index()],
                    receiver_port: ports[sender.other().index()],
                    bytes,
                    wire_bytes: bytes.len() as u32,
                    sequence: sequences[sender.index()],
                    start: (transport == Transport::Tcp).then_some(1),
                    acknowledged: None,
                    time_ns: 1_000_000 * (index as u64 + 1),
                };
                sequences[sender.index()] += bytes.len() as u32;
                let before = ALLOCATIONS.get();
                inspector.inspect(&payload, &mut |_| {});
                let allocations = ALLOCATIONS.get() - before;
                // The pools grow in the first round.
                if round > 0 && !may_complete {
                    assert_eq!(allocations, 0, "port {port}, message {index}");
                    measured += 1;
                }
            }
            let record = FlowRecord {
                destination: Endpoint { port, ..Endpoint::default() },
                end_ns: 1_000_000_000,
                ..FlowRecord::default()
            };
            inspector.annotate(slot as u32, true, &record, &mut |_| {});
        }
    }
    assert_eq!(measured, 2 * (1 + 6 + 2 + 40));
    let counts = inspector.counts();
    assert_eq!(counts.read(AppProtocol::Dns).transactions, 3);
    assert_eq!(counts.read(AppProtocol::Http).transactions, 3);
    assert_eq!(counts.read(AppProtocol::Ssh).transactions, 3);
    assert_eq!(inspector.in_use(), [0; 3]);
}
