//! DNS: questions and answers (RFC 1035), with EDNS (RFC 6891), in datagrams and in a stream.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::bytes::Bytes;
use super::words::{host, joined, word};
use super::{Carrier, Said, Script};
use crate::mix::random::Random;

mod kind {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
}

const IN: u16 = 1;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const RESPONSE: u16 = 0x8000;
const SERVER_FAILURE: u16 = 2;
const NO_SUCH_NAME: u16 = 3;
/// Signatures are asked for (RFC 3225).
const DNSSEC_OK: u16 = 0x8000;

/// A name that is at the place of the question's.
const FIRST_NAME: u16 = 0xC00C;

struct Question {
    id: u16,
    name: String,
    kind: u16,
    /// Largest datagram, and flags.
    edns: Option<(u16, u16)>,
}

/// An answer record: whose, what kind, for how long, its data, and these as text.
struct Record {
    owner: Bytes,
    kind: u16,
    ttl: u32,
    data: Bytes,
    text: String,
}

pub fn script(random: &mut Random) -> Script {
    let mut script = if random.one_in(12) { Script::tcp(53) } else { Script::udp(53) };
    let carrier = script.carrier;
    let framed = |message: Bytes| match carrier {
        Carrier::Tcp => Bytes::new().sized16(message),
        Carrier::Udp => message,
    };
    let mut late = None;
    for _ in 0..random.between(1, 4) {
        let question = Question::draw(random);
        script.client(framed(question.bytes()));
        let mut said = question.said();
        if random.one_in(10) {
            script.said.push(said.with("dns_flags", RECURSION_DESIRED));
            continue;
        }
        let (rcode, records) = question.answers(random);
        let flags = RESPONSE | RECURSION_DESIRED | RECURSION_AVAILABLE | rcode;
        let answer = framed(question.answer(flags, &records));
        said = said.with("dns_flags", flags).with("dns_rcode", rcode).with("dns_answer_count", records.len());
        if !records.is_empty() {
            let texts: Vec<_> = records.iter().map(|record| &record.text).collect();
            let ttls: Vec<_> = records.iter().map(|record| record.ttl).collect();
            said = said.with("dns_answers", joined(&texts, ";")).with("dns_answer_ttls", joined(&ttls, ";"));
        }
        script.said.push(Said { is_answered: true, ..said });
        // Some answers are overtaken by the next one.
        match late.take() {
            None if random.one_in(6) => late = Some(answer),
            other => {
                script.server(answer);
                other.into_iter().for_each(|answer| script.server(answer));
            }
        }
    }
    late.into_iter().for_each(|answer| script.server(answer));
    script
}

impl Question {
    fn draw(random: &mut Random) -> Question {
        let kinds = [kind::A, kind::A, kind::AAAA, kind::AAAA, kind::MX, kind::TXT, kind::SRV, kind::PTR];
        let kind = kinds[random.index(kinds.len())];
        let name = match kind {
            kind::SRV => format!("_{}._tcp.{}", word(random), host(random)),
            kind::PTR => {
                let numbers = [0; 4].map(|_: u8| random.between(0, 255));
                format!("{}.in-addr.arpa", joined(&numbers, "."))
            }
            _ => host(random),
        };
        let edns = random.one_in(2).then(|| {
            let flags = if random.one_in(3) { DNSSEC_OK } else { 0 };
            ([1232, 4096][random.index(2)], flags)
        });
        Question { id: random.next_u64() as u16, name, kind, edns }
    }

    fn said(&self) -> Said {
        let said = Said::of("dns")
            .with("dns_query", &self.name)
            .with("dns_query_type", self.kind)
            .with("dns_query_class", IN)
            .with("dns_id", self.id)
            .with("dns_question_count", 1);
        match self.edns {
            Some((bytes, flags)) => said.with("dns_edns_udp_bytes", bytes).with("dns_edns_flags", flags),
            None => said,
        }
    }

    fn bytes(&self) -> Bytes {
        self.head(RECURSION_DESIRED, [0, 0]).put(self.edns())
    }

    /// Header and question; how many answers and records of authority follow.
    fn head(&self, flags: u16, [answers, authorities]: [u16; 2]) -> Bytes {
        let counts = Bytes::new().u16(1).u16(answers).u16(authorities).u16(u16::from(self.edns.is_some()));
        let head = Bytes::new().u16(self.id).u16(flags).put(counts);
        head.put(labels(&self.name)).u16(self.kind).u16(IN)
    }

    fn edns(&self) -> Bytes {
        let Some((bytes, flags)) = self.edns else { return Bytes::new() };
        Bytes::new().u8(0).u16(kind::OPT).u16(bytes).u16(0).u16(flags).u16(0)
    }

    fn answer(&self, flags: u16, records: &[Record]) -> Bytes {
        let is_missing = flags & 0xF == NO_SUCH_NAME;
        let mut bytes = self.head(flags, [records.len() as u16, u16::from(is_missing)]);
        for record in records {
            bytes = bytes.put(&record.owner).u16(record.kind).u16(IN).u32(record.ttl).sized16(&record.data);
        }
        if is_missing {
            let times = [7_200, 900, 1_209_600, 300].into_iter().fold(Bytes::new().u32(1), Bytes::u32);
            let data = labels("ns.test").put(labels("hostmaster.test")).put(times);
            bytes = bytes.put(labels("test")).u16(kind::SOA).u16(IN).u32(300).sized16(data);
        }
        bytes.put(self.edns())
    }

    fn answers(&self, random: &mut Random) -> (u16, Vec<Record>) {
        match random.between(0, 9) {
            0 => return (NO_SUCH_NAME, Vec::new()),
            1 => return (SERVER_FAILURE, Vec::new()),
            2 => return (0, Vec::new()),
            _ => {}
        }
        let mut records = Vec::new();
        let mut owner = Bytes::new().u16(FIRST_NAME);
        if matches!(self.kind, kind::A | kind::AAAA) && random.one_in(3) {
            let target = host(random);
            let (data, text) = (labels(&target), format!("{target}/CNAME"));
            records.push(Record { owner, kind: kind::CNAME, ttl: 60, data, text });
            owner = labels(&target);
        }
        let ttl = random.between(0, 86_400) as u32;
        for _ in 0..random.between(1, 4) {
            let (data, text) = data(self.kind, random);
            records.push(Record { owner: owner.clone(), kind: self.kind, ttl, data, text });
        }
        (0, records)
    }
}

/// Data of a record, and the same as text.
fn data(of_kind: u16, random: &mut Random) -> (Bytes, String) {
    let number = random.between(1, 0xFFFF) as u16;
    match of_kind {
        kind::A => {
            let address = Ipv4Addr::new(192, 0, 2, number as u8);
            (Bytes::new().put(address.octets()), format!("{address}/A"))
        }
        kind::AAAA => {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 5, number, 0, 0, 0, 1);
            (Bytes::new().put(address.octets()), format!("{address}/AAAA"))
        }
        kind::MX => {
            let target = host(random);
            (Bytes::new().u16(number).put(labels(&target)), format!("{number} {target}/MX"))
        }
        kind::SRV => {
            let target = host(random);
            let data = Bytes::new().u16(1).u16(2).u16(number).put(labels(&target));
            (data, format!("1 2 {number} {target}/SRV"))
        }
        kind::PTR => {
            let target = host(random);
            (labels(&target), format!("{target}/PTR"))
        }
        _ => {
            let text = word(random);
            (Bytes::new().sized8(&text), format!("{text}/TXT"))
        }
    }
}

fn labels(name: &str) -> Bytes {
    name.split('.').fold(Bytes::new(), Bytes::sized8).u8(0)
}
