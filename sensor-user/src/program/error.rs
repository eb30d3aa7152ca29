//! Why the program cannot be loaded or attached, in words that say what to do about it.

use crate::interface;
use std::{fmt, io};

const VERIFIER_LINES_SHOWN: usize = 8;

/// linux/capability.h
const CAP_PERFMON: u32 = 38;

/// One sentence for each way that loading or attaching fails.
#[derive(Debug)]
pub enum AttachError {
    NotEmbedded,
    KernelTooOld,
    NoPrivilege,
    Occupied { interface: String },
    Unsupported { interface: String, mode: &'static str, source: anyhow::Error },
    Other { what: String, source: anyhow::Error },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::NotEmbedded => f.write_str(
                "this binary was built without its eBPF program: build it with `cargo xtask build`, \
                 or capture with --source afpacket",
            ),
            AttachError::KernelTooOld => f.write_str(
                "the xdp source needs Linux 5.9 or newer: capture with --source afpacket on this kernel",
            ),
            AttachError::NoPrivilege => f.write_str(
                "no privilege to load the XDP program: run as root, or with CAP_BPF, CAP_PERFMON, \
                 CAP_NET_ADMIN and CAP_NET_RAW",
            ),
            AttachError::Occupied { interface } => write!(
                f,
                "another XDP program is attached to {interface}: take it off first \
                 (`ip link set dev {interface} xdp off`), it is never replaced silently",
            ),
            AttachError::Unsupported { interface, mode, .. } => {
                write!(f, "{interface} does not take an XDP program in {mode} mode: try --source afpacket")
            }
            AttachError::Other { what, .. } => write!(f, "cannot {what}"),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AttachError::Unsupported { source, .. } | AttachError::Other { source, .. } => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}

pub(super) fn missing(name: &str) -> AttachError {
    AttachError::Other {
        what: format!("find {name} in the embedded program"),
        source: anyhow::anyhow!(
            "sensor and eBPF object are of different versions: rebuild with `cargo xtask build`"
        ),
    }
}

/// Tells missing privilege from other refusals, wherever in the chain the kernel said so.
pub(super) fn refused(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> AttachError {
    let source = anyhow::Error::new(error);
    let is_denied = source.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
            .is_some_and(|number| matches!(number, libc::EPERM | libc::EACCES))
    });
    // The verifier also answers EACCES, and says why; but without this capability it refuses what it else takes.
    let is_verdict = format!("{source:#}").contains("processed") && interface::has_capability(CAP_PERFMON);
    if is_denied && !is_verdict {
        return AttachError::NoPrivilege;
    }
    AttachError::Other { what: what.to_owned(), source: last_lines(&source) }
}

/// The verifier's answer is a listing of the whole program; what is wrong is in its last lines.
fn last_lines(error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.len().saturating_sub(VERIFIER_LINES_SHOWN);
    anyhow::anyhow!("{}", lines[tail..].join("\n"))
}
