//! A hint to the cache, and nothing else.
#![expect(unsafe_code, reason = "the prefetch intrinsic takes a raw pointer")]

/// Asks for the cache line of `place`. Never faults and changes nothing but timing.
#[inline(always)]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching has no architectural effect, whatever the address; this one is valid anyway.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
