//! The eBPF object inside this binary.

/// `None` when the crate was built before its eBPF program.
#[cfg(ebpf_object)]
pub const OBJECT: Option<&[u8]> =
    Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/traffic-ebpf")));

/// `None` when the crate was built before its eBPF program.
#[cfg(not(ebpf_object))]
pub const OBJECT: Option<&[u8]> = None;

/// What to say then.
pub const MISSING: &str = "this binary was built without its eBPF program, build with `cargo xtask build`";
