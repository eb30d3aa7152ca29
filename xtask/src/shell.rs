//! Running other programs, with errors that name the command, and where things are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The folder of the workspace's Cargo.toml.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where all that is built goes: `CARGO_TARGET_DIR`, or a folder of the user's cache.
pub fn target_folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        return Ok(workspace().join(folder));
    }
    if let Some(cache) = env::var_os("XDG_CACHE_HOME").filter(|cache| Path::new(cache).is_absolute()) {
        return Ok(Path::new(&cache).join("wireflow/target"));
    }
    let home = env::var_os("HOME").context("neither CARGO_TARGET_DIR nor HOME is set: set one of them")?;
    Ok(Path::new(&home).join(".cache/wireflow/target"))
}

/// A program of the release build.
pub fn built(program: &str) -> anyhow::Result<PathBuf> {
    Ok(target_folder()?.join("release").join(program))
}

/// A cargo that builds into [`target_folder`], started in the workspace.
pub fn cargo() -> anyhow::Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("CARGO_TARGET_DIR", target_folder()?).current_dir(workspace());
    Ok(command)
}

/// Runs to the end; a failing exit status is an error.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Like [`run`], with the program's output on stderr: for steps on the way to a result.
pub fn step(command: &mut Command) -> anyhow::Result<()> {
    run(command.stdout(Stdio::from(io::stderr())))
}

/// Runs to the end and returns what was printed on stdout; stderr is quoted in the error.
pub fn read(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The search path with the folders of administration programs, which a user's path often lacks.
pub fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// Where `program` is on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// `command` itself for root, else by sudo. Nothing but the variables that `command` sets is kept.
pub fn as_root(command: &Command) -> anyhow::Result<Command> {
    let mut privileged = if netns::is_root() {
        Command::new("env")
    } else if find("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        bail!("`{}` needs root and there is no sudo: run this as root", shown(command));
    };
    for (name, value) in command.get_envs() {
        let Some(value) = value else { continue };
        let mut assignment = name.to_os_string();
        assignment.push("=");
        assignment.push(value);
        privileged.arg(assignment);
    }
    privileged.arg(command.get_program()).args(command.get_args());
    Ok(privileged)
}

/// The command as one would type it, without quoting.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_command_is_quoted_with_its_complaint() {
        let error = read(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("broken") && error.contains('3'), "{error}");
    }

    #[test]
    fn program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("/nonexistent/program")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/program"), "{error}");
    }

    #[test]
    fn programs_are_found_on_the_search_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
