//! Keys of Initial packets (RFC 9001, section 5.2). Whoever sees the first packet can derive them: they protect against
//! nothing but accidents, and so need no care against side channels.

use super::version::Protection;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What one side protects its packets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    pub key: [u8; 16],
    pub iv: [u8; 12],
    pub header: [u8; 16],
}

/// Both sides' keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPair {
    pub client: Keys,
    pub server: Keys,
}

impl KeyPair {
    /// From the destination connection id of the client's first packet.
    pub fn derive(protection: &Protection, destination: &[u8]) -> KeyPair {
        let mut extract = hmac(&protection.salt);
        extract.update(destination);
        let initial = hmac(&extract.finalize().into_bytes());
        let side = |label| Keys::derive(protection, &hmac(&expand::<32>(&initial, label)));
        KeyPair { client: side(b"client in"), server: side(b"server in") }
    }
}

impl Keys {
    fn derive(protection: &Protection, secret: &Hmac<Sha256>) -> Keys {
        Keys {
            key: expand(secret, protection.key),
            iv: expand(secret, protection.iv),
            header: expand(secret, protection.header),
        }
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HKDF-Expand-Label (RFC 8446, section 7.1) of one block at most, without a context.
fn expand<const BYTES: usize>(secret: &Hmac<Sha256>, label: &[u8]) -> [u8; BYTES] {
    const { assert!(BYTES <= 32) };
    const PREFIX: &[u8] = b"tls13 ";
    const CONTEXT_BYTES: u8 = 0;
    const FIRST_BLOCK: u8 = 1;
    let mut block = secret.clone();
    block.update(&(BYTES as u16).to_be_bytes());
    block.update(&[(PREFIX.len() + label.len()) as u8]);
    block.update(PREFIX);
    block.update(label);
    block.update(&[CONTEXT_BYTES, FIRST_BLOCK]);
    let block = block.finalize().into_bytes();
    let mut key = [0; BYTES];
    key.copy_from_slice(&block[..BYTES]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::{sealer::hex, version::Version};

    fn derived(version: u32) -> KeyPair {
        let protection = Version::find(version).unwrap().protection.unwrap();
        KeyPair::derive(protection, &hex("8394c8f03e515708"))
    }

    fn keys(key: &str, iv: &str, header: &str) -> Keys {
        Keys {
            key: hex(key).try_into().unwrap(),
            iv: hex(iv).try_into().unwrap(),
            header: hex(header).try_into().unwrap(),
        }
    }

    /// RFC 9001, section A.1.
    #[test]
    fn keys_of_version_1_are_those_of_the_standard() {
        let client = keys(
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        );
        let server = keys(
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        );
        assert_eq!(derived(1), KeyPair { client, server });
    }

    /// RFC 9369, section A.1.
    #[test]
    fn keys_of_version_2_are_those_of_the_standard() {
        let client = keys(
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        );
        let server = keys(
            "82db637861d55e1d011f19ea71d5d2a7",
            "dd13c276499c0249d3310652",
            "edf6d05c83121201b436e16877593c3a",
        );
        assert_eq!(derived(0x6b33_43cf), KeyPair { client, server });
    }
}
