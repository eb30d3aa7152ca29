//! In the steady state records become messages and JSON lines without allocating.

#![expect(unsafe_code, reason = "counting allocations takes an allocator, whose trait is unsafe")]

use kflow::application::{Draft, protocols::dns};
use kflow::body::{BodyWriter, ContentEncoding};
use kflow::codec::{ChfEncoder, Encoder};
use kflow::sink::JsonSink;
use kflow::{AppProtocol, Chf, Custom, CustomValue, DeviceColumns, FlowRecord, Sink};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;

struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn count_allocations(body: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// Every other one has an application.
fn records() -> Vec<FlowRecord> {
    let mut draft = Draft::new(100);
    let records = (0..1000u64).map(|index| {
        draft.begin(AppProtocol::Dns);
        draft.text(dns::QUERY, b"www.example.org");
        draft.number(dns::ID, index);
        let application = (index % 2 == 0).then(|| draft.to_application(Some(7)));
        let app_protocol = application.as_ref().map(|application| application.protocol());
        FlowRecord { start_ns: index, end_ns: index, app_protocol, application, ..FlowRecord::default() }
    });
    records.collect()
}

#[test]
fn what_goes_to_a_device_allocates_for_its_first_batch_only() {
    let records = records();
    let mut device = DeviceColumns::new(1);
    device.add(2880, "APP_PROTOCOL", "uint32");
    device.add(2887, "STR00", "string");
    device.add(8, "APPL_LATENCY_MS", "uint32");
    for encoding in [ContentEncoding::Identity, ContentEncoding::Gzip] {
        let mut encoder = Encoder::for_device(&device);
        let mut writer = BodyWriter::new(encoding);
        let mut send = |records: &[FlowRecord]| {
            count_allocations(|| _ = writer.write(encoder.encode_thinned(records, 250).unwrap()))
        };
        assert_ne!(send(&records), 0);
        assert_eq!(send(&records), 0);
        assert_eq!(send(&records[..10]), 0);
    }
}

#[test]
fn an_encoder_of_all_fields_allocates_for_its_first_batch_only() {
    let custom = Custom { id: 7, is_dimension: false, value: CustomValue::Text("example.org".to_owned()) };
    let record = Chf { flow_tags: "a tag".to_owned(), custom: vec![custom; 3], ..Chf::default() };
    let records = vec![record; 1000];
    let mut encoder = ChfEncoder::new();
    assert_ne!(count_allocations(|| assert!(encoder.encode(&records).is_ok())), 0);
    assert_eq!(count_allocations(|| assert!(encoder.encode(&records).is_ok())), 0);
}

#[test]
fn an_encoder_allocates_for_its_first_batch_only() {
    let records = records();
    let mut encoder = Encoder::new();
    assert_ne!(count_allocations(|| assert!(encoder.encode(&records).is_ok())), 0);
    assert_eq!(count_allocations(|| assert!(encoder.encode(&records).is_ok())), 0);
    assert_eq!(count_allocations(|| assert!(encoder.encode(&records[..10]).is_ok())), 0);
}

#[test]
fn a_json_sink_allocates_for_its_first_batch_only() {
    let records = records();
    let mut sink = JsonSink::new(io::sink());
    assert_ne!(count_allocations(|| assert!(sink.write(&records).is_ok())), 0);
    assert_eq!(count_allocations(|| assert!(sink.write(&records).is_ok())), 0);
}
