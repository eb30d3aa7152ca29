//! What the tests share: a batch, a client, an account that the mock knows.

use flate2::{Compression, write::GzEncoder};
use kflow::FlowRecord;
use kflow::codec::Encoder;
use kflow::device::DeviceColumns;
use kflow_delivery::{
    Batch, BatchName, Client, ContentEncoding, Credentials, EndpointId, HttpConfig, Identity, Outcome,
    ProxyConfig, Timeouts, TlsConfig, Token, Trouble,
};
use kflow_mock::{Device, Mock, MockConfig};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const FIRST: EndpointId = EndpointId(0);

/// A limit that is never reached unless the test fails.
pub const AMPLE: Duration = Duration::from_secs(20);
/// A limit that is reached by waiting for it.
pub const BRIEF: Duration = Duration::from_millis(150);

pub const NAME: BatchName<'static> = BatchName { sensor: "edge 1/a", epoch: 3, sequence: 9 };

/// The prefix and a packed message of so many records of the mock's device.
pub fn message(records: usize) -> Vec<u8> {
    let records = vec![FlowRecord::default(); records];
    let mut encoder = Encoder::for_device(&DeviceColumns::new(Device::default().id));
    let mut message = vec![0; 80];
    message.extend_from_slice(encoder.encode(&records).expect("default records can be encoded"));
    message
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

pub fn batch(body: &[u8]) -> Batch<'_> {
    Batch { body, encoding: ContentEncoding::Gzip, records: 3 }
}

pub fn credentials() -> Credentials {
    let mock = MockConfig::default();
    Credentials { email: mock.email, token: Token::new(&mock.token).expect("the mock's token is one") }
}

pub fn identity() -> Identity {
    let device = Device::default();
    Identity { company_id: device.company_id, device_name: device.name, device_id: device.id }
}

/// Direct connections, and limits that are not reached.
pub fn http() -> HttpConfig {
    HttpConfig {
        timeouts: Timeouts {
            resolve: AMPLE,
            connect: AMPLE,
            send: AMPLE,
            answer: AMPLE,
            body: AMPLE,
            whole: AMPLE,
            idle: AMPLE,
        },
        proxy: ProxyConfig::Direct,
        tls: TlsConfig::default(),
        user_agent: "test/1".into(),
    }
}

pub fn client(url: &str, http: &HttpConfig) -> Client {
    Client::new(&[url.to_owned()], &credentials(), http).expect("the configuration is good")
}

/// Sends three records to the first endpoint.
pub fn send(client: &Client) -> Outcome {
    send_by(client, FIRST)
}

/// Sends three records to an endpoint.
pub fn send_by(client: &Client, endpoint: EndpointId) -> Outcome {
    client.send(endpoint, &batch(&gzip(&message(3))), &identity(), Some(&NAME))
}

/// Sends to the mock by a new client.
pub fn send_to(mock: &Mock, http: &HttpConfig) -> Outcome {
    send(&client(&mock.flow_url(), http))
}

#[track_caller]
pub fn trouble(outcome: Outcome) -> Trouble {
    match outcome {
        Outcome::Failed(trouble) => trouble,
        Outcome::Delivered => panic!("it was delivered"),
    }
}

pub fn plain_mock() -> Mock {
    Mock::start(MockConfig::default()).expect("a port of the loopback is free")
}

/// A folder for a test's files, gone with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        Folder::new_in(&std::env::temp_dir(), name)
    }

    pub fn new_in(above: &Path, name: &str) -> Folder {
        let folder = above.join(format!("kflow-delivery-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
        Folder(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the folder for temporary files can be written to");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
