//! The versions whose first packets can be read, and what differs between them.
//!
//! | versions | numbers | source |
//! |---|---|---|
//! | 1 | `0x00000001` | RFC 9000, RFC 9001 section 5.2 |
//! | 2 | `0x6b3343cf` | RFC 9369 section 3 |
//! | 2, draft-ietf-quic-v2-01 to -07 | `0x709a50c4` | as version 2 |
//! | drafts 22 to 34 | `0xff000016` to `0xff000022` | draft-ietf-quic-tls of the same number, section 5.2 |
//! | mvfst | `0xfaceb001`, `…002`, `…00e` | its list of versions; salts of drafts 22 and 27 |
//! | Google Q050, T050, T051 | in ASCII | QUICHE, `crypto_utils.cc` |
//! | Google Q046 | in ASCII | QUIC Wire Layout Specification; not protected |
//!
//! Google's versions up to Q043 have a header of their own ([`super::google`]).

/// A version of which clients begin with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub number: u32,
    pub handshake: Handshake,
    /// The types of long headers, by their two bits.
    pub types: [PacketType; 4],
    pub protection: Option<&'static Protection>,
}

/// What keys of Initial packets are derived with (RFC 9001, section 5).
#[derive(Debug, PartialEq, Eq)]
pub struct Protection {
    pub salt: [u8; 20],
    pub key: &'static [u8],
    pub iv: &'static [u8],
    pub header: &'static [u8],
}

/// What the handshake speaks, and in what frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// TLS 1.3 in CRYPTO frames of RFC 9000.
    Tls,
    /// TLS 1.3 in frames of Google's own.
    GoogleTls,
    /// Google's messages of tags, in frames of Google's own.
    GoogleTags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

impl Version {
    /// `None` of a version that is not known.
    pub fn find(number: u32) -> Option<Version> {
        let version = |handshake, types, protection| Version { number, handshake, types, protection };
        let tls = |protection| version(Handshake::Tls, TYPES, Some(protection));
        Some(match number {
            1 | 0xff00_0021 | 0xff00_0022 => tls(&VERSION_1),
            0x6b33_43cf | 0x709a_50c4 => version(Handshake::Tls, TYPES_2, Some(&VERSION_2)),
            0xff00_0016 | 0xface_b001 => tls(&DRAFT_22),
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => tls(&DRAFT_23),
            0xff00_001d..=0xff00_0020 => tls(&DRAFT_29),
            T051 => tls(&GOOGLE_T051),
            T050 => version(Handshake::GoogleTls, TYPES, Some(&GOOGLE_T050)),
            Q050 => version(Handshake::GoogleTags, TYPES, Some(&GOOGLE_Q050)),
            Q046 => version(Handshake::GoogleTags, TYPES, None),
            _ => return None,
        })
    }

    pub fn packet_type(&self, first: u8) -> PacketType {
        self.types[usize::from(first >> 4 & 0x3)]
    }
}

/// Whether a client uses a number to see whether the server negotiates (RFC 9000, section 15).
pub fn is_reserved(number: u32) -> bool {
    number & 0x0f0f_0f0f == 0x0a0a_0a0a
}

/// Whether a number that is not known is still one of QUIC's: reserved, or one of mvfst's.
pub fn is_expected(number: u32) -> bool {
    is_reserved(number) || (number & 0xffff_f000 == MVFST && Version::find(number).is_none())
}

/// What numbers of mvfst begin with.
const MVFST: u32 = 0xface_b000;
const Q046: u32 = u32::from_be_bytes(*b"Q046");
const Q050: u32 = u32::from_be_bytes(*b"Q050");
const T050: u32 = u32::from_be_bytes(*b"T050");
const T051: u32 = u32::from_be_bytes(*b"T051");

const TYPES: [PacketType; 4] =
    [PacketType::Initial, PacketType::ZeroRtt, PacketType::Handshake, PacketType::Retry];
const TYPES_2: [PacketType; 4] =
    [PacketType::Retry, PacketType::Initial, PacketType::ZeroRtt, PacketType::Handshake];

static VERSION_1: Protection = with_salt([
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
]);

static VERSION_2: Protection = Protection {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
        0xbd, 0x2e, 0xd9,
    ],
    key: b"quicv2 key",
    iv: b"quicv2 iv",
    header: b"quicv2 hp",
};

static DRAFT_22: Protection = with_salt([
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a,
    0x02, 0x64, 0x4a,
]);

static DRAFT_23: Protection = with_salt([
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe,
    0xf9, 0xf5, 0x02,
]);

static DRAFT_29: Protection = with_salt([
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43,
    0x90, 0xa8, 0x99,
]);

static GOOGLE_Q050: Protection = with_salt([
    0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3,
    0xb5, 0x6b, 0x45,
]);

static GOOGLE_T050: Protection = with_salt([
    0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60,
    0x48, 0x83, 0x10,
]);

static GOOGLE_T051: Protection = with_salt([
    0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda,
    0x6e, 0x03, 0x3d,
]);

/// With the labels of version 1.
const fn with_salt(salt: [u8; 20]) -> Protection {
    Protection { salt, key: b"quic key", iv: b"quic iv", header: b"quic hp" }
}
