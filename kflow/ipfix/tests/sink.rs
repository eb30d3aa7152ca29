//! Collectors that are away, come late, leave or do not read: what arrives is what is counted as sent.

mod support;

use kflow::{FlowRecord, Sink};
use kflow_ipfix::{IpfixConfig, IpfixCounters, IpfixSink, Transport};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;
use support::decoder::Decoder;
use support::records::told;

const BATCH_RECORDS: usize = 200;

fn config(collector: SocketAddr, transport: Transport) -> IpfixConfig {
    IpfixConfig {
        transport,
        block_max: Duration::from_millis(30),
        reconnect: (Duration::ZERO, Duration::ZERO),
        ..IpfixConfig::new(collector)
    }
}

fn batches(count: u64) -> impl Iterator<Item = Vec<FlowRecord>> {
    (0..count).map(|number| support::with_applications(number, support::flows(number + 1, BATCH_RECORDS)))
}

/// Flows that these messages tell of, each once.
fn flows(messages: &[Vec<u8>], decoder: &mut Decoder) -> u64 {
    let mut flows = 0;
    for message in messages {
        let decoded = decoder.decode(message);
        let all =
            decoded.records.iter().filter_map(|data| told(data, &decoded, kflow_ipfix::EXAMPLE_ENTERPRISE));
        // The way back is told behind the way there, of the same flow.
        flows += all.filter(|told| !told.is_reverse).count() as u64;
    }
    flows
}

fn assert_all_are_counted(counters: &IpfixCounters, written: u64) {
    let [sent, failed, left_out] =
        [&counters.records_sent, &counters.records_failed, &counters.records_left_out]
            .map(|count| count.read());
    assert_eq!(sent + failed + left_out, written, "{counters:?}");
}

/// A port at which nobody listens.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap()
}

#[test]
fn datagrams_to_nobody_are_counted_as_failed_to_the_last_one() {
    let mut sink = IpfixSink::open(config(free_port(), Transport::Udp)).unwrap();
    let failures = batches(5).filter(|batch| sink.write(batch).is_err()).count();
    assert_eq!(failures, 5);
    // Of the last message it is known only afterwards; if it has but a part of a record that failed, it is no news.
    let _ = sink.flush();
    assert_eq!(sink.counters().records_failed.read(), 5 * BATCH_RECORDS as u64);
    assert_all_are_counted(&sink.counters(), 5 * BATCH_RECORDS as u64);
    assert!(sink.flush().is_ok(), "a failure is told once");
    assert!(sink.close().is_ok());
}

#[test]
fn a_collector_that_comes_late_reads_what_is_sent_from_then_on() {
    let address = free_port();
    let mut sink = IpfixSink::open(config(address, Transport::Udp)).unwrap();
    for batch in batches(3) {
        assert!(sink.write(&batch).is_err());
    }
    let _ = sink.flush();
    assert_eq!(sink.counters().records_failed.read(), 3 * BATCH_RECORDS as u64);
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut decoder = Decoder::of_lossy();
    let mut arrived = 0;
    for batch in batches(20) {
        sink.write(&batch).unwrap();
        arrived += flows(&datagrams(&socket), &mut decoder);
    }
    sink.close().unwrap();
    assert_eq!(arrived, 20 * BATCH_RECORDS as u64);
    assert_eq!(sink.counters().records_sent.read(), arrived);
    assert_all_are_counted(&sink.counters(), 23 * BATCH_RECORDS as u64);
}

/// What waits at the socket.
fn datagrams(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => messages.push(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return messages,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_connection_carries_every_record_and_its_templates_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let reader = thread::spawn(move || messages(&mut listener.accept().unwrap().0));
    let config = IpfixConfig { block_max: Duration::from_secs(60), ..config(address, Transport::Tcp) };
    let mut sink = IpfixSink::open(config).unwrap();
    for batch in batches(20) {
        sink.write(&batch).unwrap();
        sink.flush().unwrap();
    }
    sink.close().unwrap();
    let messages = reader.join().unwrap();
    assert_eq!(flows(&messages, &mut Decoder::default()), 20 * BATCH_RECORDS as u64);
    assert_eq!(sink.counters().records_sent.read(), 20 * BATCH_RECORDS as u64);
    assert_eq!(sink.counters().connects.read(), 1);
    assert!(messages.iter().any(|message| message.len() > 30_000), "messages are large");
}

/// Whole messages until the connection ends, and no part of one.
fn messages(stream: &mut TcpStream) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let mut rest = &bytes[..];
    let mut messages = Vec::new();
    while rest.len() >= 4 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some((message, behind)) = rest.split_at_checked(length) else { break };
        messages.push(message.to_vec());
        rest = behind;
    }
    assert!(ended.is_err() || rest.is_empty(), "a part of a message at the end of a whole connection");
    messages
}

