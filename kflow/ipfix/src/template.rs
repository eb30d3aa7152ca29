//! Templates: which fields a record has, by what there is to say of it.
//!
//! A template is made when the first record needs it, and announced in front of that record; after a refresh again in
//! front of the next one. So what is announced is what is used.

use crate::config::{Biflow, Format, IpfixConfig, Times};
use crate::element::{Element, Namespace, Side, Write, application, netflow, own, standard};
use crate::sampling;
use kflow::{AppProtocol, EndReason};
use std::collections::HashMap;

/// Enterprise of reverse elements (RFC 5103, 6.1).
pub(crate) const REVERSE_ENTERPRISE: u32 = 29_305;

/// What a record has something in: one bit a part, the application's protocol above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape(u64);

impl Shape {
    const IPV6: u64 = 1;
    const ICMP: u64 = 1 << 1;
    const PATH: u64 = 1 << 2;
    const PATH_BACK: u64 = 1 << 3;
    const MPLS: u64 = 1 << 4;
    const MPLS_BACK: u64 = 1 << 5;
    const PPPOE: u64 = 1 << 6;
    const TUNNEL: u64 = 1 << 7;
    const TUNNEL_SOURCE_IPV6: u64 = 1 << 8;
    const TUNNEL_DESTINATION_IPV6: u64 = 1 << 9;
    const LATENCY: u64 = 1 << 10;
    const CONNECTION: u64 = 1 << 11;
    const TCP: u64 = 1 << 12;
    const TROUBLE: u64 = 1 << 13;
    const TROUBLE_BACK: u64 = 1 << 14;
    const SAMPLED: u64 = 1 << 15;
    const BACK: u64 = 1 << 16;
    const TRANSACTION: u64 = 1 << 17;
    const APPLICATION: u64 = 1 << 18;
    const SAID: u64 = 1 << 19;
    const PROTOCOL_SHIFT: u32 = 32;

    /// Of one direction of a record, or of both if the record goes out as one. What is of the whole flow goes with the
    /// direction that `leads`.
    pub fn of(side: &Side<'_>, leads: Leads, config: &IpfixConfig) -> Shape {
        let record = side.record;
        let mut bits = 0;
        let mut set = |bit: u64, is_set: bool| bits |= if is_set { bit } else { 0 };
        set(Self::IPV6, record.source.address.is_ipv6() || record.destination.address.is_ipv6());
        set(Self::ICMP, matches!(record.protocol, ICMP | ICMP_V6));
        set(Self::SAMPLED, record.sample_rate > 1);
        set(Self::MPLS, side.counters().mpls_label.is_some());
        if config.format == Format::NetflowV9 {
            return Shape(bits);
        }
        let is_first = leads == Leads::Flow;
        let is_tcp = record.protocol == TCP;
        if record.end_reason == EndReason::Transaction {
            bits &= !Self::MPLS;
            bits |= Self::TRANSACTION;
        } else {
            let is_both = config.biflow == Biflow::Rfc5103;
            let back = side.turned();
            set(Self::PATH, own::has_path(side));
            set(Self::PPPOE, record.pppoe_session != 0);
            set(Self::TUNNEL, record.tunnel.kind != kflow::TunnelKind::None);
            if record.tunnel.kind != kflow::TunnelKind::None {
                let (source, destination) = side.tunnel_ends();
                set(Self::TUNNEL_SOURCE_IPV6, source.is_ipv6());
                set(Self::TUNNEL_DESTINATION_IPV6, destination.is_ipv6());
            }
            set(Self::LATENCY, is_first && own::has_latency(side));
            set(Self::CONNECTION, is_first && is_tcp);
            set(Self::TCP, is_tcp);
            set(Self::TROUBLE, is_tcp && own::has_trouble(side));
            set(Self::BACK, is_both);
            set(Self::PATH_BACK, is_both && own::has_path(&back));
            set(Self::MPLS_BACK, is_both && back.counters().mpls_label.is_some());
            set(Self::TROUBLE_BACK, is_both && is_tcp && own::has_trouble(&back));
        }
        if let Some(protocol) = record.app_protocol.filter(|_| is_first) {
            bits |= Self::APPLICATION | u64::from(protocol.number()) << Self::PROTOCOL_SHIFT;
            bits |= if record.application.is_some() { Self::SAID } else { 0 };
        }
        Shape(bits)
    }

    fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    fn protocol(self) -> Option<AppProtocol> {
        AppProtocol::from_number((self.0 >> Self::PROTOCOL_SHIFT) as u16)
            .filter(|_| self.has(Self::APPLICATION))
    }
}

