//! A sender against a receiver that is strict, away, slow, or says no: every record is accounted for.

use crate::support::{AMPLE, Folder, credentials, http, plain_mock};
use kflow::{FlowRecord, chf::Chf};
use kflow_delivery::{
    Client, Clock, ContentEncoding, DeviceApi, RetryConfig, Selector,
    device::Device,
    sender::{ChfPack, Columns, DeviceSource, FlowPack, Lookup, Pack, Sender, SenderConfig, SenderParts},
};
use kflow_mock::{Behaviour, Mock, Received, Route};
use kflow_spool::{
    Reason,
    fs::{Fs, RealFs, model::ModelFs},
    open,
};
use std::{collections::BTreeSet, net::IpAddr, path::Path, sync::Arc, time::Duration};

/// So small that tests of waiting do not wait.
fn config() -> SenderConfig {
    SenderConfig {
        interval: Duration::from_millis(20),
        batch_records: 100,
        retry: RetryConfig {
            delay_min: Duration::from_millis(5),
            delay_max: Duration::from_millis(20),
            refused_delay: Duration::from_millis(20),
            ..RetryConfig::default()
        },
        ..SenderConfig::default()
    }
}

/// The device that the mock knows, with another rate.
fn device(flow_rate_max: Option<u32>) -> DeviceSource {
    DeviceSource::Fixed(Device {
        id: 42,
        company_id: 7,
        name: "sensor_example".into(),
        sample_rate: 1,
        flow_rate_max,
        columns: Vec::new(),
    })
}

fn start(
    mock: &Mock,
    config: SenderConfig,
    device: DeviceSource,
    spool: Option<&Path>,
) -> Sender<FlowRecord> {
    let disk = spool
        .map(|folder| Arc::new(RealFs::create(folder).expect("the folder can be opened")) as Arc<dyn Fs>);
    start_on(mock, config, device, disk)
}

fn start_on(
    mock: &Mock,
    config: SenderConfig,
    device: DeviceSource,
    disk: Option<Arc<dyn Fs>>,
) -> Sender<FlowRecord> {
    let spool = disk.map(|disk| {
        let config = kflow_spool::Config {
            bytes_max: 1 << 20,
            segment_bytes: 64 << 10,
            disk_free_min: 0,
            ..kflow_spool::Config::default()
        };
        let (writer, reader, _) = open(disk, config).expect("the spool opens");
        (writer, reader)
    });
    Sender::start(SenderParts {
        config,
        pack: FlowPack::new(Columns::OfDevice, ContentEncoding::Gzip),
        client: Client::new(&[mock.flow_url()], &credentials(), &http()).expect("the configuration is good"),
        device,
        spool,
    })
    .expect("threads can be started")
}

/// A record of flow `number`, one packet and one byte for each.
fn record(number: u32) -> FlowRecord {
    let mut record = FlowRecord { protocol: 17, ..FlowRecord::default() };
    record.source.address = IpAddr::from(number.to_be_bytes());
    record.source.port = 1024;
    record.forward.packets = 1;
    record
}

