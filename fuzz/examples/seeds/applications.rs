//! Seeds of the targets whose names begin with `app_`: conversations of the generator, whole and on ports that hint at
//! nothing, and for QUIC and HTTP/2, which it does not speak, its hellos in sealed packets and one request.

use crate::{INPUT_BYTES_MAX, Seeds};
use sensor_app::{
    Sender, Transport,
    quic::sealer::{CLIENT_HELLO, SERVER_HELLO, Sealer, crypto, hex},
};
use std::io;
use traffic::{
    message::{Carrier, Line, Protocol, Script},
    mix::Side,
};
use wireflow_fuzz::applications::{setup, write};

const SCRIPTS_PER_PROTOCOL: u64 = 12;

/// Versions 1 and 2, and the last draft that was deployed widely.
const QUIC_VERSIONS: [u32; 3] = [1, 0x6b33_43cf, 0xff00_001d];

/// The preface, settings, and a GET of `/` whose headers are all in the static table (RFC 9113 §3.4, RFC 7541
/// appendix A); settings and a status of 200.
const HTTP_2: [(Sender, &[u8]); 2] = [
    (
        Sender::Source,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86",
    ),
    (Sender::Destination, b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88"),
];

pub fn write_applications(seeds: &Seeds) -> io::Result<()> {
    for (target, protocol) in [
        ("app_dhcp", Protocol::Dhcp),
        ("app_dhcpv6", Protocol::Dhcpv6),
        ("app_dns", Protocol::Dns),
        ("app_http", Protocol::Http),
        ("app_mysql", Protocol::MySql),
        ("app_ntp", Protocol::Ntp),
        ("app_postgresql", Protocol::PostgreSql),
        ("app_radius", Protocol::Radius),
        ("app_sip", Protocol::Sip),
        ("app_snmp", Protocol::Snmp),
        ("app_ssh", Protocol::Ssh),
        ("app_tls", Protocol::Tls),
    ] {
        for seed in 0..SCRIPTS_PER_PROTOCOL {
            let script = Script::new(protocol, seed);
            let carrier = if script.carrier == Carrier::Tcp { setup::TCP } else { 0 };
            let ports = if seed % 4 == 3 { setup::OTHER_PORTS } else { 0 };
            let limits = if seed % 6 == 5 { setup::TINY } else { 0 };
            let messages = beginning(&script.lines);
            seeds.write(target, &seed.to_string(), &write(carrier | ports | limits, &messages))?;
        }
    }
    seeds.write("app_http", "version-2", &write(setup::TCP, &HTTP_2))?;
    write_dns_samples(seeds)?;
    write_quic(seeds)
}

/// As much of a conversation as an input is to have.
fn beginning(lines: &[Line]) -> Vec<(Sender, &[u8])> {
    let mut room = INPUT_BYTES_MAX;
    let messages = lines.iter().map(|line| {
        let bytes = &line.bytes[..line.bytes.len().min(room)];
        room -= bytes.len();
        let sender = if line.speaker == Side::Client { Sender::Source } else { Sender::Destination };
        (sender, bytes)
    });
    messages.take_while(|(_, bytes)| !bytes.is_empty()).collect()
}

fn write_quic(seeds: &Seeds) -> io::Result<()> {
    // The record around a hello is none of QUIC's.
    const RECORD_HEADER_BYTES: usize = 5;
    let drawn = (0..SCRIPTS_PER_PROTOCOL).map(|seed| {
        let hello = &Script::new(Protocol::Tls, seed).lines[0].bytes[RECORD_HEADER_BYTES..];
        hello.to_vec()
    });
    let hellos: Vec<Vec<u8>> = [hex(CLIENT_HELLO)].into_iter().chain(drawn).collect();
    for version in QUIC_VERSIONS {
        let answer = Sealer::server(version).seal_padded(&crypto(0, &hex(SERVER_HELLO)));
        for (n, hello) in hellos.iter().enumerate() {
            // In two packets, the second one first where it is long.
            let (front, back) = hello.split_at(hello.len().min(1_000));
            let client = Sealer::client(version);
            let first = client.seal_padded(&crypto(0, front));
            let second =
                Sealer { number: client.number + 1, ..client }.seal_padded(&crypto(front.len(), back));
            let messages = match back {
                [] => vec![(Sender::Source, &first[..]), (Sender::Destination, &answer)],
                _ => vec![
                    (Sender::Source, &second[..]),
                    (Sender::Source, &first),
                    (Sender::Destination, &answer),
                ],
            };
            seeds.write("app_quic", &format!("{version:x}-{n}"), &write(0, &messages))?;
        }
    }
    Ok(())
}

/// Conversations of the parser's own tests.
fn write_dns_samples(seeds: &Seeds) -> io::Result<()> {
    for (index, (transport, messages)) in sensor_app::dns::build::conversations().into_iter().enumerate() {
        let bits = if transport == Transport::Tcp { setup::TCP } else { 0 };
        let messages: Vec<_> = messages.iter().map(|(sender, bytes)| (*sender, &bytes[..])).collect();
        seeds.write("app_dns", &format!("sample-{index}"), &write(bits, &messages))?;
    }
    Ok(())
}
