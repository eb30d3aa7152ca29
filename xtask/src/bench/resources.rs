//! What a program took: wall time, and the CPU time of all its processes.

#![expect(unsafe_code, reason = "std can neither read the resource usage of a child nor adopt orphans")]

use std::io;
use std::mem::MaybeUninit;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::shell;

const LIMIT: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub wall: Duration,
    /// User and system time of the process and all its descendants.
    pub cpu: Duration,
}

/// Runs `command` to its end, and that of processes which it leaves behind.
///
/// Nothing else that this process has started may run meanwhile: every child that ends is counted.
pub fn measure(command: &mut Command) -> anyhow::Result<Usage> {
    adopt_orphans().context("become the parent of orphans")?;
    let shown = shell::shown(command);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start `{shown}`"))?;
    let process_id = libc::pid_t::try_from(child.id()).context("process id")?;

    let mut cpu = Duration::ZERO;
    let mut wall = None;
    let mut has_ended = false;
    loop {
        match wait().with_context(|| format!("wait for `{shown}`"))? {
            Waited::Ended(ended) => {
                cpu += ended.cpu;
                if ended.process_id == process_id {
                    has_ended = true;
                    ensure!(ended.status == 0, "`{shown}` failed (wait status {})", ended.status);
                }
                wall = Some(started.elapsed());
            }
            Waited::NothingYet if started.elapsed() > LIMIT => {
                // Once waited for, its number may be that of another process.
                if !has_ended {
                    child.kill().with_context(|| format!("kill `{shown}`"))?;
                }
                bail!("`{shown}` takes longer than {LIMIT:?}");
            }
            Waited::NothingYet => sleep(POLL_INTERVAL),
            Waited::NoChildren => break,
        }
    }
    let wall = wall.context("the program ended unseen")?;
    Ok(Usage { wall, cpu })
}

struct Ended {
    process_id: libc::pid_t,
    status: libc::c_int,
    cpu: Duration,
}

enum Waited {
    Ended(Ended),
    NothingYet,
    NoChildren,
}

fn wait() -> io::Result<Waited> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid for the call, which writes nothing else.
    let process_id = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    match process_id {
        0 => Ok(Waited::NothingYet),
        1.. => {
            // SAFETY: an all-zero rusage is valid, and so is what the kernel made of it.
            let usage = unsafe { usage.assume_init() };
            let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
            Ok(Waited::Ended(Ended { process_id, status, cpu }))
        }
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(Waited::NoChildren),
            error => Err(error),
        },
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// Children of children that have ended become ours, so that their time is counted too.
fn adopt_orphans() -> io::Result<()> {
    // SAFETY: this prctl takes one number and no pointers.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
