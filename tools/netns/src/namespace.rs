//! One named network namespace: created, entered, and removed on drop.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, ensure};

use crate::{output, output_of, program_path, sys};

/// Where `ip netns` keeps the names.
const NAMES_FOLDER: &str = "/run/netns";

/// A network namespace whose loopback device is up and whose devices use IPv6 addresses at once, without
/// duplicate address detection. Dropping it ends whatever still runs inside and removes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates a namespace called `PREFIX-PID-N`, so that two runs never share one.
    pub fn create(name_prefix: &str) -> anyhow::Result<Namespace> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        ensure!(sys::is_root(), "network namespaces need root: run this with sudo");

        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name_prefix}-{}-{number}", std::process::id());
        output("ip", ["netns", "add", &name]).context("create a network namespace")?;
        let namespace = Namespace { name };
        for scope in ["all", "default"] {
            namespace.write_sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
        }
        namespace.ip(["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace, as setns and `ip` take it.
    pub fn path(&self) -> PathBuf {
        Path::new(NAMES_FOLDER).join(&self.name)
    }

    /// A command that will run inside. The process that it starts is the program itself, not a wrapper.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program).env("PATH", program_path());
        command
    }

    /// Runs a program inside to its end and returns what it printed; a failing exit status is an error.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        program_and_arguments: I,
    ) -> anyhow::Result<String> {
        let mut words = program_and_arguments.into_iter();
        let program = words.next().context("a command has at least a program")?;
        output_of(self.command(program).args(words))
    }

    /// Runs `ip` on the devices, addresses and routes inside.
    pub fn ip<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> anyhow::Result<String> {
        let words = ["-n", &self.name].map(OsStr::new);
        let arguments: Vec<I::Item> = arguments.into_iter().collect();
        output("ip", words.into_iter().chain(arguments.iter().map(AsRef::as_ref)))
    }

    /// Runs `action` on a thread of its own that is inside, and hands its result back.
    ///
    /// Sockets opened there belong to the namespace for good. `/proc/sys/net` is that of the namespace;
    /// `/sys/class/net` stays that of the caller, since no mount is changed.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let file = File::open(self.path()).with_context(|| format!("open namespace {}", self.name))?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| sys::enter_network_namespace(file.as_fd()).map(|()| action()));
            match inside.join() {
                Ok(result) => result.with_context(|| format!("enter namespace {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Writes a setting below `/proc/sys`, such as `net/ipv4/ip_forward`.
    pub fn write_sysctl(&self, setting: &str, value: &str) -> anyhow::Result<()> {
        let path = Path::new("/proc/sys").join(setting);
        self.enter(|| fs::write(&path, value))?.with_context(|| format!("set {setting} to {value}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("netns: {error:#}");
        }
    }
}

/// Removes the namespaces that start with `prefix` and whose creator no longer lives, together with what
/// still runs inside them. Returns their names.
pub fn remove_stale(prefix: &str) -> anyhow::Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(NAMES_FOLDER) else { return Ok(Vec::new()) };
    let mut removed = Vec::new();
    for entry in entries {
        let name = entry.context("list network namespaces")?.file_name().to_string_lossy().into_owned();
        let Some(creator) = creator(&name, prefix) else { continue };
        if Path::new(&format!("/proc/{creator}")).exists() {
            continue;
        }
        remove(&name)?;
        removed.push(name);
    }
    Ok(removed)
}

/// The process id in `PREFIX…-PID-N`; `None` for a name that this module did not make.
fn creator(name: &str, prefix: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(prefix)?.rsplit('-');
    let _number: u32 = parts.next()?.parse().ok()?;
    let creator = parts.next()?.parse().ok()?;
    // At least the dash between prefix and process id is left.
    parts.next().map(|_| creator)
}

fn remove(name: &str) -> anyhow::Result<()> {
    for process_id in output("ip", ["netns", "pids", name])?.split_whitespace() {
        let process_id = process_id.parse().with_context(|| format!("process id {process_id}"))?;
        // One that ended since it was listed is what we want.
        let _ = sys::send_signal(process_id, libc::SIGKILL);
    }
    output("ip", ["netns", "delete", name]).context("remove a network namespace")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_module_have_a_creator() {
        assert_eq!(creator("demo-client-4711-0", "demo-"), Some(4711));
        assert_eq!(creator("demo-4711-3", "demo"), Some(4711));
        assert_eq!(creator("demo-client", "demo"), None);
        assert_eq!(creator("demo-4711", "demo"), None);
        assert_eq!(creator("other-4711-0", "demo"), None);
        assert_eq!(creator("demo4711-0", "demo"), None);
    }
}
