//! Records that wait to be sent, and the choice among them when they are too many.
//!
//! A window has room for a number of records. While they fit, it keeps all. At the limit it does not drop what comes
//! last: it thins, and says by how much.
//!
//! 1. Every flow has a place in a circle of 2⁶⁴: the hash of its two ends, the same in both directions and in all of
//!    its records. The seed is secret, so that nobody chooses flows that stay.
//! 2. A window with thinning factor `f` keeps the flows whose place is below 2⁶⁴ ÷ `f`. It begins with `f` = 1.
//! 3. When the window is full, `f` grows by an eighth and what is beyond the new bound goes. So at all times exactly
//!    the flows below one bound are there, whenever they came.
//! 4. Whoever takes the window multiplies the sample rate of each record by `f`. Sums over records times their sample
//!    rate are right in the mean, for every group of flows (adaptive sampling: Flajolet, "On adaptive sampling",
//!    Computing 43, 1990).
//!
//! `f` counts in hundredths, because sample rates have two decimals on the wire: no factor has to be rounded.

use kflow::{Endpoint, FlowRecord, chf::Chf};
use std::{
    hash::{DefaultHasher, Hasher},
    net::IpAddr,
};

/// A factor of one: every record is there.
pub const FACTOR_ONE: u32 = 100;

/// Something that belongs to a flow.
pub trait OfFlow {
    /// The same for all that belongs to one conversation, whichever side it names first.
    fn flow_hash(&self, seed: u64) -> u64;
}

/// Records of one interval.
#[derive(Debug)]
pub struct Window<T> {
    records: Vec<T>,
    capacity: usize,
    seed: u64,
    factor_hundredths: u32,
    /// Flows with a hash up to this stay.
    bound: u64,
}

/// What a window held when it was taken.
#[derive(Debug)]
pub struct Taken<T> {
    pub records: Vec<T>,
    /// Each record stands for this many hundredths of one.
    pub factor_hundredths: u32,
}

impl<T: OfFlow> Window<T> {
    pub fn new(capacity: usize, seed: u64) -> Window<T> {
        assert!(capacity > 0, "a window has room for a record");
        Window { records: Vec::new(), capacity, seed, factor_hundredths: FACTOR_ONE, bound: u64::MAX }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records fit. What is there already beyond it is thinned at the next push.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    /// Takes a record in, unless its flow was thinned out. Returns how many records had to go, itself among them.
    pub fn push(&mut self, record: T) -> u64 {
        if self.factor_hundredths > FACTOR_ONE && record.flow_hash(self.seed) > self.bound {
            return 1;
        }
        self.records.push(record);
        let mut thinned = 0;
        while self.records.len() > self.capacity {
            thinned += self.thin();
        }
        thinned
    }

    /// Raises the factor by an eighth, or as far as it goes, and lets go what is beyond.
    fn thin(&mut self) -> u64 {
        let before = self.records.len();
        if self.factor_hundredths == u32::MAX {
            // One record in 43 million: flows cannot be told apart more finely, so the youngest record goes.
            self.records.truncate(self.capacity);
        } else {
            self.factor_hundredths =
                self.factor_hundredths.saturating_add((self.factor_hundredths / 8).max(1));
            self.bound = bound(self.factor_hundredths);
            let (seed, bound) = (self.seed, self.bound);
            self.records.retain(|record| record.flow_hash(seed) <= bound);
        }
        (before - self.records.len()) as u64
    }

    /// Hands over all there is in exchange for an empty vector, and begins anew with a factor of one.
    pub fn take(&mut self, empty: Vec<T>) -> Taken<T> {
        debug_assert!(empty.is_empty());
        let taken = Taken {
            records: std::mem::replace(&mut self.records, empty),
            factor_hundredths: self.factor_hundredths,
        };
        self.factor_hundredths = FACTOR_ONE;
        self.bound = u64::MAX;
        taken
    }
}

/// The largest hash that stays: one hash in `factor` does.
fn bound(factor_hundredths: u32) -> u64 {
    let stay = (1u128 << 64) * u128::from(FACTOR_ONE) / u128::from(factor_hundredths);
    (stay - 1) as u64
}

impl OfFlow for FlowRecord {
    fn flow_hash(&self, seed: u64) -> u64 {
        let end = |end: &Endpoint| place(end.address, u32::from(end.port));
        hash(seed, u32::from(self.protocol), end(&self.source), end(&self.destination))
    }
}

impl OfFlow for Chf {
    fn flow_hash(&self, seed: u64) -> u64 {
        let address = |v4: u32, v6: Option<[u8; 16]>| v6.map_or(IpAddr::from(v4.to_be_bytes()), IpAddr::from);
        let source = place(address(self.ipv4_src_addr, self.ipv6_src_addr), self.l4_src_port);
        let destination = place(address(self.ipv4_dst_addr, self.ipv6_dst_addr), self.l4_dst_port);
        hash(seed, self.protocol, source, destination)
    }
}

/// Address and port of one end; an IPv4 address as the IPv6 address that stands for it.
fn place(address: IpAddr, port: u32) -> [u8; 20] {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut place = [0; 20];
    place[..16].copy_from_slice(&address.octets());
    place[16..].copy_from_slice(&port.to_be_bytes());
    place
}

fn hash(seed: u64, protocol: u32, one: [u8; 20], other: [u8; 20]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write_u32(protocol);
    hasher.write(&one.min(other));
    hasher.write(&one.max(other));
    hasher.finish()
}

#[cfg(test)]
mod tests;
