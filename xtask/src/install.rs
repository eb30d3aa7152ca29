//! `cargo xtask install`: the C library libkflow where C programs find it.
//!
//! ```text
//! PREFIX/include/kflow.h
//! PREFIX/lib/libkflow.so.1          SONAME libkflow.so.1; programs that were linked with it
//! PREFIX/lib/libkflow.so            a link to it; programs that are being linked, and those linked with Kentik's
//! PREFIX/lib/libkflow.a             one object whose only global names are those of the header
//! PREFIX/lib/pkgconfig/kflow.pc
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use clap::Args;

use crate::shell;

const PACKAGE: &str = "kflow/libkflow";

/// The profile of the workspace's Cargo.toml that it is built with.
const PROFILE: &str = "libkflow";

/// Builds the C library libkflow and installs it with its header and its file for pkg-config
#[derive(Debug, Args)]
pub struct Options {
    /// Where it is used from.
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
    /// Root of a package that is being made: files go to DESTDIR/PREFIX.
    #[arg(long)]
    destdir: Option<PathBuf>,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(options.prefix.is_absolute(), "the prefix {} is not absolute", options.prefix.display());
    let root = root(options)?;
    let built = build()?;
    let scratch = shell::target_folder()?.join("libkflow-install");
    let functions = functions()?;
    let shared = built.join("libkflow_c.so");
    let archive = with_few_names(&built.join("libkflow_c.a"), &functions, &scratch)?;
    check_names(Command::new("nm").arg("--dynamic").arg(&shared), &functions)?;
    check_names(Command::new("nm").arg("--extern-only").arg(&archive), &functions)?;
    install(&shared, &archive, &root)?;
    println!("libkflow is in {}", root.display());
    Ok(ExitCode::SUCCESS)
}

/// Installs where nobody looks, to see that it can be done.
pub fn smoke() -> anyhow::Result<()> {
    let destdir = Some(shell::target_folder()?.join("libkflow-check"));
    main(&Options { prefix: "/usr".into(), destdir }).map(|_| ())
}

/// The folder that files are written below.
fn root(options: &Options) -> anyhow::Result<PathBuf> {
    let Some(destdir) = &options.destdir else { return Ok(options.prefix.clone()) };
    let prefix = options.prefix.strip_prefix("/").context("the prefix is not absolute")?;
    Ok(destdir.join(prefix))
}

/// Builds both libraries; the folder that they are in.
fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = shell::cargo()?;
    // Without the library for Rust, which would keep the others from being optimised as a whole.
    cargo.args(["rustc", "--package", "libkflow", "--lib", "--crate-type", "cdylib,staticlib"]);
    shell::step(cargo.args(["--profile", PROFILE]))?;
    Ok(shell::target_folder()?.join(PROFILE))
}