#[test]
fn a_new_connection_begins_with_templates_and_counts_from_zero() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut sink = IpfixSink::open(config(listener.local_addr().unwrap(), Transport::Tcp)).unwrap();
    const FEW: usize = 50;
    for (number, batch) in batches(4).enumerate() {
        sink.write(&batch[..FEW]).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        // All of them, in one message; then the collector leaves.
        let message = first_message(&mut stream);
        assert_eq!(flows(&[message], &mut Decoder::default()), FEW as u64);
        drop(stream);
        assert_eq!(sink.counters().connects.read(), number as u64 + 1);
    }
    assert_eq!(sink.counters().disconnects.read(), 3);
    assert_eq!(sink.counters().records_sent.read(), 4 * FEW as u64);
    assert_eq!(sink.counters().records_failed.read(), 0);
}

fn first_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut message = head.to_vec();
    message.resize(usize::from(u16::from_be_bytes([head[2], head[3]])), 0);
    stream.read_exact(&mut message[4..]).unwrap();
    message
}

/// More than the buffers of both ends of a connection.
const MANY_BATCHES: u64 = 2_000;

#[test]
fn of_a_peer_that_does_not_read_exactly_what_is_not_counted_as_sent_is_missing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut sink = IpfixSink::open(config(listener.local_addr().unwrap(), Transport::Tcp)).unwrap();
    let mut written = 0;
    let mut failures = 0;
    let batch = batches(1).next().unwrap();
    while failures < 3 {
        assert!(written < MANY_BATCHES * BATCH_RECORDS as u64, "the peer reads nothing, and nothing fails");
        failures += u64::from(sink.write(&batch).is_err());
        written += BATCH_RECORDS as u64;
    }
    assert!(sink.counters().records_failed.read() > 0);
    assert_all_are_counted(&sink.counters(), written);
    // Now it reads: the rest of the message that was begun, and what is sent from here on.
    let (mut stream, _) = listener.accept().unwrap();
    let reader = thread::spawn(move || messages(&mut stream));
    while sink.write(&batch).is_err() {
        written += BATCH_RECORDS as u64;
        thread::yield_now();
    }
    written += BATCH_RECORDS as u64;
    sink.close().unwrap();
    let mut decoder = Decoder::of_lossy();
    let arrived = flows(&reader.join().unwrap(), &mut decoder);
    let counters = sink.counters();
    assert_all_are_counted(&counters, written);
    assert_eq!(arrived, counters.records_sent.read());
    assert!(decoder.missing > 0, "the collector sees that something is missing");
    assert_eq!(counters.connects.read(), 1);
}

#[test]
fn what_a_broken_connection_held_back_is_taken_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config =
        IpfixConfig { stall_max: Duration::ZERO, ..config(listener.local_addr().unwrap(), Transport::Tcp) };
    let mut sink = IpfixSink::open(config).unwrap();
    let batch = batches(1).next().unwrap();
    let mut written = 0;
    while sink.counters().disconnects.read() == 0 {
        assert!(written < MANY_BATCHES * BATCH_RECORDS as u64, "a peer that reads nothing is left");
        let _ = sink.write(&batch);
        written += BATCH_RECORDS as u64;
    }
    // What the peer's end of the first connection has is what is counted, and what the second one brought.
    let mut arrived = flows(&messages(&mut listener.accept().unwrap().0), &mut Decoder::of_lossy());
    let second = thread::spawn(move || messages(&mut listener.accept().unwrap().0));
    sink.close().unwrap();
    arrived += flows(&second.join().unwrap(), &mut Decoder::of_lossy());
    let counters = sink.counters();
    assert_all_are_counted(&counters, written);
    assert_eq!(arrived, counters.records_sent.read(), "{counters:?}");
    assert!(counters.records_failed.read() > 0);
}

#[test]
fn connections_are_tried_now_and_then_only() {
    let config = IpfixConfig {
        reconnect: (Duration::from_secs(3_600), Duration::from_secs(3_600)),
        ..config(free_port(), Transport::Tcp)
    };
    let mut sink = IpfixSink::open(config).unwrap();
    for batch in batches(10) {
        assert!(sink.write(&batch).is_err());
        sink.advance(1_795_000_000_000_000_000).unwrap();
    }
    let counters = sink.counters();
    assert_eq!(counters.connects_failed.read(), 1);
    assert_eq!(counters.records_failed.read(), 10 * BATCH_RECORDS as u64);
}
