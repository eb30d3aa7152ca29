//! Opens Initial packets (RFC 9001, sections 5.3 and 5.4): AES-128-GCM below header protection with AES-128.
//!
//! GCM is put together here from AES and GHASH: the keys are no secret, the crates for the rest would be three more.

use super::{header::Initial, keys::Keys};
use aes::{
    Aes128, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use ghash::{GHash, universal_hash::UniversalHash};
use std::ops::Range;

/// Longer packets are not opened.
pub const PACKET_BYTES_MAX: usize = 2048;
/// The tag behind the payload; also the sample that header protection takes.
pub const TAG_BYTES: usize = 16;
/// The sample is where the payload begins if the packet number is as long as can be.
const SAMPLE_OFFSET: usize = 4;
/// Blocks of the key stream made in one go, for the processor to work on side by side.
const BLOCKS: usize = 8;

/// Where a packet is opened.
pub type Opened = [u8; PACKET_BYTES_MAX];

/// Where the payload is, if the tag says that these are the packet's keys and its bytes. The packet is no longer than
/// [`PACKET_BYTES_MAX`].
pub fn open(keys: &Keys, packet: &Initial<'_>, opened: &mut Opened) -> Option<Range<usize>> {
    let bytes = opened.get_mut(..packet.bytes.len())?;
    bytes.copy_from_slice(packet.bytes);
    let sample = bytes.get(packet.number_at + SAMPLE_OFFSET..)?.first_chunk()?;
    let mask = header_mask(keys, sample);
    bytes[0] ^= mask[0] & 0x0f;
    let number_bytes = usize::from(bytes[0] & 0x03) + 1;
    // The sample lies behind: the whole number is there.
    let payload_at = packet.number_at + number_bytes;
    let (header, payload) = bytes.split_at_mut(payload_at);
    let mut number = 0;
    for (byte, mask) in header[packet.number_at..].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
        number = number << 8 | u32::from(*byte);
    }
    let (ciphertext, tag) = payload.split_last_chunk_mut::<TAG_BYTES>()?;
    let gcm = Gcm::new(keys, number);
    if gcm.tag(header, ciphertext) != *tag {
        return None;
    }
    gcm.apply(ciphertext);
    Some(payload_at..packet.bytes.len() - TAG_BYTES)
}

/// What the first byte and the packet number are masked with.
pub fn header_mask(keys: &Keys, sample: &[u8; TAG_BYTES]) -> [u8; TAG_BYTES] {
    encrypt(&Aes128::new(&keys.header.into()), *sample)
}

/// AES-128-GCM for one packet.
pub struct Gcm {
    cipher: Aes128,
    nonce: [u8; 12],
}

impl Gcm {
    /// Packet numbers count from zero, and a connection is looked at only while they are small: the part that is sent
    /// is the whole.
    pub fn new(keys: &Keys, number: u32) -> Gcm {
        let mut nonce = keys.iv;
        for (place, byte) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
            *place ^= byte;
        }
        Gcm { cipher: Aes128::new(&keys.key.into()), nonce }
    }

    pub fn tag(&self, header: &[u8], ciphertext: &[u8]) -> [u8; TAG_BYTES] {
        let mut hash = GHash::new(&encrypt(&self.cipher, [0; 16]).into());
        hash.update_padded(header);
        hash.update_padded(ciphertext);
        let bits = |bytes: &[u8]| (bytes.len() as u64 * 8).to_be_bytes();
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&bits(header));
        lengths[8..].copy_from_slice(&bits(ciphertext));
        hash.update(&[lengths.into()]);
        xor(hash.finalize().into(), encrypt(&self.cipher, self.counter(1)))
    }

    /// Encrypts or decrypts.
    pub fn apply(&self, text: &mut [u8]) {
        let (blocks, tail) = text.as_chunks_mut();
        let mut count = 2;
        for blocks in blocks.chunks_mut(BLOCKS) {
            for (block, key) in blocks.iter_mut().zip(self.key_stream(count)) {
                *block = xor(*block, key.into());
            }
            count += blocks.len() as u32;
        }
        for (byte, key) in tail.iter_mut().zip(encrypt(&self.cipher, self.counter(count))) {
            *byte ^= key;
        }
    }

    fn key_stream(&self, count: u32) -> [Block; BLOCKS] {
        let mut blocks = std::array::from_fn(|place| self.counter(count + place as u32).into());
        self.cipher.encrypt_blocks(&mut blocks);
        blocks
    }

    fn counter(&self, count: u32) -> [u8; 16] {
        let mut block = [0; 16];
        block[..12].copy_from_slice(&self.nonce);
        block[12..].copy_from_slice(&count.to_be_bytes());
        block
    }
}

