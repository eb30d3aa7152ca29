//! What protocols begin with, by the side and on the port where it is usual.

use super::super::Kind;
use crate::parser::{Sender, Transport};
use Sender::{Destination, Source};
use Transport::{Tcp, Udp};

/// First bytes of one side.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    /// Whose they are; `None` if there is no parser for them.
    pub kind: Option<Kind>,
    pub transport: Transport,
    pub sender: Sender,
    /// Of the side that serves.
    pub port: u16,
    pub bytes: Vec<u8>,
}

type Row = (&'static str, Transport, Sender, u16, Vec<u8>);

pub fn all() -> Vec<Sample> {
    let known = [
        (Kind::Dns, dns()),
        (Kind::Http, http()),
        (Kind::Ssh, ssh()),
        (Kind::Dhcp, dhcp()),
        (Kind::Dhcpv6, dhcpv6()),
        (Kind::Radius, radius()),
        (Kind::Ntp, ntp()),
        (Kind::PostgreSql, postgresql()),
        (Kind::MySql, mysql()),
        (Kind::Sip, sip()),
        (Kind::Tls, tls()),
        (Kind::Snmp, snmp()),
        (Kind::Quic, quic()),
    ];
    let known = known.into_iter().flat_map(|(kind, rows)| rows.into_iter().map(move |row| (Some(kind), row)));
    let unknown = [text_of_others(), bytes_of_others(), datagrams_of_others()].concat();
    let rows = known.chain(unknown.into_iter().map(|row| (None, row)));
    let sample = |(kind, (name, transport, sender, port, bytes))| Sample {
        name,
        kind,
        transport,
        sender,
        port,
        bytes,
    };
    rows.map(sample).collect()
}

/// A header, and a question for the address of `www.example`.
fn dns_message(id: u16, flags: u16, answers: &[u8]) -> Vec<u8> {
    let count = u16::from(!answers.is_empty());
    let header: Vec<u8> = [id, flags, 1, count, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    [&header[..], b"\x03www\x07example\0\0\x01\0\x01", answers].concat()
}

fn with_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn dns() -> Vec<Row> {
    let query = dns_message(0x1234, 0x0100, b"");
    let answer = dns_message(0x1234, 0x8180, b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01");
    let multicast = dns_message(0, 0, b"");
    vec![
        ("DNS query", Udp, Source, 53, query.clone()),
        ("DNS answer", Udp, Destination, 53, answer),
        ("DNS query in a stream", Tcp, Source, 53, with_length(&query)),
        ("mDNS query", Udp, Source, 5353, multicast.clone()),
        ("LLMNR query", Udp, Source, 5355, multicast),
    ]
}

fn http() -> Vec<Row> {
    let get = b"GET /index.html HTTP/1.1\r\nHost: www.example\r\n\r\n".to_vec();
    let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64".to_vec();
    vec![
        ("HTTP request", Tcp, Source, 80, get.clone()),
        ("HTTP request elsewhere", Tcp, Source, 5432, get),
        ("HTTP answer", Tcp, Destination, 80, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("HTTP tunnel", Tcp, Source, 3128, b"CONNECT www.example:443 HTTP/1.1\r\n\r\n".to_vec()),
        ("HTTP options", Tcp, Source, 80, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("HTTP/2 preface", Tcp, Source, 80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/2 settings", Tcp, Destination, 80, settings),
        ("SSDP search", Udp, Source, 1900, b"M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n\r\n".to_vec()),
        ("SSDP notice", Udp, Source, 1900, b"NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n".to_vec()),
        ("SSDP answer", Udp, Destination, 1900, b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n".to_vec()),
    ]
}

fn ssh() -> Vec<Row> {
    vec![
        ("SSH client", Tcp, Source, 22, b"SSH-2.0-client_1\r\n".to_vec()),
        ("SSH server", Tcp, Destination, 22, b"SSH-2.0-server_1\r\n".to_vec()),
    ]
}

fn dhcp() -> Vec<Row> {
    let message = |operation, kind| {
        let mut message = vec![operation, 1, 6, 0, 0x12, 0x34, 0x56, 0x78];
        message.resize(28, 0);
        message.extend_from_slice(&[0x02, 0, 0, 0, 0, 1]);
        message.resize(236, 0);
        message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, kind, 255]);
        message
    };
    vec![
        ("DHCP discover", Udp, Source, 67, message(1, 1)),
        ("DHCP offer", Udp, Destination, 67, message(2, 2)),
    ]
}

fn dhcpv6() -> Vec<Row> {
    let duid = b"\0\x01\0\x0A\0\x03\0\x01\x02\0\0\0\0\x01";
    vec![
        ("DHCPv6 solicit", Udp, Source, 547, [b"\x01\x12\x34\x56", &duid[..], b"\0\x08\0\x02\0\0"].concat()),
        ("DHCPv6 advertise", Udp, Destination, 547, [b"\x02\x12\x34\x56", &duid[..]].concat()),
    ]
}

fn radius() -> Vec<Row> {
    let message = |code, attributes: &[u8]| {
        let length = 20 + attributes.len() as u8;
        [&[code, 7, 0, length], &b"authenticator..."[..], attributes].concat()
    };
    vec![
        ("RADIUS request", Udp, Source, 1812, message(1, b"\x01\x05bob\x04\x06\xC0\0\x02\x01")),
        ("RADIUS accept", Udp, Destination, 1812, message(2, b"")),
        ("RADIUS accounting", Udp, Source, 1813, message(4, b"\x28\x06\0\0\0\x01")),
    ]
}

fn ntp() -> Vec<Row> {
    let message = |first, stratum| {
        let mut message = vec![first, stratum, 6, 0xE9];
        message.resize(40, 0);
        message.extend_from_slice(&[0xEB, 0x12, 0x34, 0x56, 1, 2, 3, 4]);
        message
    };
    vec![
        ("NTP client", Udp, Source, 123, message(0x23, 0)),
        ("NTP server", Udp, Destination, 123, message(0x24, 2)),
    ]
}

fn postgresql() -> Vec<Row> {
    let start_up = b"\0\0\0\x22\0\x03\0\0user\0bob\0database\0shop\0\0".to_vec();
    vec![
        ("PostgreSQL start-up", Tcp, Source, 5432, start_up),
        ("PostgreSQL request for TLS", Tcp, Source, 5432, b"\0\0\0\x08\x04\xD2\x16\x2F".to_vec()),
        ("PostgreSQL request for GSS", Tcp, Source, 5432, b"\0\0\0\x08\x04\xD2\x16\x30".to_vec()),
        ("PostgreSQL cancel", Tcp, Source, 5432, b"\0\0\0\x10\x04\xD2\x16\x2E\0\0\0\x07\0\0\0\x09".to_vec()),
    ]
}

fn mysql() -> Vec<Row> {
    let greeting = b"\x0A8.0.36\0\x07\0\0\0saltsalt\0\xFF\xFF\x21\x02\0";
    let refusal = b"\xFF\x10\x04#08004Too many connections";
    let packet = |body: &[u8]| [&[body.len() as u8, 0, 0, 0], body].concat();
    vec![
        ("MySQL greeting", Tcp, Destination, 3306, packet(greeting)),
        ("MySQL refusal", Tcp, Destination, 3306, packet(refusal)),
    ]
}

fn sip() -> Vec<Row> {
    let headers =
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let message = |start: &str| format!("{start}\r\n{headers}").into_bytes();
    vec![
        ("SIP request", Udp, Source, 5060, message("REGISTER sip:example SIP/2.0")),
        ("SIP options", Udp, Source, 5060, message("OPTIONS sip:alice@example SIP/2.0")),
        ("SIP notice", Udp, Source, 5060, message("NOTIFY sip:alice@example SIP/2.0")),
        ("SIP answer", Udp, Destination, 5060, message("SIP/2.0 200 OK")),
        ("SIP request in a stream", Tcp, Source, 5060, message("OPTIONS sip:alice@example SIP/2.0")),
        ("SIP answer in a stream", Tcp, Destination, 5060, message("SIP/2.0 180 Ringing")),
    ]
}

fn tls() -> Vec<Row> {
    let record = |kind, body: &[u8]| {
        let length = body.len() as u8;
        [&[0x16, 3, 1, 0, length + 4, kind, 0, 0, length], body].concat()
    };
    let random = [0x5A; 32];
    let client = [b"\x03\x03", &random[..], b"\0\0\x02\x13\x01\x01\0\0\x07\0\x2B\0\x03\x02\x03\x04"].concat();
    let server = [b"\x03\x03", &random[..], b"\0\xC0\x2F\0"].concat();
    let ssl2 = [
        b"\x80\x2E\x01\0\x02\0\x15\0\0\0\x10",
        &b"\x01\0\x80\x02\0\x80\x03\0\x80\x04\0\x80\x05\0\x80\x06\0\x40\x07\0\xC0"[..],
        &random[..16],
    ]
    .concat();
    vec![
        ("TLS client", Tcp, Source, 443, record(1, &client)),
        ("TLS server", Tcp, Destination, 443, record(2, &server)),
        ("TLS client of SSL 2", Tcp, Source, 443, ssl2),
    ]
}

fn snmp() -> Vec<Row> {
    let get = b"\x30\x26\x02\x01\x01\x04\x06public\xA0\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0E\x30\x0C\x06\x08\x2B\x06\x01\x02\x01\x01\x01\0\x05\0";
    vec![("SNMP get", Udp, Source, 161, get.to_vec())]
}

fn quic() -> Vec<Row> {
    let initial = |version: [u8; 4]| {
        let header = [&[0xC3], &version[..], b"\x08\x01\x02\x03\x04\x05\x06\x07\x08\0\0\x44\x9E"].concat();
        let mut datagram = header;
        datagram.resize(1200, 0xA5);
        datagram
    };
    vec![
        ("QUIC 1", Udp, Source, 443, initial([0, 0, 0, 1])),
        ("QUIC draft 29", Udp, Source, 443, initial([0xFF, 0, 0, 29])),
        ("QUIC versions", Udp, Destination, 443, b"\x80\0\0\0\0\x01\xAA\x01\xBB\0\0\0\x01".to_vec()),
    ]
}

/// Streams that can be read, on their own ports and on those of parsers.
fn text_of_others() -> Vec<Row> {
    let row = |name, sender, port, text: &str| (name, Tcp, sender, port, text.as_bytes().to_vec());
    vec![
        row("FTP", Destination, 21, "220 ProFTPD Server ready.\r\n"),
        row("SMTP server", Destination, 25, "220 mail.example ESMTP\r\n"),
        row("SMTP client", Source, 25, "EHLO host.example\r\n"),
        row("POP3", Destination, 110, "+OK ready\r\n"),
        row("IMAP", Destination, 143, "* OK [CAPABILITY IMAP4rev1] ready\r\n"),
        row("IRC", Source, 6667, "NICK bob\r\nUSER bob 0 * :Bob\r\n"),
        row("RTSP request", Source, 554, "OPTIONS rtsp://camera.example/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        row("RTSP answer", Destination, 554, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"),
        row("Redis", Source, 6379, "*1\r\n$4\r\nPING\r\n"),
        row("memcached", Source, 11_211, "get key\r\n"),
        row("VNC", Destination, 5900, "RFB 003.008\n"),
        row("NATS", Destination, 4222, "INFO {\"server_id\":\"a\"}\r\n"),
        row("whois", Source, 43, "example.com\r\n"),
        row(
            "BitTorrent",
            Source,
            6881,
            "\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
        ),
        row("AMQP", Source, 5672, "AMQP\0\0\x09\x01"),
        row("FTP where SSH is", Destination, 22, "220 ready\r\n"),
        row("SMTP where SIP is", Source, 5060, "EHLO host.example\r\n"),
    ]
}

fn bytes_of_others() -> Vec<Row> {
    let row = |name, sender, port, bytes: &[u8]| (name, Tcp, sender, port, bytes.to_vec());
    let kafka = b"\0\0\0\x1F\0\x03\0\x02\0\0\0\x01\0\x0Bconsumer-1\0\0\0\x01\0\x01t\0\0";
    let smb =
        b"\0\0\0\x2C\xFESMB\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let bgp = [&[0xFF; 16][..], b"\0\x1D\x01\x04\xFD\xE8\0\xB4\xC0\0\x02\x01\0"].concat();
    let mongo = b"\x3A\0\0\0\x01\0\0\0\0\0\0\0\xD4\x07\0\0\0\0\0\0admin.$cmd\0\0\0\0\0\xFF\xFF\xFF\xFF\x10\0\0\0\x10ping\0\x01\0\0\0\0\0";
    vec![
        row("Kafka", Source, 9092, kafka),
        row("Kafka where PostgreSQL is", Source, 5432, kafka),
        row("SMB", Source, 445, smb),
        row("RDP", Source, 3389, b"\x03\0\0\x13\x0E\xE0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"),
        row("LDAP", Source, 389, b"\x30\x0C\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"),
        row("MQTT", Source, 1883, b"\x10\x10\0\x04MQTT\x04\x02\0\x3C\0\x04host"),
        row("BGP", Source, 179, &bgp),
        row("MongoDB", Source, 27_017, mongo),
        row("MongoDB where MySQL is", Source, 3306, mongo),
        row("Cassandra", Source, 9042, b"\x04\0\0\0\x05\0\0\0\0"),
        row("telnet", Destination, 23, b"\xFF\xFD\x18\xFF\xFD\x20\xFF\xFD\x23"),
        row("RTMP", Source, 1935, b"\x03\0\0\x12\x34\0\0\0\0\x5A\xA5\x5A\xA5"),
        row("SOCKS", Source, 1080, b"\x05\x01\0"),
        row("MySQL client", Source, 3306, b"\x05\0\0\x01\x85\xA6\xFF\x01\0"),
        row("PostgreSQL server", Destination, 5432, b"R\0\0\0\x08\0\0\0\0"),
        row("TLS application data", Source, 443, b"\x17\x03\x03\0\x05abcde"),
    ]
}

fn datagrams_of_others() -> Vec<Row> {
    let row = |name, port, bytes: &[u8]| (name, Udp, Source, port, bytes.to_vec());
    let stun = b"\0\x01\0\0\x21\x12\xA4\x42abcdefghijkl";
    let wireguard = [&b"\x01\0\0\0\x12\x34\x56\x78"[..], &[0x6B; 140]].concat();
    let netbios = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20EFFIEIFDEPFDFEFFFCFGEFFCCACACAAA\0\0\x20\0\x01";
    vec![
        row("STUN", 3478, stun),
        row("STUN where SIP is", 5060, stun),
        row("RTP", 5004, &[&b"\x80\0\x12\x34\0\0\0\xA0\x11\x22\x33\x44"[..], &[0xD5; 160]].concat()),
        row("TFTP", 69, b"\0\x01file\0octet\0"),
        row("syslog", 514, b"<34>Oct 11 22:14:15 host su: 'su root' failed"),
        row("WireGuard", 51_820, &wireguard),
        row("NetBIOS name", 137, netbios),
        row("keep-alive of SIP", 5060, b"\r\n\r\n"),
        row("zeros", 53, &[0; 64]),
        row("zeros elsewhere", 40_001, &[0; 64]),
    ]
}
