//! Network namespaces and veth pairs for the demo, the benchmarks and the tests, removed on drop.
//!
//! ```no_run
//! use netns::{Namespace, VethEnd, VethOptions, veth_pair};
//!
//! let client = Namespace::create("example-client")?;
//! let server = Namespace::create("example-server")?;
//! veth_pair(
//!     &VethEnd { addresses: &["192.0.2.1/24", "2001:db8::1/64"], ..VethEnd::new(&client, "up0") },
//!     &VethEnd { addresses: &["192.0.2.2/24", "2001:db8::2/64"], ..VethEnd::new(&server, "down0") },
//!     VethOptions::default(),
//! )?;
//! client.run(["ping", "-c1", "192.0.2.2"])?;
//! # anyhow::Ok(())
//! ```
//!
//! Everything is done by `ip` and `tc` (iproute2). Nothing in the namespace of the caller is changed. All of
//! it needs root; [`is_root`] lets a test say that it skips.

mod child;
mod mirror;
mod namespace;
mod sys;
mod veth;

pub use child::Child;
pub use mirror::{Mirror, MirrorSelector, mirror};
pub use namespace::{Namespace, remove_stale};
pub use sys::is_root;
pub use veth::{DeviceCounters, VethEnd, VethOptions, device_counters, veth_pair};

use std::ffi::{OsStr, OsString};
use std::process::Command;

use anyhow::{Context, bail};

/// Runs `program` to its end and returns what it printed; an error quotes the command and its complaint.
fn output<I: IntoIterator<Item: AsRef<OsStr>>>(program: &str, arguments: I) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", program_path());
    output_of(&mut command)
}

fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("start `{shown}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it, without quoting.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The search path with the folders of administration programs, which a user's path often lacks.
fn program_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}