/// Whether a record is the one that what is of the whole flow goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Flow,
    Nothing,
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_V6: u8 = 58;

/// A field of a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub element: Element,
    /// Read from the other end.
    pub is_back: bool,
}

/// A template and the state of its announcement.
#[derive(Debug)]
pub(crate) struct Template {
    pub id: u16,
    pub fields: Vec<Field>,
    /// Fields of the scope, the first ones: not zero for records of options.
    pub scope: u16,
    /// As it is announced, without the header of the set.
    pub announcement: Vec<u8>,
    /// In which round it was announced last; 0 is never.
    pub announced: u64,
}

impl Template {
    /// The set that announces it.
    pub fn set_id(&self, format: Format) -> u16 {
        match (format, self.scope) {
            (Format::Ipfix, 0) => 2,
            (Format::NetflowV9, 0) => 0,
            (format, _) => options_set(format),
        }
    }

    /// Appends a record. Texts together get at most so many bytes; whether one was cut.
    pub fn write(&self, side: &Side<'_>, mut text_bytes_max: usize, output: &mut Vec<u8>) -> bool {
        let back = side.turned();
        let mut values = None;
        let mut is_cut = false;
        for Field { element, is_back } in &self.fields {
            if let Write::Application(place) = element.write {
                let values = values.get_or_insert_with(|| application::Values::of(side.record));
                is_cut |= values.write(place, element.length, &mut text_bytes_max, output);
            } else {
                element.write(if *is_back { &back } else { side }, output);
            }
        }
        is_cut
    }
}

/// The set that announces templates of options.
pub(crate) fn options_set(format: Format) -> u16 {
    match format {
        Format::Ipfix => 3,
        Format::NetflowV9 => 1,
    }
}

/// All templates that were ever needed.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_shape: HashMap<Shape, usize>,
    templates: Vec<Template>,
    last: Option<(Shape, usize)>,
}

impl Templates {
    pub fn get(&mut self, shape: Shape, config: &IpfixConfig) -> &mut Template {
        let index = match self.last {
            Some((last, index)) if last == shape => index,
            _ => self.find(shape, config),
        };
        self.last = Some((shape, index));
        &mut self.templates[index]
    }

    fn find(&mut self, shape: Shape, config: &IpfixConfig) -> usize {
        let templates = &mut self.templates;
        *self.by_shape.entry(shape).or_insert_with(|| {
            // There are fewer shapes than numbers.
            let id = sampling::TEMPLATES_END + templates.len() as u16;
            let (fields, scope) = fields(shape, config);
            let announcement = announce(id, &fields, scope, config);
            templates.push(Template { id, fields, scope, announcement, announced: 0 });
            templates.len() - 1
        })
    }
}

/// The fields of records of a shape, and how many of them are the scope.
fn fields(shape: Shape, config: &IpfixConfig) -> (Vec<Field>, u16) {
    let mut fields = Fields { fields: Vec::new(), shape };
    match config.format {
        Format::NetflowV9 => {
            fields.put_netflow();
            (fields.fields, 0)
        }
        Format::Ipfix if shape.has(Shape::TRANSACTION) => {
            let scope = fields.put_transaction(config);
            (fields.fields, scope)
        }
        Format::Ipfix => {
            fields.put_flow(config);
            (fields.fields, 0)
        }
    }
}

struct Fields {
    fields: Vec<Field>,
    shape: Shape,
}

impl Fields {
    fn put(&mut self, elements: &[Element]) {
        self.fields.extend(elements.iter().map(|element| Field { element: *element, is_back: false }));
    }

    fn put_back(&mut self, elements: &[Element]) {
        self.fields.extend(elements.iter().map(|element| Field { element: *element, is_back: true }));
    }

    fn put_if(&mut self, bit: u64, elements: &[Element]) {
        if self.shape.has(bit) {
            self.put(elements);
        }
    }

    fn put_back_if(&mut self, bit: u64, elements: &[Element]) {
        if self.shape.has(bit) {
            self.put_back(elements);
        }
    }

    fn put_one_of(&mut self, bit: u64, with: &[Element], without: &[Element]) {
        let elements = if self.shape.has(bit) { with } else { without };
        self.put(elements);
    }

    fn put_key(&mut self, icmp_v4: &[Element], icmp_v6: &[Element]) {
        self.put_one_of(Shape::IPV6, standard::ADDRESSES_V6, standard::ADDRESSES_V4);
        let icmp = if self.shape.has(Shape::IPV6) { icmp_v6 } else { icmp_v4 };
        self.put_one_of(Shape::ICMP, icmp, standard::PORTS);
        self.put(standard::PROTOCOL);
    }

