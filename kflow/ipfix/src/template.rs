//! Templates: which fields a record has, by what there is to say of it.
//!
//! A template is made when the first record needs it, and announced in front of that record; after a refresh again in
//! front of the next one. So what is announced is what is used.

use crate::config::{Format, IpfixConfig, Times};
use crate::element::{Element, Namespace, Side, Write, application, netflow, own, standard};
use crate::sampling;
use crate::shape::Shape;
use std::collections::HashMap;

/// Enterprise of reverse elements (RFC 5103, 6.1).
pub(crate) const REVERSE_ENTERPRISE: u32 = 29_305;

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
        if let Some(index) = self.by_shape.get(&shape) {
            return *index;
        }
        let is_narrow = self.templates.len() < NARROW_TEMPLATES_MAX;
        let shape = if is_narrow { shape } else { shape.widened() };
        let templates = &mut self.templates;
        *self.by_shape.entry(shape).or_insert_with(|| {
            let id = u16::try_from(templates.len() + usize::from(sampling::TEMPLATES_END))
                .expect("there are fewer wide shapes than numbers");
            let (fields, scope) = fields(shape, config);
            let announcement = announce(id, &fields, scope, config);
            templates.push(Template { id, fields, scope, announcement, announced: 0 });
            templates.len() - 1
        })
    }
}

/// So many templates have only what their records need; traffic makes some dozens. Those beyond, which only traffic made
/// for it needs, have all parts that may be zero, so that they are not more than there are numbers.
const NARROW_TEMPLATES_MAX: usize = 1_000;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Biflow, MESSAGE_BYTES_MIN};
    use crate::element::VARIABLE;
    use crate::shape::tests::shapes;
    use kflow::AppProtocol;
    use std::collections::HashSet;

    /// Header and header of a set.
    const HEADERS: usize = 16 + 4;
    /// Templates and records for sampling, with the headers of their sets.
    const SAMPLING: usize = 2 * (4 + 6 + 4 * 4) + 2 * (4 + 14);
    /// Fields that are addresses are the longest variable ones, texts apart.
    const ADDRESS: usize = 1 + 16;

    #[test]
    fn wide_shapes_are_fewer_than_the_numbers_of_templates() {
        for biflow in [Biflow::TwoRecords, Biflow::Rfc5103] {
            let wide: HashSet<Shape> = shapes(biflow).map(Shape::widened).collect();
            let narrow = shapes(biflow).count();
            let transactions = 2 * 2 * 2 * (2 * AppProtocol::ALL.len() + 1);
            let templates = NARROW_TEMPLATES_MAX + wide.len() + transactions;
            assert!(templates + usize::from(sampling::TEMPLATES_END) < 65_536, "{biflow:?}: {templates}");
            assert!(narrow > 2 * wide.len(), "{biflow:?}: {narrow} and {}", wide.len());
        }
    }

    #[test]
    fn a_wide_template_is_that_of_all_shapes_that_become_it() {
        let config = IpfixConfig::new(([127, 0, 0, 1], 4739).into());
        let mut templates = Templates::default();
        let shapes: Vec<Shape> = shapes(Biflow::TwoRecords).collect();
        for shape in &shapes[..NARROW_TEMPLATES_MAX] {
            templates.get(*shape, &config);
        }
        let beyond = &shapes[NARROW_TEMPLATES_MAX..];
        for shape in beyond {
            let id = templates.get(*shape, &config).id;
            assert_eq!(templates.get(shape.widened(), &config).id, id);
        }
        let wide: HashSet<Shape> = beyond.iter().map(|shape| shape.widened()).collect();
        assert!(templates.templates.len() <= NARROW_TEMPLATES_MAX + wide.len());
    }

    #[test]
    fn the_largest_template_and_the_largest_record_without_texts_fit_the_smallest_message() {
        let mut config = IpfixConfig::new(([127, 0, 0, 1], 4739).into());
        config.biflow = Biflow::Rfc5103;
        let everything = ((Shape::SAID << 1) - 1) & !(Shape::TRANSACTION | Shape::ICMP);
        for protocol in AppProtocol::ALL {
            for bits in [everything, everything | Shape::TRANSACTION] {
                let shape = Shape(bits | u64::from(protocol.number()) << Shape::PROTOCOL_SHIFT);
                let (fields, scope) = fields(shape, &config);
                let template = announce(256, &fields, scope, &config).len();
                let record: usize = fields
                    .iter()
                    .map(|field| match field.element.length {
                        VARIABLE => ADDRESS,
                        length => usize::from(length),
                    })
                    .sum();
                assert!(HEADERS + template <= MESSAGE_BYTES_MIN, "{protocol:?}: {template}");
                assert!(HEADERS + SAMPLING + record <= MESSAGE_BYTES_MIN, "{protocol:?}: {record}");
            }
        }
    }
}
