//! A ClientHello's values as those of a session, for the protocols that begin with one.

use super::{
    client_hello::ClientHello,
    fingerprint::{self, Carrier},
};
use kflow::application::{Draft, Key};

/// The fields that a protocol has for a ClientHello.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    pub server_name: Key,
    pub alpn: Key,
    pub ja3: Key,
    pub ja4: Key,
    pub ciphers: Key,
    pub version: Option<Key>,
    pub versions: Option<Key>,
}

/// Sets what the client said. What is short and telling comes first: texts at the end are cut where there is no room.
pub fn describe(hello: &ClientHello<'_>, carrier: Carrier, keys: &Keys, draft: &mut Draft) {
    if let Some(name) = hello.server_name {
        draft.text(keys.server_name, name);
    }
    draft.text(keys.ja3, &fingerprint::ja3(hello));
    draft.text(keys.ja4, &fingerprint::ja4(hello, carrier));
    if let Some(key) = keys.version {
        draft.number(key, hello.version);
    }
    if let Some(alpn) = hello.alpn {
        draft.text_with(keys.alpn, |writer| {
            for (place, name) in alpn.iter().enumerate() {
                writer.push_str(if place > 0 { "," } else { "" });
                writer.push(name);
            }
        });
    }
    if let (Some(key), Some(versions)) = (keys.versions, hello.versions) {
        push_decimals(draft, key, versions.iter());
    }
    push_decimals(draft, keys.ciphers, hello.ciphers.iter());
}

/// Numbers with hyphens in between.
pub fn push_decimals<N: Into<u64>>(draft: &mut Draft, key: Key, numbers: impl Iterator<Item = N>) {
    draft.text_with(key, |writer| {
        for (place, number) in numbers.enumerate() {
            writer.push_str(if place > 0 { "-" } else { "" });
            writer.push_number(number.into());
        }
    });
}
