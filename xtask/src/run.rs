//! `cargo xtask run`: builds as the caller, runs the sensor alone with the rights that capturing needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context;
use clap::Args;

use crate::compile::{self, Profile};
use crate::shell;

/// Builds the sensor, then runs it; only the sensor itself gets root
///
/// Builds as the calling user and runs `sensor run ARGS`. Reading a capture file needs no rights;
/// for an interface only the sensor itself is started by sudo. Where sudo is unwelcome, give the built program
/// its rights once per build and start it directly:
/// `sudo setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw=ep TARGET/release/sensor`.
#[derive(Debug, Args)]
pub struct Options {
    /// Without optimisation.
    #[arg(long)]
    debug: bool,
    /// Arguments of `sensor run`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    compile::build(profile)?;

    let mut sensor = Command::new(shell::target_folder()?.join(profile.folder()).join("sensor"));
    sensor.arg("run").args(&options.arguments);
    if needs_root(&options.arguments) && !netns::is_root() {
        sensor = shell::as_root(&sensor)?;
    }
    let status = sensor.status().with_context(|| format!("start `{}`", shell::shown(&sensor)))?;
    Ok(exit_code(status))
}

/// Capture files are read with the rights of the caller, and so is the help text.
fn needs_root(arguments: &[OsString]) -> bool {
    let harmless = ["--pcap", "--help", "-h"].map(OsStr::new);
    !arguments.iter().any(|argument| {
        harmless.contains(&argument.as_os_str()) || argument.as_encoded_bytes().starts_with(b"--pcap=")
    })
}

/// The status as a shell would pass it on: 128 and the signal's number if a signal ended the program.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_live_capture_needs_root() {
        assert!(needs_root(&words(&["--interface", "eth0"])));
        assert!(needs_root(&words(&["--interface", "eth0", "--source", "afpacket"])));
        assert!(!needs_root(&words(&["--pcap", "trace.pcap"])));
        assert!(!needs_root(&words(&["--pcap=trace.pcap", "--json", "-"])));
        assert!(!needs_root(&words(&["--help"])));
    }

    #[test]
    fn exit_status_is_passed_through() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), ExitCode::from(3));
        assert_eq!(exit_code(ExitStatus::from_raw(libc::SIGTERM)), ExitCode::from(143));
    }
}