    fn put_netflow(&mut self) {
        self.put_key(netflow::ICMP, netflow::ICMP);
        self.put(netflow::TIMES);
        self.put(netflow::COUNTERS);
        self.put(netflow::END_REASON);
        self.put(netflow::MACS);
        self.put_if(Shape::MPLS, standard::MPLS);
        self.put_if(Shape::SAMPLED, netflow::SAMPLER);
    }

    fn put_times(&mut self, times: Times) {
        self.put(match times {
            Times::Milliseconds => standard::TIMES_MS,
            Times::Nanoseconds => standard::TIMES_NS,
        });
    }

    fn put_flow(&mut self, config: &IpfixConfig) {
        self.put_key(standard::ICMP_V4, standard::ICMP_V6);
        self.put_times(config.times);
        self.put(standard::COUNTERS);
        self.put(standard::FLOW);
        self.put_if(Shape::PATH, own::PATH);
        self.put_if(Shape::MPLS, standard::MPLS);
        self.put_if(Shape::SAMPLED, standard::SELECTOR);
        self.put_if(Shape::PPPOE, own::PPPOE);
        self.put_if(Shape::LATENCY, own::LATENCY);
        self.put_if(Shape::CONNECTION, own::CONNECTION);
        self.put_if(Shape::TCP, own::TCP);
        self.put_if(Shape::TROUBLE, own::TROUBLE);
        if self.shape.has(Shape::BACK) {
            self.put_back(standard::COUNTERS);
            self.put_back_if(Shape::PATH_BACK, own::PATH);
            self.put_back_if(Shape::MPLS_BACK, standard::MPLS);
            self.put_back_if(Shape::TCP, own::TCP);
            self.put_back_if(Shape::TROUBLE_BACK, own::TROUBLE);
        }
        if self.shape.has(Shape::TUNNEL) {
            self.put(own::TUNNEL);
            self.put_one_of(Shape::TUNNEL_SOURCE_IPV6, own::TUNNEL_SOURCE_V6, own::TUNNEL_SOURCE_V4);
            let (ipv6, ipv4) = (own::TUNNEL_DESTINATION_V6, own::TUNNEL_DESTINATION_V4);
            self.put_one_of(Shape::TUNNEL_DESTINATION_IPV6, ipv6, ipv4);
        }
        self.put_if(Shape::APPLICATION, &[standard::APPLICATION_NAME]);
        self.put_application();
    }

    /// Returns how many fields are the scope: the flow's key.
    fn put_transaction(&mut self, config: &IpfixConfig) -> u16 {
        self.put_key(standard::ICMP_V4, standard::ICMP_V6);
        let scope = self.fields.len() as u16;
        self.put_times(config.times);
        self.put_if(Shape::SAMPLED, standard::SELECTOR);
        self.put_application();
        scope
    }

    fn put_application(&mut self) {
        let Some(protocol) = self.shape.protocol() else { return };
        self.put(application::HEAD);
        if self.shape.has(Shape::SAID) {
            self.put(application::SAID);
            self.fields
                .extend(application::fields(protocol).map(|element| Field { element, is_back: false }));
        }
    }
}

/// A template record (RFC 7011, 3.4; RFC 3954, 5.2).
fn announce(id: u16, fields: &[Field], scope: u16, config: &IpfixConfig) -> Vec<u8> {
    let mut record = Vec::with_capacity(4 + 8 * fields.len());
    let mut put = |number: u16| record.extend_from_slice(&number.to_be_bytes());
    put(id);
    put(fields.len() as u16);
    if scope > 0 {
        put(scope);
    }
    for field in fields {
        write_specifier(field, config.enterprise, &mut record);
    }
    record
}

/// A field specifier (RFC 7011, 3.2).
fn write_specifier(field: &Field, enterprise: u32, record: &mut Vec<u8>) {
    const HAS_ENTERPRISE: u16 = 0x8000;
    let Element { number, namespace, length, .. } = field.element;
    let (number, enterprise) = match (namespace, field.is_back) {
        (Namespace::Iana, false) => (number, None),
        (Namespace::Iana, true) => (number, Some(REVERSE_ENTERPRISE)),
        (Namespace::Own { .. }, false) => (number, Some(enterprise)),
        (Namespace::Own { reverse }, true) => (reverse, Some(enterprise)),
    };
    let flag = if enterprise.is_some() { HAS_ENTERPRISE } else { 0 };
    record.extend_from_slice(&(number | flag).to_be_bytes());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend(enterprise.into_iter().flat_map(u32::to_be_bytes));
}
