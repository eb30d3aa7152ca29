//! Runs a loop compiled for AVX2, as the library does, so that all kinds of registers get the same chance.

#![expect(unsafe_code, reason = "code for a processor feature may only be called where the feature is")]

/// Calls `body`, which is to be inlined, compiled for what this processor has.
#[inline(always)]
pub fn run<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
        {
            // SAFETY: the processor has all that the function is compiled for.
            return unsafe { with_avx2(body) };
        }
    }
    body()
}
