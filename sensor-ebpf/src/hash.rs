//! The flow hash: symmetric, keyed, not linear over XOR, and cheap in BPF, which has no 128-bit product.
//!
//! Each endpoint (address and port) is mixed by itself under the key, the two results are added, which makes
//! the hash the same for both directions, and the sum is mixed with the protocol. Because the mixing happens
//! before the sum, endpoints that differ by one constant on both sides do not cancel out.

/// Secret of one process, drawn at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HashKey {
    pub endpoint: u64,
    pub flow: u64,
}

// Odd constants of the splitmix64 and murmur3 finalisers.
const C1: u64 = 0xbf58_476d_1ce4_e5b9;
const C2: u64 = 0x94d0_49bb_1331_11eb;
const C3: u64 = 0xff51_afd7_ed55_8ccd;

/// Hash of an IPv4 flow. Addresses and ports are host-order integers of the big-endian wire values.
#[inline(always)]
pub const fn flow_v4(key: HashKey, source: (u32, u16), destination: (u32, u16), protocol: u8) -> u64 {
    let sum = endpoint_v4(key, source).wrapping_add(endpoint_v4(key, destination));
    finish(key, sum, protocol)
}

/// Hash of an IPv6 flow. An address is its two big-endian halves, upper first.
#[inline(always)]
pub const fn flow_v6(
    key: HashKey,
    source: (u64, u64, u16),
    destination: (u64, u64, u16),
    protocol: u8,
) -> u64 {
    let sum = endpoint_v6(key, source).wrapping_add(endpoint_v6(key, destination));
    // The lowest bit of the family keeps ::a.b.c.d and a.b.c.d apart.
    finish(key, sum ^ C3, protocol)
}

/// Hash of a flow in one of several address spaces. Only userspace looks into tunnels.
#[inline(always)]
pub const fn within(key: HashKey, flow_hash: u64, domain: u64) -> u64 {
    let mut x = (flow_hash ^ domain.wrapping_mul(C2) ^ key.flow).wrapping_mul(C1);
    x ^= x >> 32;
    x = x.wrapping_mul(C3);
    x ^ (x >> 29)
}

/// Whether the flow is among the one in `rate` that are looked at. Uses the upper half of the hash.
#[inline(always)]
pub const fn is_sampled(hash: u64, rate: u32) -> bool {
    rate <= 1 || ((hash >> 32) * (rate as u64)) >> 32 == 0
}

/// The worker of a flow, below `workers`. Uses the lower half of the hash.
#[inline(always)]
pub const fn worker_of(hash: u64, workers: u32) -> u32 {
    (((hash & 0xffff_ffff) * workers as u64) >> 32) as u32
}

#[inline(always)]
const fn endpoint_v4(key: HashKey, (address, port): (u32, u16)) -> u64 {
    let mut x = ((((address as u64) << 16) | port as u64) ^ key.endpoint).wrapping_mul(C1);
    x ^= x >> 32;
    x = x.wrapping_mul(C2);
    // Else the sum of two ends would be nearly the same wherever their addresses add up to the same.
    x ^ (x >> 32)
}

#[inline(always)]
const fn endpoint_v6(key: HashKey, (upper, lower, port): (u64, u64, u16)) -> u64 {
    let mut x = (upper ^ key.endpoint).wrapping_mul(C1);
    x ^= x >> 32;
    x = (x ^ lower).wrapping_mul(C2);
    x ^= x >> 29;
    x = (x ^ port as u64).wrapping_mul(C3);
    x ^ (x >> 32)
}

#[inline(always)]
const fn finish(key: HashKey, sum: u64, protocol: u8) -> u64 {
    let mut x = (sum ^ key.flow ^ protocol as u64).wrapping_mul(C1);
    x ^= x >> 32;
    x = x.wrapping_mul(C3);
    x ^ (x >> 29)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::HashSet;

    const KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };

    #[test]
    fn both_directions_hash_alike() {
        let (a, b) = ((0x0a00_0001, 1234), (0xc0a8_0001, 80));
        assert_eq!(flow_v4(KEY, a, b, 6), flow_v4(KEY, b, a, 6));
        let (a, b) = ((1, 2, 1234), (3, 4, 80));
        assert_eq!(flow_v6(KEY, a, b, 6), flow_v6(KEY, b, a, 6));
    }

    #[test]
    fn addresses_that_differ_by_one_constant_do_not_collide() {
        let mut low_halves = HashSet::new();
        for n in 0..100_000u32 {
            let source = 0x0a00_0000 + n;
            let hash = flow_v4(KEY, (source, 53), (source ^ 0x0101_0101, 53), 17);
            low_halves.insert(hash as u32);
        }
        // A random function loses about n²/2³³ = 1.2 of them.
        assert!(low_halves.len() > 99_980, "{} distinct", low_halves.len());
    }

    #[test]
    fn sums_that_stay_constant_do_not_collide() {
        let (mut hashes_v4, mut hashes_v6) = (HashSet::new(), HashSet::new());
        for n in 0..100_000u32 {
            let (near, far) = (0x0a00_0000 + n, 0x0b00_0000 - n);
            hashes_v4.insert(flow_v4(KEY, (near, 53), (far, 53), 17) as u32);
            let (near, far) = (u64::from(near), u64::from(far));
            hashes_v6.insert(flow_v6(KEY, (near, 7, 53), (far, 7, 53), 17) as u32);
        }
        assert!(hashes_v4.len() > 99_980, "{} distinct", hashes_v4.len());
        assert!(hashes_v6.len() > 99_980, "{} distinct", hashes_v6.len());
    }

    #[test]
    fn workers_and_samples_are_spread_evenly() {
        let mut per_worker = [0u32; 4];
        let mut sampled = 0;
        for n in 0..100_000u32 {
            let hash = flow_v4(KEY, (0x0a00_0000 + n, 1024), (0xc0a8_0001, 443), 6);
            per_worker[worker_of(hash, 4) as usize] += 1;
            sampled += u32::from(is_sampled(hash, 10));
        }
        assert!(per_worker.iter().all(|n| (24_000..26_000).contains(n)), "{per_worker:?}");
        assert!((9_500..10_500).contains(&sampled), "{sampled}");
    }
}
