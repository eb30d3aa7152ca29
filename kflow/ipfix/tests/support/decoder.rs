//! A decoder of messages that shares nothing with the encoder: RFC 7011 and RFC 3954 read anew.

use std::collections::HashMap;

/// What is known of one exporter.
#[derive(Debug, Default)]
pub struct Decoder {
    templates: HashMap<u16, Template>,
    /// Data records or messages so far.
    sequence: u32,
    /// How many of these did not come; panics where there are any unless it is allowed.
    pub missing: u32,
    may_miss: bool,
}

#[derive(Clone, Debug)]
struct Template {
    fields: Vec<Specifier>,
    scope: usize,
    is_options: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Specifier {
    enterprise: u32,
    number: u16,
    length: u16,
}

/// A message.
#[derive(Debug, Default)]
pub struct Decoded {
    pub export_s: u32,
    /// NetFlow's; else 0.
    pub uptime_ms: u32,
    pub domain: u32,
    pub templates: usize,
    pub records: Vec<DataRecord>,
}

/// A record of data, or of options.
#[derive(Debug)]
pub struct DataRecord {
    pub template: u16,
    pub is_options: bool,
    /// Fields of the scope, the first ones.
    pub scope: usize,
    pub fields: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub enterprise: u32,
    pub number: u16,
    pub bytes: Vec<u8>,
}

impl Field {
    pub fn value(&self) -> u64 {
        self.bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

impl DataRecord {
    /// The number in this element of IANA's.
    pub fn iana(&self, number: u16) -> Option<u64> {
        let is_it = |field: &&Field| field.enterprise == 0 && field.number == number;
        Some(self.fields.iter().find(is_it)?.value())
    }
}

const ENTERPRISE_BIT: u16 = 0x8000;
const VARIABLE: u16 = 0xFFFF;

impl Decoder {
    /// A decoder to which not every message comes.
    pub fn of_lossy() -> Decoder {
        Decoder { may_miss: true, ..Decoder::default() }
    }

    /// Reads a message, and panics where it is not as it should be.
    pub fn decode(&mut self, message: &[u8]) -> Decoded {
        let mut input = Input(message);
        match input.u16() {
            10 => self.decode_ipfix(message.len(), input),
            9 => self.decode_netflow(input),
            version => panic!("version {version}"),
        }
    }

    fn decode_ipfix(&mut self, length: usize, mut input: Input<'_>) -> Decoded {
        assert_eq!(usize::from(input.u16()), length);
        let export_s = input.u32();
        self.check_sequence(input.u32());
        let mut decoded = Decoded { export_s, domain: input.u32(), ..Decoded::default() };
        while !input.0.is_empty() {
            let (id, set) = input.set();
            self.read_set(id, set, 2, &mut decoded);
        }
        self.sequence = self.sequence.wrapping_add(decoded.records.len() as u32);
        decoded
    }

    fn decode_netflow(&mut self, mut input: Input<'_>) -> Decoded {
        let count = usize::from(input.u16());
        let (uptime_ms, export_s) = (input.u32(), input.u32());
        self.check_sequence(input.u32());
        let mut decoded = Decoded { export_s, uptime_ms, domain: input.u32(), ..Decoded::default() };
        while !input.0.is_empty() {
            let (id, set) = input.set();
            assert_eq!(set.0.len() % 4, 0, "sets end at 32 bits");
            self.read_set(id, set, 0, &mut decoded);
        }
        assert_eq!(decoded.templates + decoded.records.len(), count);
        self.sequence = self.sequence.wrapping_add(1);
        decoded
    }

    fn check_sequence(&mut self, sequence: u32) {
        assert!(self.may_miss || sequence == self.sequence, "{sequence} comes instead of {}", self.sequence);
        self.missing += sequence.wrapping_sub(self.sequence);
        self.sequence = sequence;
    }

    /// `templates_set` is the number of the set of templates; that of options is one more.
    fn read_set(&mut self, id: u16, mut set: Input<'_>, templates_set: u16, decoded: &mut Decoded) {
        let is_netflow = templates_set == 0;
        let records_before = decoded.templates + decoded.records.len();
        if id == templates_set || id == templates_set + 1 {
            // Padding is shorter than a template.
            while set.0.len() >= 4 {
                self.read_template(&mut set, id != templates_set, is_netflow);
                decoded.templates += 1;
            }
        } else {
            let template = self.templates.get(&id).unwrap_or_else(|| panic!("template {id} is not known"));
            let shortest: usize = template.fields.iter().map(Specifier::shortest).sum();
            while set.0.len() >= shortest {
                decoded.records.push(template.read(id, &mut set));
            }
        }
        assert!(decoded.templates + decoded.records.len() > records_before, "an empty set");
        assert!(set.0.len() < if is_netflow { 4 } else { 1 }, "{} bytes behind the records", set.0.len());
        assert!(set.0.iter().all(|byte| *byte == 0));
    }

    fn read_template(&mut self, set: &mut Input<'_>, is_options: bool, is_netflow: bool) {
        let id = set.u16();
        assert!(id >= 256);
        let (count, scope) = match (is_options, is_netflow) {
            (false, _) => (set.u16(), 0),
            (true, false) => (set.u16(), set.u16()),
            (true, true) => {
                let (scope_bytes, option_bytes) = (set.u16(), set.u16());
                ((scope_bytes + option_bytes) / 4, scope_bytes / 4)
            }
        };
        assert!(!is_options || (1..count).contains(&scope));
        let fields: Vec<Specifier> = (0..count).map(|_| Specifier::read(set, is_netflow)).collect();
        let template = Template { fields, scope: usize::from(scope), is_options };
        if let Some(old) = self.templates.get(&id) {
            assert_eq!(old.fields, template.fields, "a template does not change");
        }
        self.templates.insert(id, template);
    }
}

impl Specifier {
    fn read(input: &mut Input<'_>, is_netflow: bool) -> Specifier {
        let (number, length) = (input.u16(), input.u16());
        let has_enterprise = number & ENTERPRISE_BIT != 0;
        assert!(!(is_netflow && has_enterprise));
        let enterprise = if has_enterprise { input.u32() } else { 0 };
        Specifier { enterprise, number: number & !ENTERPRISE_BIT, length }
    }

    /// The fewest bytes that a value takes.
    fn shortest(&self) -> usize {
        if self.length == VARIABLE { 1 } else { usize::from(self.length) }
    }
}

impl Template {
    fn read(&self, id: u16, input: &mut Input<'_>) -> DataRecord {
        let read = |specifier: &Specifier| {
            let length = match specifier.length {
                VARIABLE => match input.u8() {
                    255 => usize::from(input.u16()),
                    length => usize::from(length),
                },
                length => usize::from(length),
            };
            let bytes = input.take(length).to_vec();
            Field { enterprise: specifier.enterprise, number: specifier.number, bytes }
        };
        let fields = self.fields.iter().map(read).collect();
        DataRecord { template: id, is_options: self.is_options, scope: self.scope, fields }
    }
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).expect("the message goes on");
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn set(&mut self) -> (u16, Input<'a>) {
        let (id, length) = (self.u16(), usize::from(self.u16()));
        (id, Input(self.take(length - 4)))
    }
}
