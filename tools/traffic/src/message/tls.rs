//! TLS of versions 1.2 and 1.3: hellos, certificate, and bytes that nobody can read (RFC 5246, RFC 8446).

use super::bytes::Bytes;
use super::certificate::certificate;
use super::words::{host, joined, word};
use super::{Said, Script};
use crate::mix::Side;
use crate::mix::random::Random;

const TLS_1_0: u16 = 0x0301;
const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// Kinds of records.
mod record_kind {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// Messages of the handshake.
mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    pub const SERVER_HELLO_DONE: u8 = 14;
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
}

mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const GROUPS: u16 = 10;
    pub const POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const PADDING: u16 = 21;
    pub const VERSIONS: u16 = 43;
    pub const KEY_SHARE: u16 = 51;
}

const HANDSHAKE_FAILURE: u8 = 40;
const FATAL: u8 = 2;
/// Elliptic curve Diffie-Hellman over Curve25519 (RFC 7748).
const X25519: u16 = 29;
const CIPHERS_1_3: [u16; 3] = [0x1301, 0x1302, 0x1303];
const CIPHERS_1_2: [u16; 5] = [0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA8];
/// A number that nobody understands, so that servers learn to pass over it (RFC 8701).
const GREASE: u16 = 0x2A2A;
/// RSASSA-PSS with SHA-256.
const RSA_PSS: u16 = 0x0804;

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::tcp(443);
    let hello = Hello::draw(random);
    script.client(handshakes(TLS_1_0, &hello.bytes(random)));
    let mut said = hello.said();
    if random.one_in(12) {
        script.server(record(record_kind::ALERT, TLS_1_2, [FATAL, HANDSHAKE_FAILURE]));
        said.set("tls_alert", HANDSHAKE_FAILURE);
        // An alert is no hello.
        script.said.push(said);
        return script;
    }
    let cipher = if hello.is_1_3 { CIPHERS_1_3[random.index(3)] } else { CIPHERS_1_2[random.index(5)] };
    said.set("tls_cipher", cipher);
    if hello.is_1_3 {
        said.set("tls_version", TLS_1_3);
        script.server(server_hello(cipher, &[key_share(random), version(TLS_1_3)], random));
        script.lines.last_mut().expect("it was just pushed").bytes.extend(change_and(2_500, random));
        script.client(change_and(80, random));
    } else {
        said.set("tls_version", TLS_1_2);
        full_handshake(&mut script, &hello, cipher, &mut said, random);
    }
    script.said.push(Said { is_answered: true, ..said });
    converse(&mut script, random);
    script
}

/// What is sent once keys are there: five to sixty segments' worth.
fn converse(script: &mut Script, random: &mut Random) {
    let mut segments = random.between(5, 60);
    while segments > 0 {
        let of_client = random.one_in(3);
        let some = random.between(1, if of_client { 2 } else { 12 }).min(segments);
        segments -= some;
        let speaker = if of_client { Side::Client } else { Side::Server };
        script.line(speaker, encrypted(some * random.between(200, 1_350), random));
    }
}

struct Hello {
    server_name: Option<String>,
    protocols: Vec<&'static str>,
    ciphers: Vec<u16>,
    is_1_3: bool,
    /// Post-quantum keys and padding make some hellos longer than a segment.
    padding_bytes: u64,
}

impl Hello {
    fn draw(random: &mut Random) -> Hello {
        let is_1_3 = random.one_in(2);
        let mut ciphers = Vec::new();
        if random.one_in(2) {
            ciphers.push(GREASE);
        }
        if is_1_3 {
            ciphers.extend(CIPHERS_1_3);
        }
        ciphers.extend(CIPHERS_1_2);
        let protocols = [&["h2", "http/1.1"][..], &["http/1.1"], &[]][random.index(3)].to_vec();
        let padding_bytes =
            if random.one_in(4) { random.between(1_000, 4_000) } else { random.between(0, 200) };
        let server_name = (!random.one_in(10)).then(|| host(random));
        Hello { server_name, protocols, ciphers, is_1_3, padding_bytes }
    }

    fn said(&self) -> Said {
        let mut said = Said::of("tls")
            .with("tls_client_version", TLS_1_2)
            .with("tls_client_ciphers", joined(&self.ciphers, "-"));
        if let Some(name) = &self.server_name {
            said.set("tls_server_name", name);
        }
        if !self.protocols.is_empty() {
            said.set("tls_alpn", self.protocols.join(","));
        }
        if self.is_1_3 {
            said.set("tls_client_versions", joined(&[TLS_1_3, TLS_1_2], "-"));
        }
        said
    }

