//! The programs under test, as built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `sensor` binary.
pub fn sensor_program() -> PathBuf {
    built("sensor")
}

/// The `kflow-cat` binary.
pub fn kflow_cat() -> PathBuf {
    built("kflow-cat")
}

/// What `kflow-cat` prints of a folder of flow files.
pub fn kflow_json(folder: &Path) -> String {
    let output = Command::new(kflow_cat()).arg(folder).output().expect("kflow-cat starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kflow-cat {}: {complaint}", folder.display());
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

/// Whether a helper of other people is there; tests say so when they go without.
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The release build is what ships, and what `cargo xtask test` builds; else the one of the test's own profile.
fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the running test has a path");
    // TARGET/PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("tests lie two folders below their profile");
    let target = profile.parent().expect("a profile is a folder of the target folder");
    let candidates = [target.join("release").join(name), profile.join(name)];
    let found = candidates.iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `cargo xtask test`")).clone()
}