fn xor(one: [u8; 16], other: [u8; 16]) -> [u8; 16] {
    (u128::from_ne_bytes(one) ^ u128::from_ne_bytes(other)).to_ne_bytes()
}

fn encrypt(cipher: &Aes128, block: [u8; 16]) -> [u8; 16] {
    let mut block = Block::from(block);
    cipher.encrypt_block(&mut block);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::{
        header::{self, Packet},
        opener::Role,
        sealer::{CLIENT_HELLO, SERVER_HELLO, Sealer, crypto, hex},
    };
    use proptest::prelude::*;

    const VERSION_1: u32 = 1;
    const VERSION_2: u32 = 0x6b33_43cf;

    /// The payload of a datagram's first packet.
    fn opened(datagram: &[u8], keys: &Keys) -> Option<Vec<u8>> {
        let Ok((_, Packet::Initial(initial))) = header::packet(datagram) else {
            panic!("it is an Initial packet")
        };
        let mut opened = [0; PACKET_BYTES_MAX];
        let payload = open(keys, &initial, &mut opened)?;
        Some(opened[payload].to_vec())
    }

    /// RFC 9001, section A.2: header, first sixteen bytes behind it, tag.
    #[test]
    fn a_client_of_version_1_seals_as_the_standard_does() {
        let sealer = Sealer::client(VERSION_1);
        let packet = sealer.seal_padded(&crypto(0, &hex(CLIENT_HELLO)));
        assert_eq!(packet.len(), 1200);
        assert_eq!(packet[..22], hex("c000000001088394c8f03e5157080000449e7b9aec34"));
        assert_eq!(packet[22..38], hex("d1b1c98dd7689fb8ec11d242b123dc9b"));
        assert_eq!(packet[1184..], hex("e221af44860018ab0856972e194cd934"));
        let payload = opened(&packet, &sealer.keys()).unwrap();
        assert_eq!(payload[..4], hex("060040f1"));
        assert_eq!(payload.len(), 1162);
    }

    /// RFC 9001, section A.3.
    #[test]
    fn a_server_of_version_1_is_opened_as_the_standard_has_it() {
        let packet = hex(
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a9
             9f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd9
             3795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
        );
        let payload = opened(&packet, &Sealer::server(VERSION_1).keys()).unwrap();
        let expected = [hex("02000000000600405a"), hex(SERVER_HELLO)].concat();
        assert_eq!(payload, expected);
        assert_eq!(Sealer::server(VERSION_1).seal(&payload), packet);
    }

    /// RFC 9369, section A.2: header and first sixteen bytes behind it.
    #[test]
    fn a_client_of_version_2_seals_as_the_standard_does() {
        let packet = Sealer::client(VERSION_2).seal_padded(&crypto(0, &hex(CLIENT_HELLO)));
        assert_eq!(packet[..22], hex("d76b3343cf088394c8f03e5157080000449ea0c95e82"));
        assert_eq!(packet[22..38], hex("ffe67b6abcdb4298b485dd04de806071"));
    }

    /// RFC 9369, section A.3.
    #[test]
    fn a_server_of_version_2_is_opened_as_the_standard_has_it() {
        let packet = hex(
            "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf872630179153
             58230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0
             812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140",
        );
        let payload = opened(&packet, &Sealer::server(VERSION_2).keys()).unwrap();
        assert_eq!(payload[9..], hex(SERVER_HELLO));
    }

    #[test]
    fn a_packet_opens_with_its_own_keys_and_as_it_was_sealed() {
        let sealer = Sealer::client(VERSION_1);
        let packet = sealer.seal(&[0x01; 100]);
        assert_eq!(opened(&packet, &sealer.keys()), Some(vec![0x01; 100]));
        let server = Sealer { role: Role::Server, ..sealer.clone() };
        assert_eq!(opened(&packet, &server.keys()), None);
        for place in [1, 7, 20, 60, packet.len() - 1] {
            let mut changed = packet.clone();
            changed[place] ^= 0x10;
            if matches!(header::packet(&changed), Ok((_, Packet::Initial(_)))) {
                assert_eq!(opened(&changed, &sealer.keys()), None, "byte {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(
            payload in prop::collection::vec(any::<u8>(), 4..400),
            number in any::<u32>(),
            number_bytes in 1usize..=4,
        ) {
            let number = number >> (32 - 8 * number_bytes as u32);
            let sealer = Sealer { number, number_bytes, ..Sealer::client(VERSION_1) };
            prop_assert_eq!(opened(&sealer.seal(&payload), &sealer.keys()), Some(payload));
        }
    }
}