    fn bytes(&self, random: &mut Random) -> Bytes {
        let numbers = |numbers: &[u16]| numbers.iter().fold(Bytes::new(), |bytes, number| bytes.u16(*number));
        let mut extensions = Bytes::new();
        if let Some(name) = &self.server_name {
            let list = Bytes::new().sized16(Bytes::new().u8(0).sized16(name));
            extensions = extensions.u16(extension::SERVER_NAME).sized16(list);
        }
        if !self.protocols.is_empty() {
            extensions = extensions.put(alpn(&self.protocols));
        }
        extensions = extensions
            .u16(extension::GROUPS)
            .sized16(Bytes::new().sized16(numbers(&[X25519, 23, 24])))
            .u16(extension::POINT_FORMATS)
            .sized16([1, 0])
            .u16(extension::SIGNATURE_ALGORITHMS)
            .sized16(Bytes::new().sized16(numbers(&[0x0403, RSA_PSS, 0x0401])));
        if self.is_1_3 {
            let share = Bytes::new().u16(X25519).sized16(random.bytes(32));
            extensions = extensions
                .u16(extension::VERSIONS)
                .sized16(Bytes::new().sized8(numbers(&[TLS_1_3, TLS_1_2])))
                .u16(extension::KEY_SHARE)
                .sized16(Bytes::new().sized16(share));
        }
        extensions =
            extensions.u16(extension::PADDING).sized16(Bytes::new().zeros(self.padding_bytes as usize));
        let head = Bytes::new().u16(TLS_1_2).put(random.bytes(32)).sized8(random.bytes(32));
        let hello = head.sized16(numbers(&self.ciphers)).sized8([0]).sized16(extensions);
        message(handshake::CLIENT_HELLO, hello)
    }
}

fn alpn(protocols: &[&str]) -> Bytes {
    let list = protocols.iter().fold(Bytes::new(), Bytes::sized8);
    Bytes::new().u16(extension::ALPN).sized16(Bytes::new().sized16(list))
}

fn key_share(random: &mut Random) -> Bytes {
    let share = Bytes::new().u16(X25519).sized16(random.bytes(32));
    Bytes::new().u16(extension::KEY_SHARE).sized16(share)
}

fn version(number: u16) -> Bytes {
    Bytes::new().u16(extension::VERSIONS).sized16(number.to_be_bytes())
}

fn server_hello_message(cipher: u16, extensions: &[Bytes], random: &mut Random) -> Bytes {
    let extensions = extensions.iter().fold(Bytes::new(), Bytes::put);
    let head = Bytes::new().u16(TLS_1_2).put(random.bytes(32)).sized8(random.bytes(32));
    message(handshake::SERVER_HELLO, head.u16(cipher).u8(0).sized16(extensions))
}

fn server_hello(cipher: u16, extensions: &[Bytes], random: &mut Random) -> Bytes {
    handshakes(TLS_1_2, &server_hello_message(cipher, extensions, random))
}

/// Version 1.2 with a certificate that everybody can read.
fn full_handshake(script: &mut Script, hello: &Hello, cipher: u16, said: &mut Said, random: &mut Random) {
    let name = hello.server_name.clone().unwrap_or_else(|| host(random));
    let mut names = vec![name];
    names.extend((0..random.between(0, 12)).map(|_| host(random)));
    let issuer = word(random);
    let selected = hello.protocols.first();
    let extensions: Vec<Bytes> = selected.map(|protocol| alpn(&[protocol])).into_iter().collect();
    let certificates = Bytes::new().sized24(Bytes::new().sized24(certificate(&issuer, &names, random)));
    // A named curve, the public key, and its signature.
    let exchange =
        Bytes::new().u8(3).u16(X25519).sized8(random.bytes(32)).u16(RSA_PSS).sized16(random.bytes(256));
    let flight = server_hello_message(cipher, &extensions, random)
        .put(message(handshake::CERTIFICATE, certificates))
        .put(message(handshake::SERVER_KEY_EXCHANGE, exchange))
        .put(message(handshake::SERVER_HELLO_DONE, []));
    script.server(handshakes(TLS_1_2, &flight));
    said.set("tls_certificate_names", names.join(";"));
    said.set("tls_certificate_issuer", issuer);
    if let Some(protocol) = selected {
        said.set("tls_selected_alpn", protocol);
    }
    let exchange = message(handshake::CLIENT_KEY_EXCHANGE, Bytes::new().sized8(random.bytes(32)));
    let finished = |random: &mut Random| {
        record(record_kind::CHANGE_CIPHER_SPEC, TLS_1_2, [1]).put(record(
            record_kind::HANDSHAKE,
            TLS_1_2,
            random.bytes(40),
        ))
    };
    script.client(handshakes(TLS_1_2, &exchange).put(finished(random)));
    script.server(finished(random));
}

/// What follows a hello of version 1.3, for the sake of what stands in between (RFC 8446 appendix D.4).
fn change_and(bytes: u64, random: &mut Random) -> Vec<u8> {
    let change = record(record_kind::CHANGE_CIPHER_SPEC, TLS_1_2, [1]);
    change.put(encrypted(bytes, random)).done()
}

/// In records of up to 16 KiB.
fn encrypted(bytes: u64, random: &mut Random) -> Bytes {
    let content = random.bytes(bytes as usize);
    let records = content.chunks(16_384).map(|part| record(record_kind::APPLICATION_DATA, TLS_1_2, part));
    records.fold(Bytes::new(), Bytes::put)
}

fn message(kind: u8, body: impl AsRef<[u8]>) -> Bytes {
    Bytes::new().u8(kind).sized24(body)
}

/// Messages of the handshake in one record.
fn handshakes(version: u16, messages: &Bytes) -> Bytes {
    record(record_kind::HANDSHAKE, version, messages)
}

fn record(kind: u8, version: u16, content: impl AsRef<[u8]>) -> Bytes {
    Bytes::new().u8(kind).u16(version).sized16(content)
}