/// Makes one object of an archive, in which nothing but the functions of the header can be linked with: a program may have
/// other parts that were written in Rust.
fn with_few_names(archive: &Path, functions: &[String], scratch: &Path) -> anyhow::Result<PathBuf> {
    let _ = fs::remove_dir_all(scratch);
    fs::create_dir_all(scratch).with_context(|| format!("create {}", scratch.display()))?;
    let (object, names, made) = (scratch.join("kflow.o"), scratch.join("names"), scratch.join("libkflow.a"));
    fs::write(&names, functions.join("\n")).with_context(|| format!("write {}", names.display()))?;

    let mut link = Command::new("ld");
    // Only what the functions lead to is taken; sections stay apart, so that programs can leave out more. Without groups of
    // sections, since linkers keep the first of a name, and other parts in Rust have groups of the same names.
    link.args(["--relocatable", "--gc-sections", "--force-group-allocation", "--output"]).arg(&object);
    link.args(functions.iter().map(|name| format!("--undefined={name}"))).arg(archive);
    shell::step(&mut link)?;
    let mut localise = Command::new("objcopy");
    // Bitcode that comes with Rust's own objects would make tools with another LLVM stumble.
    localise.args(["--strip-unneeded", "--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    localise.arg(format!("--keep-global-symbols={}", names.display())).arg(&object);
    shell::step(&mut localise)?;
    shell::step(Command::new("ar").arg("rcsD").arg(&made).arg(&object))?;
    Ok(made)
}

/// Fails if a library defines other names than these for those who link it.
fn check_names(nm: &mut Command, functions: &[String]) -> anyhow::Result<()> {
    let listed = shell::read(nm.args(["--defined-only", "--format=just-symbols", "--quiet"]))?;
    // The archive's member is listed too, as a line that ends in a colon.
    let names = listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.ends_with(':'));
    let found: BTreeSet<&str> = names.collect();
    let wanted: BTreeSet<&str> = functions.iter().map(String::as_str).collect();
    ensure!(found == wanted, "`{}` lists {found:?} in place of {wanted:?}", shell::shown(nm));
    Ok(())
}

/// The functions that the header declares.
fn functions() -> anyhow::Result<Vec<String>> {
    let header = shell::workspace().join(PACKAGE).join("include/kflow.h");
    let text = fs::read_to_string(&header).with_context(|| format!("read {}", header.display()))?;
    let functions: Vec<String> = text.lines().filter_map(declared).map(String::from).collect();
    ensure!(!functions.is_empty(), "{} declares no functions", header.display());
    Ok(functions)
}

/// The name in a declaration such as `int kflowStop(int milliseconds);`.
fn declared(line: &str) -> Option<&str> {
    let before = line.strip_suffix(");")?.split_once('(')?.0;
    let start = before.rfind([' ', '*'])? + 1;
    Some(&before[start..]).filter(|name| name.starts_with("kflow"))
}

fn install(shared: &Path, archive: &Path, root: &Path) -> anyhow::Result<()> {
    let source = shell::workspace().join(PACKAGE);
    copy(&source.join("include/kflow.h"), &root.join("include/kflow.h"), 0o644)?;
    copy(&source.join("kflow.pc"), &root.join("lib/pkgconfig/kflow.pc"), 0o644)?;
    copy(archive, &root.join("lib/libkflow.a"), 0o644)?;
    copy(shared, &root.join("lib/libkflow.so.1"), 0o755)?;
    let link = root.join("lib/libkflow.so");
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link).with_context(|| format!("remove {}", link.display()))?;
    }
    symlink("libkflow.so.1", &link).with_context(|| format!("create {}", link.display()))
}

/// Puts a file in place in one step, so that programs that use the former one keep it.
fn copy(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let folder = to.parent().expect("the target is a file in a folder");
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut name = to.file_name().expect("the target is a file").to_os_string();
    name.push(".new");
    let new = folder.join(name);
    fs::copy(from, &new).with_context(|| format!("copy {} to {}", from.display(), new.display()))?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(&new, permissions).with_context(|| format!("set the mode of {}", new.display()))?;
    fs::rename(&new, to).with_context(|| format!("rename {} to {}", new.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seven_functions_of_the_header_are_found() {
        let functions = functions().unwrap();
        assert_eq!(functions.len(), 7, "{functions:?}");
        assert_eq!(declared("char *kflowError(void);"), Some("kflowError"));
        assert_eq!(declared("int kflowStop(int milliseconds);"), Some("kflowStop"));
        assert_eq!(declared("    ASSERT(offsetof(type, member) == (offset));"), None);
    }

    #[test]
    fn a_package_is_made_below_its_root() {
        let options = |prefix: &str, destdir: Option<&str>| Options {
            prefix: prefix.into(),
            destdir: destdir.map(PathBuf::from),
        };
        assert_eq!(root(&options("/usr", Some("/tmp/package"))).unwrap(), Path::new("/tmp/package/usr"));
        assert_eq!(root(&options("/opt/kflow", None)).unwrap(), Path::new("/opt/kflow"));
    }
}