/// Waits for what others do; no test passes because time went by.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::start();
    let start = clock.now();
    while !holds() {
        assert!(clock.now().since(start) < AMPLE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The batches that the receiver took: of each that was sent several times the last.
fn taken(mock: &Mock) -> Vec<Received> {
    let requests = mock.requests();
    let is_last = |index: usize| {
        let name = name_of(&requests[index]);
        requests[index + 1..].iter().all(|later| name_of(later) != name)
    };
    (0..requests.len()).filter(|index| is_last(*index)).map(|index| requests[index].clone()).collect()
}

fn name_of(request: &Received) -> String {
    request.header("x-kflow-batch").concat()
}

fn flows_of(request: &Received) -> Vec<Chf> {
    request.records.clone().expect("it is a flow message")
}

/// The flows that the receiver took, and the sum of their packets times their sample rate.
fn received(mock: &Mock) -> (Vec<u32>, f64) {
    let flows: Vec<Chf> = taken(mock).iter().flat_map(flows_of).collect();
    let rate = |chf: &Chf| chf.sample_rate_hundredths() as f64 / 100.0;
    let packets = flows.iter().map(|chf| chf.in_pkts as f64 * rate(chf)).sum();
    (flows.iter().map(|chf| chf.ipv4_src_addr).collect(), packets)
}

/// What was offered is what became of it; nothing is left on the way in memory.
#[track_caller]
fn check_account(sender_counters: &kflow_delivery::sender::Counters) {
    let c = sender_counters;
    assert_eq!((c.in_window.read(), c.in_memory.read()), (0, 0), "{c:?}");
    let fates = [&c.thinned, &c.unpackable, &c.delivered, &c.rejected, &c.abandoned];
    assert_eq!(c.offered.read(), fates.map(|fate| fate.read()).iter().sum::<u64>(), "{c:?}");
}

#[test]
fn records_of_many_threads_arrive_once_each() {
    let mock = plain_mock();
    let sender = start(&mock, config(), device(None), None);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sender = &sender;
            scope.spawn(move || {
                for number in 0..500 {
                    sender.push([record(thread * 500 + number)]);
                }
            });
        }
    });
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE), "everything goes in time");
    let (mut flows, packets) = received(&mock);
    flows.sort_unstable();
    assert_eq!(flows, (0..2000).collect::<Vec<_>>());
    assert_eq!(packets, 2000.0);
    assert_eq!(mock.faults(), Vec::<String>::new());
    check_account(&counters);
}

#[test]
fn receiver_that_is_away_loses_nothing_while_there_is_room() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::status(503));
    let sender = start(&mock, config(), device(None), None);
    for number in 0..1000 {
        sender.push([record(number)]);
    }
    wait_until("attempts have failed", || sender.watch().counters.attempts_failed.read() > 3);
    assert_eq!(sender.watch().counters.delivered.read(), 0);
    mock.usually(Route::Flow, Behaviour::Honest);
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE));
    // In the order in which they were pushed.
    assert_eq!(received(&mock), ((0..1000).collect(), 1000.0));
    check_account(&counters);
}

#[test]
fn full_memory_thins_flows_and_sums_stay_right() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::status(503));
    let config = SenderConfig { memory_bytes: 1, window_records: 1000, ..config() };
    let sender = start(&mock, config, device(None), None);
    // One batch fits the memory, one is in the packer's hands; the rest waits in the window.
    sender.push((0..200).map(record));
    wait_until("a batch waits in memory", || sender.watch().counters.in_memory.read() > 0);
    sender.push((200..20_000).map(record));
    assert!(sender.watch().counters.thinned.read() > 15_000);
    mock.usually(Route::Flow, Behaviour::Honest);
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE));
    check_account(&counters);
    let (flows, packets) = received(&mock);
    assert!(flows.len() < 1500, "{}", flows.len());
    // One seed; the mean over many is tested with the window.
    assert!((packets / 20_000.0 - 1.0).abs() < 0.15, "{packets}");
}

#[test]
fn rate_of_the_device_is_kept() {
    let mock = plain_mock();
    let sender = start(&mock, config(), device(Some(5000)), None);
    wait_until("the device is known", || {
        sender.push((0..10_000).map(record));
        sender.watch().counters.delivered.read() > 0
    });
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE));
    check_account(&counters);
    // 20 ms at 5000 records a second.
    let largest = mock.requests().iter().map(|request| flows_of(request).len()).max();
    assert!(largest <= Some(100), "{largest:?}");
    assert!(counters.thinned.read() > 9_000);
}

