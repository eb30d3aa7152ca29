//! A process that ends with its owner.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;

use crate::{shown, sys};

/// How long a process may take to end by SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A started process. Dropping it sends SIGTERM to that process alone, then SIGKILL after three seconds,
/// and waits, so that no process outlives its owner, not even when the owner panics.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    shown: String,
}

impl Child {
    /// Starts a process in a process group of its own: Ctrl-C in a terminal reaches the owner alone, which
    /// then ends its children in the order that it wants.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Child> {
        let shown = shown(command);
        let process = command.process_group(0).spawn().with_context(|| format!("start `{shown}`"))?;
        Ok(Child { process, shown })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process itself, for its pipes.
    pub fn process(&mut self) -> &mut std::process::Child {
        &mut self.process
    }

    /// The exit status if the process has ended by itself.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("wait for `{}`", self.shown))
    }

    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.process.wait().with_context(|| format!("wait for `{}`", self.shown))
    }

    /// Waits for at most `limit`; `None` if the process still runs then.
    pub fn wait_for(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let polls = limit.as_millis().div_ceil(POLL_INTERVAL.as_millis());
        for _ in 0..polls {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            sleep(POLL_INTERVAL);
        }
        self.try_wait()
    }

    /// Asks the process to end (SIGTERM) and waits; kills it if it takes longer than `limit`.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        sys::send_signal(self.id(), libc::SIGTERM).with_context(|| format!("stop `{}`", self.shown))?;
        if let Some(status) = self.wait_for(limit)? {
            return Ok(status);
        }
        self.process.kill().with_context(|| format!("kill `{}`", self.shown))?;
        self.wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.stop(GRACE) {
            eprintln!("netns: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn process_ends_when_its_guard_is_dropped() {
        let child = Child::spawn(Command::new("sleep").arg("60")).unwrap();
        let id = child.id();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn process_that_ignores_sigterm_is_killed() {
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(std::process::Stdio::piped());
        let mut child = Child::spawn(&mut command).unwrap();
        // The first byte says that the trap is set.
        let mut byte = [0];
        std::io::Read::read_exact(child.process().stdout.as_mut().unwrap(), &mut byte).unwrap();
        let status = child.stop(Duration::from_millis(100)).unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn missing_program_is_named_in_the_error() {
        let error = Child::spawn(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/program"));
    }
}
