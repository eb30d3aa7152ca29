//! One SNMP message: a sequence of version, community and PDU, or in version 3 of version, header, security parameters
//! and a PDU that may be encrypted.

use super::ber::{
    Element, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, is_object_identifier,
    write_object_identifier,
};
use crate::parser::Failure;
use kflow::application::{Draft, protocols::snmp};

/// The version field of versions 1, 2c and 3.
const VERSION_1: u32 = 0;
const VERSION_2C: u32 = 1;
const VERSION_3: u32 = 3;

/// Tag of the first PDU; the others follow.
const PDU: u8 = 0xa0;
const RESPONSE: u8 = 2;
const TRAP_V1: u8 = 4;
const TRAP_V2: u8 = 7;
const REPORT: u8 = 8;

/// Flag of version 3: the sender wants to hear of failure, as senders of requests do.
const IS_REPORTABLE: u8 = 4;

#[derive(Debug)]
pub(super) struct Message<'a> {
    version: u32,
    community: Option<&'a [u8]>,
    /// By its number, without the bits of the tag that are always set.
    pdu: Option<u8>,
    request_id: Option<u32>,
    error_status: Option<u32>,
    /// Of a trap of version 1 its enterprise, else of the first binding.
    object: Option<&'a [u8]>,
    bindings: u32,
    pub role: Role,
    /// Whether all of the datagram made sense.
    pub is_sound: bool,
}

/// What a message is to others, with its request identifier.
#[derive(Debug)]
pub(super) enum Role {
    Request(u32),
    Response(u32),
    Alone,
}

impl<'a> Message<'a> {
    /// All that there is of a message that can be told to be one.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Message<'a>, Failure> {
        let mut outer = Elements::new(bytes);
        let sequence = outer.element().filter(|element| element.tag == SEQUENCE).ok_or(Failure::Malformed)?;
        let mut elements = Elements::new(sequence.content);
        let version = elements.number().ok_or(Failure::Malformed)?;
        let mut message = Message {
            version,
            community: None,
            pdu: None,
            request_id: None,
            error_status: None,
            object: None,
            bindings: 0,
            role: Role::Alone,
            is_sound: sequence.is_whole && outer.is_empty(),
        };
        match version {
            VERSION_1 | VERSION_2C => message.read_community(elements).ok_or(Failure::Malformed)?,
            VERSION_3 => message.read_header(elements).ok_or(Failure::Malformed)?,
            _ => return Err(Failure::Unsupported),
        }
        Ok(message)
    }

    /// What follows the version in versions 1 and 2c. `None` without a community and the start of a PDU.
    fn read_community(&mut self, mut elements: Elements<'a>) -> Option<()> {
        self.community = Some(elements.content(OCTET_STRING)?);
        let pdu = elements.element()?;
        let number = pdu.tag.checked_sub(PDU).filter(|number| *number <= REPORT)?;
        self.pdu = Some(number);
        let has_all = if number == TRAP_V1 { self.read_trap(pdu) } else { self.read_pdu(pdu, number) };
        self.is_sound &= has_all.is_some() && pdu.is_whole && elements.is_empty();
        Some(())
    }

    /// `None` if something is missing.
    fn read_pdu(&mut self, pdu: Element<'a>, number: u8) -> Option<()> {
        let mut elements = Elements::new(pdu.content);
        let request_id = elements.number()?;
        self.request_id = Some(request_id);
        self.role = match number {
            RESPONSE | REPORT => Role::Response(request_id),
            TRAP_V2 => Role::Alone,
            _ => Role::Request(request_id),
        };
        // In a request for bulk, how many objects are not repeated.
        let error_status = elements.number()?;
        if matches!(number, RESPONSE | REPORT) {
            self.error_status = Some(error_status);
        }
        let _error_index = elements.number()?;
        self.read_bindings(elements)
    }

    /// `None` if something is missing.
    fn read_trap(&mut self, pdu: Element<'a>) -> Option<()> {
        let mut elements = Elements::new(pdu.content);
        self.object = elements.content(OBJECT_IDENTIFIER).filter(|object| is_object_identifier(object));
        let _agent = elements.element()?;
        let _kinds = (elements.content(INTEGER)?, elements.content(INTEGER)?);
        let _time = elements.element()?;
        self.read_bindings(elements)?;
        self.object.map(|_| ())
    }

    /// The list of bindings, which ends a PDU. `None` if something is missing.
    fn read_bindings(&mut self, mut elements: Elements<'a>) -> Option<()> {
        let list = elements.element().filter(|element| element.tag == SEQUENCE)?;
        let mut bindings = Elements::new(list.content);
        while !bindings.is_empty() {
            let binding = bindings.element().filter(|element| element.tag == SEQUENCE)?;
            self.bindings += 1;
            let mut pair = Elements::new(binding.content);
            let object = pair.content(OBJECT_IDENTIFIER).filter(|object| is_object_identifier(object))?;
            self.object.get_or_insert(object);
            pair.element().filter(|value| value.is_whole && binding.is_whole && pair.is_empty())?;
        }
        (list.is_whole && elements.is_empty()).then_some(())
    }

    /// What follows the version in version 3. `None` without a message identifier.
    fn read_header(&mut self, mut elements: Elements<'a>) -> Option<()> {
        let header = elements.element().filter(|element| element.tag == SEQUENCE)?;
        let mut fields = Elements::new(header.content);
        let message_id = fields.number()?;
        self.request_id = Some(message_id);
        let _bytes_max = fields.number();
        let flags = fields.content(OCTET_STRING).and_then(|flags| flags.first());
        let security_model = fields.number();
        let security = elements.content(OCTET_STRING);
        let data = elements.element();
        self.role = match flags {
            Some(flags) if flags & IS_REPORTABLE != 0 => Role::Request(message_id),
            Some(_) => Role::Response(message_id),
            None => Role::Alone,
        };
        let has_all = security_model.is_some() && security.is_some();
        let is_ended = data.is_some_and(|data| data.is_whole) && elements.is_empty() && fields.is_empty();
        self.is_sound &= has_all && is_ended;
        Some(())
    }

    /// Of a request and its response, the request's values count.
    pub(super) fn note(&self, draft: &mut Draft) {
        if let Some(error_status) = self.error_status {
            draft.number(snmp::ERROR_STATUS, error_status);
        }
        if draft.has(snmp::VERSION) {
            return;
        }
        draft.number(snmp::VERSION, self.version);
        if let Some(community) = self.community {
            draft.text(snmp::COMMUNITY, community);
        }
        if let Some(pdu) = self.pdu {
            draft.number(snmp::PDU, pdu);
            draft.number(snmp::OBJECTS, self.bindings);
        }
        if let Some(request_id) = self.request_id {
            draft.number(snmp::REQUEST_ID, request_id);
        }
        if let Some(object) = self.object {
            draft.text_with(snmp::OBJECT, |writer| write_object_identifier(writer, object));
        }
    }
}