#[test]
fn spool_keeps_records_over_a_stop_and_batches_keep_their_names() {
    let folder = Folder::new("spool-stop");
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::status(503));
    let sender = start(&mock, config(), device(None), Some(folder.path()));
    sender.push((0..300).map(record));
    wait_until("an attempt has failed", || sender.watch().counters.attempts_failed.read() > 0);
    let counters = sender.watch().counters.clone();
    assert!(!sender.stop(Duration::ZERO), "something is left");
    assert_eq!((counters.abandoned.read(), counters.delivered.read()), (0, 0));

    mock.usually(Route::Flow, Behaviour::Honest);
    let sender = start(&mock, config(), device(None), Some(folder.path()));
    sender.push((300..400).map(record));
    assert!(sender.stop(AMPLE));
    assert_eq!(received(&mock), ((0..400).collect(), 400.0));
    let names: Vec<String> = mock.requests().iter().map(name_of).collect();
    let sequences: BTreeSet<&String> = names.iter().collect();
    assert_eq!(sequences.len(), taken(&mock).len());
    assert!(names.len() > sequences.len(), "a batch has the same name when it is sent again: {names:?}");
}

#[test]
fn disk_that_refuses_holds_up_no_more_than_what_it_has() {
    let mock = plain_mock();
    let disk = ModelFs::default();
    let sender = start_on(&mock, config(), device(None), Some(Arc::new(disk.clone())));
    sender.push((0..100).map(record));
    wait_until("the first batch is delivered", || sender.watch().counters.delivered.read() == 100);
    disk.set_read_only(true);
    sender.push((100..200).map(record));
    wait_until("the disk has refused", || sender.watch().counters.spool_failures.read() > 0);
    sender.push((200..300).map(record));
    wait_until("later batches go past it", || sender.watch().counters.delivered.read() == 200);
    assert_eq!(sender.watch().waiting(), 100, "what the disk has is told");
    disk.set_read_only(false);
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE), "the disk works again");
    let (mut flows, packets) = received(&mock);
    flows.sort_unstable();
    assert_eq!((flows, packets), ((0..300).collect(), 300.0));
    check_account(&counters);
}

#[test]
fn device_that_was_created_anew_is_looked_up_before_the_batch_goes_again() {
    let mock = plain_mock();
    let lookup = Lookup {
        api: DeviceApi::new(&mock.api_url(), &credentials(), &http()).expect("the configuration is good"),
        selector: Selector::Name("sensor_example".into()),
        creation: None,
        memory: None,
        known: None,
    };
    let sender = start(&mock, config(), DeviceSource::Api(Box::new(lookup)), None);
    sender.push((0..10).map(record));
    wait_until("the first batch is delivered", || sender.watch().counters.delivered.read() == 10);
    mock.change_devices(|devices| devices[0].id = 43);
    sender.push((10..20).map(record));
    let counters = sender.watch().counters.clone();
    // Packed for the device of before: the strict receiver does not take it as that of the new one.
    wait_until("the fate of the second is known", || counters.rejected.read() == 10);
    assert_eq!(counters.attempts_failed.read(), 1, "one attempt told that the device is unknown");
    assert!(sender.stop(AMPLE));
}

#[test]
fn batch_that_is_refused_for_good_is_counted_and_the_next_goes() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::status(400)]);
    let sender = start(&mock, SenderConfig { batch_records: 10, ..config() }, device(None), None);
    sender.push((0..20).map(record));
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE));
    assert_eq!((counters.rejected.read(), counters.delivered.read()), (10, 10));
    check_account(&counters);
}

/// Makes a message larger than what two systems keep of a stream that nobody reads.
struct Bulk(Vec<u8>);

impl Pack for Bulk {
    type Record = FlowRecord;

    fn set_device(&mut self, _: &Device) {}

    fn pack(&mut self, _: &mut [FlowRecord], _: u32) -> Result<&[u8], kflow::Error> {
        Ok(&self.0)
    }

    fn encoding(&self) -> ContentEncoding {
        ContentEncoding::Identity
    }
}

#[test]
fn a_success_for_a_batch_that_was_not_read_counts_as_failed_and_the_batch_goes_again() {
    let mock = plain_mock();
    mock.script(Route::Flow, [Behaviour::EarlyAnswer { status: 200 }, Behaviour::status(200)]);
    let sender = Sender::start(SenderParts {
        config: config(),
        pack: Bulk(vec![0x5a; 32 << 20]),
        client: Client::new(&[mock.flow_url()], &credentials(), &http()).expect("the configuration is good"),
        device: device(None),
        spool: None,
    })
    .expect("threads can be started");
    sender.push([record(0)]);
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE));
    let lengths: Vec<usize> = mock.requests().iter().map(|request| request.body.len()).collect();
    assert_eq!(lengths, [0, 32 << 20]);
    assert_eq!((counters.attempts_failed.read(), counters.batches_delivered.read()), (1, 1));
    check_account(&counters);
}

