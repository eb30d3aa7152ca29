//! What applications said: an element for each field of a protocol.
//!
//! Their numbers follow from the protocol and the place of the field: 16384 + 64 × block + place, where the block is the
//! protocol's number in the flow message, less 968 if it is above 1000. Protocols with the same fields (DNS, mDNS,
//! LLMNR) share those of the first. HTTP has elements of IANA's where there are any.

use super::{Element, Namespace, VARIABLE, Write, own, write_number, write_variable};
use kflow::application::{Datum, FIELDS_MAX, Field, FieldKind, Slot};
use kflow::{AppProtocol, Application, FlowRecord};
use std::net::IpAddr;

/// In front of the fields.
pub(crate) const HEAD: &[Element] = &[
    own::flow(10_510, 2, "app_protocol", |side| {
        side.record.app_protocol.map_or(0, |protocol| protocol.number().into())
    }),
    own::flow(10_083, 4, "transactions", |side| side.record.transactions.into()),
];

/// In front of the fields, if there are any.
pub(crate) const SAID: &[Element] = &[
    own::flow(10_505, 4, "application_known", |side| known(side.record)),
    own::flow(10_084, 4, "application_latency_us", |side| {
        side.record.application.as_ref().and_then(Application::latency_us).unwrap_or_default().into()
    }),
];

/// The bit of `application_known` for the latency; those below are of the protocol's fields, in their order.
pub(crate) const LATENCY_BIT: u32 = 31;

const _: () = assert!(FIELDS_MAX <= LATENCY_BIT as usize);

/// Elements of IANA's for fields of the same meaning (texts all of them).
const IANA: &[(&str, u16, &str)] = &[
    ("http_method", 459, "httpRequestMethod"),
    ("http_host", 460, "httpRequestHost"),
    ("http_url", 461, "httpRequestTarget"),
    ("http_version", 462, "httpMessageVersion"),
    ("http_user_agent", 468, "httpUserAgent"),
    ("http_content_type", 469, "httpContentType"),
];

/// The elements of a protocol's fields, in their order.
pub(crate) fn fields(protocol: AppProtocol) -> impl Iterator<Item = Element> {
    let block = block(protocol);
    protocol.fields().iter().enumerate().map(move |(place, field)| {
        let length = match (field.kind, field.slot) {
            (FieldKind::Text | FieldKind::Address, _) => VARIABLE,
            (FieldKind::Number, Slot::Number(_)) => 4,
            (FieldKind::Number, _) => 8,
        };
        let own = (16_384 + 64 * block + place as u16, Namespace::Own { reverse: 0 }, field.name);
        let given = IANA.iter().find(|(name, ..)| *name == field.name);
        let (number, namespace, name) =
            given.map_or(own, |(_, number, name)| (*number, Namespace::Iana, *name));
        Element { number, namespace, length, name, write: Write::Application(place as u8) }
    })
}

/// The values of a record, one for each field of its protocol.
#[derive(Debug)]
pub(crate) struct Values<'a>([Option<Datum<'a>>; FIELDS_MAX]);

impl<'a> Values<'a> {
    pub fn of(record: &'a FlowRecord) -> Values<'a> {
        let mut values = [None; FIELDS_MAX];
        if let Some(application) = record.application.as_ref() {
            for (place, value) in placed(application) {
                values[place] = Some(value);
            }
        }
        Values(values)
    }

    /// Appends the value of a field. Of texts at most as many bytes as there is room for, which they use up; whether it
    /// had to be cut.
    pub fn write(&self, place: u8, length: u16, room: &mut usize, output: &mut Vec<u8>) -> bool {
        let mut is_cut = false;
        match (length, self.0[usize::from(place)]) {
            (VARIABLE, Some(Datum::Text(text))) => {
                let end = text.floor_char_boundary((*room).min(TEXT_BYTES_MAX));
                is_cut = end < text.len();
                *room -= end;
                write_variable(&text.as_bytes()[..end], output);
            }
            (VARIABLE, Some(Datum::Address(IpAddr::V4(address)))) => {
                write_variable(&address.octets(), output);
            }
            (VARIABLE, Some(Datum::Address(IpAddr::V6(address)))) => {
                write_variable(&address.octets(), output);
            }
            (VARIABLE, _) => write_variable(&[], output),
            (length, Some(Datum::Number(number))) => write_number(number, length, output),
            (length, _) => write_number(0, length, output),
        }
        is_cut
    }
}

/// A text is no longer, so that its length and the record's fit their 16 bits.
const TEXT_BYTES_MAX: usize = 32 << 10;

fn known(record: &FlowRecord) -> u64 {
    let Some(application) = record.application.as_ref() else { return 0 };
    let fields: u64 = placed(application).map(|(place, _)| 1 << place).sum();
    fields | u64::from(application.latency_us().is_some()) << LATENCY_BIT
}

/// Values with the places of their fields.
fn placed(application: &Application) -> impl Iterator<Item = (usize, Datum<'_>)> {
    let mut fields = application.protocol().fields().iter().enumerate();
    // Both are in the order of the table.
    application.values().filter_map(move |(said, value)| {
        let is_said = |(_, field): &(usize, &Field)| field.slot == said.slot;
        Some((fields.find(is_said)?.0, value))
    })
}

fn block(protocol: AppProtocol) -> u16 {
    let has_same_fields = |other: &AppProtocol| other.fields() == protocol.fields();
    let first = AppProtocol::ALL.into_iter().find(has_same_fields).unwrap_or(protocol);
    match first.number() {
        number @ 0..=1000 => number,
        number => number - 968,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_number_means_one_field() {
        let mut names: HashMap<u16, &str> = HashMap::new();
        for element in AppProtocol::ALL.into_iter().flat_map(fields) {
            assert!(element.number < 0x8000);
            assert_eq!(*names.entry(element.number).or_insert(element.name), element.name);
        }
        assert!(names.len() > 100);
    }
}
