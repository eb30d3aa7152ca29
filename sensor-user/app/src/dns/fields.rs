//! A message, and what it says as fields of a transaction.

use super::{
    data::write_record,
    message::{Edns, Flaw, Header, Question, Reader, Record},
    name::{Name, Place},
};
use kflow::application::{AppProtocol, Draft, protocols::dns};

/// Answer records that are told.
pub const ANSWERS_MAX: usize = 128;
/// In mDNS, the upper bit of a class says something else (RFC 6762, sections 5.4 and 10.2).
const MDNS_CLASS_MASK: u16 = 0x7FFF;

/// A message as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub header: Header,
    /// The first one.
    pub question: Option<Question<'a>>,
    /// The first of them, in whatever section.
    edns: Option<Edns>,
    /// In front of the first record; `None` if the questions could not be read.
    records: Option<Reader<'a>>,
    /// Why there is no more.
    pub flaw: Option<Flaw>,
}

impl<'a> Message<'a> {
    /// The first question has to be there, if there are any.
    pub fn read(header: Header, mut reader: Reader<'a>) -> Result<Message<'a>, Flaw> {
        let question = if header.questions > 0 { Some(reader.question()?) } else { None };
        let mut message = Message { header, question, edns: None, records: None, flaw: None };
        message.flaw = message.read_on(reader).err();
        Ok(message)
    }

    fn read_on(&mut self, mut reader: Reader<'a>) -> Result<(), Flaw> {
        for _ in 1..self.header.questions {
            reader.question()?;
        }
        self.records = Some(reader);
        for _ in 0..self.header.records() {
            let edns = reader.record()?.edns();
            self.edns = self.edns.or(edns);
        }
        Ok(())
    }

    /// What is asked; by an answer without a question, what its first record is about.
    pub fn tell_question(&self, draft: &mut Draft) {
        draft.number(dns::ID, self.header.id);
        draft.number(dns::FLAGS, self.header.flags);
        draft.number(dns::QUESTION_COUNT, self.header.questions);
        let about = match self.question {
            Some(Question { name, kind, class }) => Some((name, kind, class)),
            None => self.answers().next().and_then(|record| {
                let (name, _) = Name::read(record.message, record.name_start).ok()?;
                Some((name, record.kind, record.class))
            }),
        };
        let Some((name, kind, class)) = about else { return };
        let is_mdns = draft.protocol() == AppProtocol::Mdns;
        draft.text_with(dns::QUERY, |writer| name.write(writer, Place::Alone));
        draft.number(dns::QUERY_TYPE, kind);
        draft.number(dns::QUERY_CLASS, if is_mdns { class & MDNS_CLASS_MASK } else { class });
    }

    /// What only a query says.
    pub fn tell_query(&self, draft: &mut Draft) {
        if let Some(edns) = self.edns {
            draft.number(dns::EDNS_UDP_BYTES, edns.udp_bytes);
            draft.number(dns::EDNS_FLAGS, edns.flags);
        }
    }

    /// What only an answer says.
    pub fn tell_answer(&self, draft: &mut Draft) {
        let upper_bits = self.edns.map_or(0, |edns| u16::from(edns.rcode) << 4);
        draft.number(dns::FLAGS, self.header.flags);
        draft.number(dns::RCODE, upper_bits | self.header.rcode());
        draft.number(dns::ANSWER_COUNT, self.header.answers);
        if self.answers().next().is_none() {
            return;
        }
        // First what is short: if there is no room for all of the answers, their beginning has it all.
        draft.text_with(dns::ANSWER_TTLS, |writer| {
            for (index, record) in self.answers().enumerate() {
                writer.push_str(if index == 0 { "" } else { ";" });
                writer.push_number(u64::from(record.ttl));
            }
        });
        draft.text_with(dns::ANSWERS, |writer| {
            for (index, record) in self.answers().enumerate() {
                writer.push_str(if index == 0 { "" } else { ";" });
                write_record(&record, writer);
                if writer.is_cut() {
                    break;
                }
            }
        });
    }

    /// Records of the answer section, as far as they can be read.
    fn answers(&self) -> impl Iterator<Item = Record<'a>> {
        let mut reader = self.records;
        let count = usize::from(self.header.answers).min(ANSWERS_MAX);
        std::iter::from_fn(move || reader.as_mut()?.record().ok()).take(count)
    }
}
