//! The table of record types: their names, and of what their data are made.

use Part::{Domain, Hex, Ipv4, Ipv6, Omitted, Parameters, Piece, Pieces, Rest, Type, U8, U16, U32};
use kflow::application::TextWriter;

/// Data are made of parts, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A name, maybe compressed.
    Domain,
    U8,
    U16,
    U32,
    Ipv4,
    Ipv6,
    /// The number of a type.
    Type,
    /// Text with its length before it.
    Piece,
    /// All that is left: texts with their lengths before them.
    Pieces,
    /// All that is left: text.
    Rest,
    /// All that is left: octets.
    Hex,
    /// All that is left: parameters of a service (RFC 9460).
    Parameters,
    /// All that is left: a key, a signature, a bitmap.
    Omitted,
}

#[derive(Debug)]
pub struct Kind {
    number: u16,
    pub name: &'static str,
    /// None if the data are only measured.
    pub parts: &'static [Part],
}

/// In the order of their numbers (IANA DNS parameters).
const KINDS: &[Kind] = &[
    kind(1, "A", &[Ipv4]),
    kind(2, "NS", &[Domain]),
    kind(3, "MD", &[Domain]),
    kind(4, "MF", &[Domain]),
    kind(5, "CNAME", &[Domain]),
    kind(6, "SOA", &[Domain, Domain, U32, U32, U32, U32, U32]),
    kind(7, "MB", &[Domain]),
    kind(8, "MG", &[Domain]),
    kind(9, "MR", &[Domain]),
    kind(10, "NULL", &[]),
    kind(11, "WKS", &[]),
    kind(12, "PTR", &[Domain]),
    kind(13, "HINFO", &[Piece, Piece]),
    kind(14, "MINFO", &[Domain, Domain]),
    kind(15, "MX", &[U16, Domain]),
    kind(16, "TXT", &[Pieces]),
    kind(17, "RP", &[Domain, Domain]),
    kind(18, "AFSDB", &[U16, Domain]),
    kind(19, "X25", &[Piece]),
    kind(20, "ISDN", &[Pieces]),
    kind(21, "RT", &[U16, Domain]),
    kind(24, "SIG", &[Type, U8, U8, U32, U32, U32, U16, Domain, Omitted]),
    kind(25, "KEY", &[U16, U8, U8, Omitted]),
    kind(28, "AAAA", &[Ipv6]),
    kind(29, "LOC", &[]),
    kind(33, "SRV", &[U16, U16, U16, Domain]),
    kind(35, "NAPTR", &[U16, U16, Piece, Piece, Piece, Domain]),
    kind(36, "KX", &[U16, Domain]),
    kind(37, "CERT", &[U16, U16, U8, Omitted]),
    kind(39, "DNAME", &[Domain]),
    kind(41, "OPT", &[]),
    kind(42, "APL", &[]),
    kind(43, "DS", &[U16, U8, U8, Hex]),
    kind(44, "SSHFP", &[U8, U8, Hex]),
    kind(45, "IPSECKEY", &[]),
    kind(46, "RRSIG", &[Type, U8, U8, U32, U32, U32, U16, Domain, Omitted]),
    kind(47, "NSEC", &[Domain, Omitted]),
    kind(48, "DNSKEY", &[U16, U8, U8, Omitted]),
    kind(49, "DHCID", &[]),
    kind(50, "NSEC3", &[]),
    kind(51, "NSEC3PARAM", &[]),
    kind(52, "TLSA", &[U8, U8, U8, Hex]),
    kind(53, "SMIMEA", &[U8, U8, U8, Hex]),
    kind(55, "HIP", &[]),
    kind(59, "CDS", &[U16, U8, U8, Hex]),
    kind(60, "CDNSKEY", &[U16, U8, U8, Omitted]),
    kind(61, "OPENPGPKEY", &[]),
    kind(62, "CSYNC", &[U32, U16, Omitted]),
    kind(63, "ZONEMD", &[U32, U8, U8, Hex]),
    kind(64, "SVCB", &[U16, Domain, Parameters]),
    kind(65, "HTTPS", &[U16, Domain, Parameters]),
    kind(99, "SPF", &[Pieces]),
    kind(108, "EUI48", &[Hex]),
    kind(109, "EUI64", &[Hex]),
    kind(249, "TKEY", &[]),
    kind(250, "TSIG", &[]),
    kind(251, "IXFR", &[]),
    kind(252, "AXFR", &[]),
    kind(255, "ANY", &[]),
    kind(256, "URI", &[U16, U16, Rest]),
    kind(257, "CAA", &[U8, Piece, Rest]),
    kind(32769, "DLV", &[U16, U8, U8, Hex]),
];

/// Where in the table the types with low numbers are; behind its end are those that it does not have.
const PLACES: [u8; 260] = {
    let mut places = [u8::MAX; 260];
    let mut place = 0;
    while place < KINDS.len() {
        let number = KINDS[place].number as usize;
        if number < places.len() {
            places[number] = place as u8;
        }
        place += 1;
    }
    places
};

const _: () = assert!(KINDS.len() < u8::MAX as usize);

const fn kind(number: u16, name: &'static str, parts: &'static [Part]) -> Kind {
    Kind { number, name, parts }
}

impl Kind {
    pub fn find(number: u16) -> Option<&'static Kind> {
        let place = match PLACES.get(usize::from(number)) {
            Some(place) => usize::from(*place),
            None => KINDS.binary_search_by_key(&number, |kind| kind.number).ok()?,
        };
        KINDS.get(place)
    }
}

/// The name of a type, such as `AAAA`; `TYPE65280` if it has none (RFC 3597).
pub fn write_kind(number: u16, writer: &mut TextWriter<'_>) {
    match Kind::find(number) {
        Some(kind) => writer.push_str(kind.name),
        None => {
            writer.push_str("TYPE");
            writer.push_number(u64::from(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_the_order_of_their_numbers() {
        assert!(KINDS.is_sorted_by(|a, b| a.number < b.number));
    }

    #[test]
    fn types_are_found_by_their_numbers() {
        for kind in KINDS {
            assert_eq!(Kind::find(kind.number).map(|found| found.name), Some(kind.name));
        }
        let known = (0..=u16::MAX).filter(|number| Kind::find(*number).is_some());
        assert_eq!(known.count(), KINDS.len());
    }

    #[test]
    fn what_takes_all_that_is_left_is_the_last_part() {
        for kind in KINDS {
            let rest =
                kind.parts.iter().position(|part| matches!(part, Pieces | Rest | Hex | Parameters | Omitted));
            assert!(rest.is_none_or(|place| place + 1 == kind.parts.len()), "{}", kind.name);
        }
    }
}
