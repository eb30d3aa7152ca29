//! The project's own sender against the doors.

use crate::support::{EMAIL, INGEST, Server, eventually, settings};
use flowdb::columns::Catalog;
use flowdb::{DeviceId, NewDevice};
use kflow::FlowRecord;
use kflow::body::{BodyWriter, ContentEncoding};
use kflow::chf::Chf;
use kflow::codec::ChfEncoder;
use kflow_delivery::retry::RetryConfig;
use kflow_delivery::sender::{Columns, DeviceSource, FlowPack, Lookup, Sender, SenderConfig, SenderParts};
use kflow_delivery::{
    Batch, BatchName, Cause, Client, Creation, Credentials, DeviceApi, EndpointId, HttpConfig, Identity,
    Outcome, Remedy, Selector, Token,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn credentials(token: &str) -> Credentials {
    Credentials { email: EMAIL.to_owned(), token: Token::new(token).unwrap() }
}

fn api(server: &Server, token: &str) -> DeviceApi {
    let url = format!("http://{}/api/internal", server.http());
    DeviceApi::new(&url, &credentials(token), &HttpConfig::default()).unwrap()
}

/// The client blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_created_and_then_found_by_number_name_address_and_interface() {
    let server = Server::start(settings()).await;
    let api = api(&server, INGEST);
    let address = "192.0.2.7".parse().unwrap();
    let creation = Creation {
        name: "edge.example".to_owned(),
        address,
        plan_id: 1,
        site_id: None,
        description: "by the door".to_owned(),
        sample_rate: 16,
    };
    blocking(move || {
        let by_name = Selector::Name("edge.example".to_owned());
        let unknown = api.find(&by_name, None).unwrap_err();
        assert_eq!(unknown.remedy(), Remedy::LookUpDevice);
        let created = api.find(&by_name, Some(&creation)).unwrap();
        assert_eq!((created.name.as_str(), created.sample_rate, created.company_id), ("edge_example", 16, 1));
        assert_eq!(created.flow_rate_max, Some(100_000));
        let interface = Selector::Interface {
            name: "eth0".to_owned(),
            addresses: vec!["192.0.2.6".parse().unwrap(), "::ffff:192.0.2.7".parse().unwrap()],
        };
        for selector in [by_name, Selector::Id(created.id), Selector::Address(address), interface] {
            assert_eq!(api.find(&selector, Some(&creation)).unwrap(), created, "{selector}");
        }
        // Every column that there is a place for is offered.
        let offered: Vec<(u32, &str)> =
            created.columns.iter().map(|column| (column.id, column.name.as_str())).collect();
        let known: Vec<(u32, &str)> =
            Catalog::shared().customs().iter().map(|column| (column.id, column.name.as_str())).collect();
        assert_eq!(offered, known);
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_from_a_device_that_is_not_there() {
    let server = Server::start(settings()).await;
    let api = api(&server, "wrong");
    let trouble = blocking(move || api.find(&Selector::Id(1001), None).unwrap_err()).await;
    assert_ne!(trouble.remedy(), Remedy::LookUpDevice);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_devices_are_made_by_hand_senders_make_none() {
    let mut settings = settings();
    settings.devices.may_create = false;
    let server = Server::start(settings).await;
    let api = api(&server, INGEST);
    let creation = Creation {
        name: "edge".to_owned(),
        address: "192.0.2.7".parse().unwrap(),
        plan_id: 1,
        site_id: None,
        description: String::new(),
        sample_rate: 1,
    };
    blocking(move || api.find(&Selector::Name("edge".to_owned()), Some(&creation)).unwrap_err()).await;
    assert!(server.engine.devices().list().is_empty());
    server.stop().await;
}

fn client(server: &Server, token: &str) -> Client {
    Client::new(&[format!("http://{}/chf", server.http())], &credentials(token), &HttpConfig::default())
        .unwrap()
}

fn device(server: &Server, name: &str) -> DeviceId {
    server.engine.devices().create(NewDevice { name: name.to_owned(), ..NewDevice::default() }).unwrap().id
}

fn identity(DeviceId(device_id): DeviceId) -> Identity {
    Identity { company_id: 1, device_name: "edge".to_owned(), device_id }
}

fn flows(count: u32) -> Vec<Chf> {
    let flow = |number| Chf {
        timestamp_nano: flowdb::clock::now_ms() * 1_000_000,
        protocol: 6,
        ipv4_src_addr: 0x0A00_0000 + number,
        ipv4_dst_addr: 0xC000_0201,
        l4_dst_port: 443,
        in_bytes: 1000,
        in_pkts: 10,
        sample_rate: 1,
        ..Chf::default()
    };
    (0..count).map(flow).collect()
}

fn body(encoding: ContentEncoding, records: &[Chf]) -> Vec<u8> {
    BodyWriter::new(encoding).write(ChfEncoder::default().encode(records).unwrap()).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_once_however_often_it_is_sent() {
    let server = Server::start(settings()).await;
    let identity = identity(device(&server, "edge"));
    let client = client(&server, INGEST);
    blocking(move || {
        for encoding in [ContentEncoding::Gzip, ContentEncoding::Zstd, ContentEncoding::Identity] {
            let body = body(encoding, &flows(10));
            let batch = Batch { body: &body, encoding, records: 10 };
            let name = BatchName { sensor: "edge/1 ü", epoch: 3, sequence: encoding as u64 };
            for _ in 0..3 {
                let outcome = client.send(EndpointId(0), &batch, &identity, Some(&name));
                assert!(matches!(outcome, Outcome::Delivered), "{outcome:?}");
            }
        }
    })
    .await;
    let answer = server.ask("SELECT count(*) AS n, sum(in_bytes) AS bytes FROM edge").await.json();
    assert_eq!(answer["rows"][0]["n"], 30, "{answer}");
    assert_eq!(answer["report"]["open"], 1, "{answer}");
    let counters = server.doors.counters();
    let [taken, repeated, rows] = [&counters.ingest_taken, &counters.ingest_repeated, &counters.ingest_rows]
        .map(|count| count.load(Ordering::Relaxed));
    assert_eq!((taken, repeated, rows), (3, 6, 30));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_so_that_the_sender_knows_why() {
    let server = Server::start(settings()).await;
    let known = identity(device(&server, "edge"));
    let unknown = identity(DeviceId(4242));
    let (good, wrong) = (client(&server, INGEST), client(&server, "wrong"));
    blocking(move || {
        let gzip = body(ContentEncoding::Gzip, &flows(1));
        let of_gzip = Batch { body: &gzip, encoding: ContentEncoding::Gzip, records: 1 };
        let cut = Batch { body: &gzip[..gzip.len() / 2], ..of_gzip };
        for (client, batch, identity, status) in
            [(&good, of_gzip, &unknown, 404), (&good, cut, &known, 400), (&wrong, of_gzip, &known, 401)]
        {
            match client.send(EndpointId(0), &batch, identity, None) {
                Outcome::Failed(trouble) => assert!(
                    matches!(trouble.cause, Cause::Status(found) if found == status)
                        && !trouble.text.is_empty(),
                    "{status}: {trouble:?}"
                ),
                outcome @ Outcome::Delivered => panic!("{status}: {outcome:?}"),
            }
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_of_the_sensor_finds_its_device_and_delivers() {
    let server = Server::start(settings()).await;
    let (api, client) = (api(&server, INGEST), client(&server, INGEST));
    let creation = Creation {
        name: "edge.example".to_owned(),
        address: "192.0.2.7".parse().unwrap(),
        plan_id: 1,
        site_id: None,
        description: String::new(),
        sample_rate: 1,
    };
    let lookup = Lookup {
        api,
        selector: Selector::Name("edge.example".to_owned()),
        creation: Some(creation),
        memory: None,
        known: None,
    };
    let sender = blocking(move || {
        let config = SenderConfig {
            interval: Duration::from_millis(20),
            retry: RetryConfig::default(),
            ..SenderConfig::default()
        };
        let pack = FlowPack::new(Columns::OfDevice, ContentEncoding::Gzip);
        Sender::start(SenderParts {
            config,
            pack,
            client,
            device: DeviceSource::Api(Box::new(lookup)),
            spool: None,
        })
        .unwrap()
    })
    .await;
    let record = |number: u32| {
        let mut record = FlowRecord { protocol: 17, ..FlowRecord::default() };
        record.source.address = std::net::IpAddr::from((0x0A00_0000 + number).to_be_bytes());
        record.forward.packets = 2;
        record.forward.bytes = 100;
        record
    };
    sender.push((0..500).map(record));
    let watch = sender.watch().clone();
    eventually("all are delivered", || watch.counters.delivered.read() == 500).await;
    blocking(move || assert!(sender.stop(Duration::from_secs(30)))).await;
    let answer = server.ask("SELECT count(*) AS n FROM edge_example").await.json();
    assert_eq!(answer["rows"][0]["n"], 500, "{answer}");
    server.stop().await;
}
