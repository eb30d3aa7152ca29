//! What the exporter says of its sampling: records of options, in front of the first record with another rate.
//!
//! Two ways at once, because collectors know one or the other: a selector whose number is the rate, which sampled
//! records name; and the rate of the domain from here on, until another is said.

use crate::config::{Format, IpfixConfig, Sampling};
use crate::element::write_number;

/// An options template and how its record is filled.
#[derive(Debug)]
pub(crate) struct Options {
    /// The number of the template.
    pub id: u16,
    /// The first one is the scope.
    fields: &'static [Field],
}

#[derive(Debug)]
struct Field {
    number: u16,
    length: u16,
    value: fn(&Said) -> u64,
}

/// What is said.
#[derive(Clone, Copy, Debug)]
struct Said {
    rate: u32,
    domain: u32,
}

/// The first number that a template of options may have (RFC 7011, 3.4.1), and the first for others.
const FIRST_TEMPLATE: u16 = 256;
pub(crate) const TEMPLATES_END: u16 = FIRST_TEMPLATE + 2;

/// As if packets were sampled: one, then so many that are left out (RFC 5476, 6.5.2). In truth a hash of the flow
/// chooses; this is the algorithm whose parameters collectors read.
const PACKETS: &[Options] = &[
    Options {
        id: FIRST_TEMPLATE,
        fields: &[
            field(302, 4, |said| said.rate.into()),       // selectorId
            field(304, 2, |_| 1),                         // selectorAlgorithm: systematic, by count
            field(305, 4, |_| 1),                         // samplingPacketInterval
            field(306, 4, |said| (said.rate - 1).into()), // samplingPacketSpace
        ],
    },
    Options {
        id: FIRST_TEMPLATE + 1,
        fields: &[
            field(149, 4, |said| said.domain.into()), // observationDomainId
            field(34, 4, |said| said.rate.into()),    // samplingInterval
        ],
    },
];

/// As it is: each flow with the same chance (RFC 7014, 7).
const FLOWS: &[Options] = &[Options {
    id: FIRST_TEMPLATE,
    fields: &[
        field(302, 4, |said| said.rate.into()), // selectorId
        field(390, 2, |_| 4),                   // flowSelectorAlgorithm: uniform chance
        field(311, 8, |said| (1.0 / f64::from(said.rate)).to_bits()), // samplingProbability
    ],
}];

/// RFC 3954, 8.
const NETFLOW: &[Options] = &[
    Options {
        id: FIRST_TEMPLATE,
        fields: &[
            field(1, 4, |_| 0),                    // scope: System
            field(48, 4, |said| said.rate.into()), // FLOW_SAMPLER_ID
            field(49, 1, |_| 2),                   // FLOW_SAMPLER_MODE: random
            field(50, 4, |said| said.rate.into()), // FLOW_SAMPLER_RANDOM_INTERVAL
        ],
    },
    Options {
        id: FIRST_TEMPLATE + 1,
        fields: &[
            field(1, 4, |_| 0),                    // scope: System
            field(34, 4, |said| said.rate.into()), // SAMPLING_INTERVAL
        ],
    },
];

/// What there is to say, and in which templates.
pub(crate) fn options(config: &IpfixConfig) -> &'static [Options] {
    match (config.format, config.sampling) {
        (Format::Ipfix, Sampling::Packets) => PACKETS,
        (Format::Ipfix, Sampling::Flows) => FLOWS,
        (Format::NetflowV9, Sampling::Packets) => NETFLOW,
        (Format::NetflowV9, Sampling::Flows) => &[],
    }
}

impl Options {
    /// Appends the options template, without the header of the set.
    pub fn write_template(&self, format: Format, output: &mut Vec<u8>) {
        let count = self.fields.len() as u16;
        let counts = match format {
            // Fields, and those of the scope among them.
            Format::Ipfix => [count, 1],
            // Bytes of the scope's fields, and of the others.
            Format::NetflowV9 => [4, 4 * (count - 1)],
        };
        let specifiers = self.fields.iter().flat_map(|field| [field.number, field.length]);
        let words = [self.id].into_iter().chain(counts).chain(specifiers);
        output.extend(words.flat_map(u16::to_be_bytes));
    }

    /// Appends the record of a rate, which is 1 at least.
    pub fn write_record(&self, rate: u32, config: &IpfixConfig, output: &mut Vec<u8>) {
        let said = Said { rate, domain: config.domain };
        for field in self.fields {
            write_number((field.value)(&said), field.length, output);
        }
    }
}

const fn field(number: u16, length: u16, value: fn(&Said) -> u64) -> Field {
    Field { number, length, value }
}
