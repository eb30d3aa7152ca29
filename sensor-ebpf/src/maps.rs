//! The program's maps; names and shapes are part of the contract in `lib.rs`.

use crate::fragments::FragmentKey;
use aya_ebpf::{
    macros::map,
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray, XskMap},
};
use sensor_ebpf::{
    COUNTERS_LEN, Counter, FRAGMENTED_PACKETS_MAX, PREFIXES_MAX, SOCKETS_MAX, Settings, TUNNEL_PORT_WORDS,
};

#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
#[map]
pub static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(COUNTERS_LEN, 0);
#[map]
pub static SOCKETS: XskMap = XskMap::with_max_entries(SOCKETS_MAX, 0);
#[map]
pub static PREFIXES_V4: LpmTrie<[u8; 4], u8> = LpmTrie::with_max_entries(PREFIXES_MAX, 0);
#[map]
pub static PREFIXES_V6: LpmTrie<[u8; 16], u8> = LpmTrie::with_max_entries(PREFIXES_MAX, 0);
/// One rule a port number.
#[map]
pub static PORTS: Array<u8> = Array::with_max_entries(65536, 0);
/// One rule an IP protocol number.
#[map]
pub static PROTOCOLS: Array<u8> = Array::with_max_entries(256, 0);
/// A bit a UDP port.
#[map]
pub static TUNNEL_PORTS: Array<u64> = Array::with_max_entries(TUNNEL_PORT_WORDS, 0);
/// Ports and protocol by fragmented packet. Shared by all CPUs: a card that hashes ports puts the first fragment into
/// another queue than the later ones.
#[map]
pub static FRAGMENTS: LruHashMap<FragmentKey, u64> = LruHashMap::with_max_entries(FRAGMENTED_PACKETS_MAX, 0);