/// Beyond the cap the oldest go, and the account says how many, to the record.
#[test]
fn what_a_capped_spool_drops_while_the_receiver_is_away_is_what_never_arrives() {
    let folder = Folder::new("cap");
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::status(503));
    let sender = start(&mock, config(), device(None), Some(folder.path()));
    let spool = sender.watch().spool.clone().expect("there is a spool");
    let mut pushed = 0;
    while spool.read().dropped(Reason::Cap).records < 5_000 {
        // In the pace of the packer: nothing is to be thinned.
        wait_until("the window is packed", || sender.watch().counters.in_window.read() < 1_000);
        sender.push((pushed..pushed + 500).map(record));
        pushed += 500;
    }
    mock.usually(Route::Flow, Behaviour::Honest);
    let counters = sender.watch().counters.clone();
    assert!(sender.stop(AMPLE), "what is left goes when the receiver is back");
    let (mut flows, _) = received(&mock);
    flows.sort_unstable();
    let count = flows.len();
    flows.dedup();
    assert_eq!(flows.len(), count, "a record arrived twice");
    let stats = spool.read();
    let dropped = stats.dropped_for_any_reason().records;
    assert_eq!(dropped, stats.dropped(Reason::Cap).records);
    assert_eq!(dropped, u64::from(pushed) - count as u64, "{stats:?} {counters:?}");
    assert_eq!((counters.delivered.read(), counters.thinned.read()), (count as u64, 0));
    assert_eq!(stats.waiting, kflow_spool::Tally::default());
}

#[test]
fn what_cannot_be_sent_before_the_end_is_counted() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::status(500));
    let sender = start(&mock, config(), device(None), None);
    sender.push((0..250).map(record));
    let counters = sender.watch().counters.clone();
    assert!(!sender.stop(Duration::from_millis(50)));
    assert_eq!(counters.abandoned.read(), 250);
    check_account(&counters);
}

#[test]
fn end_does_not_wait_for_a_receiver_that_says_nothing() {
    let mock = plain_mock();
    mock.usually(Route::Flow, Behaviour::Stall);
    let sender = start(&mock, config(), device(None), None);
    sender.push((0..10).map(record));
    assert_eq!(mock.wait_for_requests(1, AMPLE).len(), 1);
    let counters = sender.watch().counters.clone();
    let clock = Clock::start();
    let start = clock.now();
    assert!(!sender.stop(Duration::from_millis(50)));
    assert!(clock.now().since(start) < AMPLE / 2, "the time limit of the answer is longer");
    assert_eq!(counters.abandoned.read(), 10);
    check_account(&counters);
}

#[test]
fn records_of_the_schema_are_sent_with_the_scaled_rate_and_the_devices_id() {
    let mock = plain_mock();
    let client = Client::new(&[mock.flow_url()], &credentials(), &http()).expect("the configuration is good");
    let sender = Sender::start(SenderParts {
        config: config(),
        pack: ChfPack::new(ContentEncoding::Gzip),
        client,
        device: device(None),
        spool: None,
    })
    .expect("threads can be started");
    let [plain, scaled] = [(7, false), (150, true)].map(|(sample_rate, sample_adj)| Chf {
        sample_rate,
        sample_adj,
        ..Chf::default()
    });
    sender.push([plain, scaled]);
    assert!(sender.stop(AMPLE));
    let requests = mock.requests();
    let flows: Vec<Chf> = requests.iter().flat_map(flows_of).collect();
    let seen = flows.iter().map(|chf| (chf.device_id, chf.sample_rate, chf.sample_adj));
    assert_eq!(seen.collect::<Vec<_>>(), [(42, 700, true), (42, 150, true)]);
    assert_eq!(mock.faults(), Vec::<String>::new());
}
