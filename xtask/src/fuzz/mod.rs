//! `cargo xtask fuzz`: builds the fuzz targets, writes their seeds, runs them.
//!
//! Below the target folder: `fuzz/build` for what is built, and for each target `fuzz/seeds/TARGET`, `fuzz/corpus/TARGET`
//! for inputs that reached something new, `fuzz/artifacts/TARGET` for those that failed, `fuzz/logs/TARGET.log`.

mod log;

use std::ffi::OsString;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::setup::cargo_fuzz;
use crate::shell;
use log::Outcome;

/// Longest input: a few frames, and enough to reach every limit of the tiny tables. Longer ones run slower and find less.
const INPUT_BYTES_MAX: u32 = 16 << 10;
/// Targets keep below 200 MB. A bound that is not kept shows as one that grows.
const MEMORY_MB_MAX: u32 = 1024;
/// One input takes a millisecond. One that takes this long is work without a bound.
const INPUT_SECONDS_MAX: u32 = 10;

/// Runs the fuzz targets from seeds that the project's own generators write
///
/// Builds the targets of `fuzz/` with cargo-fuzz (installed into the target folder if it is missing) and this
/// toolchain, writes the seeds, and runs each target for a while. Prints a line a target; fails if an input made one
/// panic, take too long or too much memory, and says where that input is. Inputs that reached something new are kept in
/// the target folder for the next run.
///
/// The instrumentation that libFuzzer steers by is a flag that stable compilers have, but only take with
/// RUSTC_BOOTSTRAP=1, which is set for this build alone. So there is one compiler for everything, and no nightly that
/// breaks on its own.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Only these targets.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// How many targets run at once [default: one a CPU]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Forgets the inputs that earlier runs found and begins with the seeds.
    #[arg(long)]
    fresh: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz
  cargo xtask fuzz packets flow --seconds 600
  TARGET/fuzz/build/TRIPLE/release/packets INPUT       runs one input again";

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    run(options)?;
    Ok(ExitCode::SUCCESS)
}

/// Every target for ten seconds from the seeds alone, so that each run does the same.
pub fn smoke() -> anyhow::Result<()> {
    run(&Options { targets: Vec::new(), seconds: 10, jobs: None, fresh: true })
}

fn run(options: &Options) -> anyhow::Result<()> {
    let cargo_fuzz = cargo_fuzz::ensure()?;
    let targets = chosen(&cargo_fuzz, &options.targets)?;
    let root = shell::target_folder()?.join("fuzz");
    let programs = build(&cargo_fuzz, &root.join("build"))?;
    write_seeds(&root.join("seeds"))?;

    let jobs = options.jobs.or(thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().expect("no target panics in here").next();
    let worker = || {
        let mut failed = 0;
        while let Some(target) = next() {
            let outcome = Target { name: target, root: &root, programs: &programs }.run(options)?;
            println!("{target:<16} {outcome}");
            failed += usize::from(outcome.failure.is_some());
        }
        Ok(failed)
    };
    let failed = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        let results = workers.into_iter().map(|worker| worker.join().expect("errors are returned"));
        results.sum::<anyhow::Result<usize>>()
    })?;
    ensure!(failed == 0, "{failed} of {} fuzz targets failed", targets.len());
    Ok(())
}

fn package() -> PathBuf {
    shell::workspace().join("fuzz")
}

/// The targets that were named, or all.
fn chosen(cargo_fuzz: &Path, named: &[String]) -> anyhow::Result<Vec<String>> {
    let listed = shell::read(Command::new(cargo_fuzz).arg("list").current_dir(package()))?;
    let all: Vec<String> = listed.lines().map(String::from).collect();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no fuzz target {unknown}; there are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// Returns the folder of the programs.
fn build(cargo_fuzz: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(cargo_fuzz);
    command
        .arg("build")
        .args(["--sanitizer", "none"])
        .arg("--target-dir")
        .arg(folder)
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(package());
    shell::step(&mut command).context("build the fuzz targets")?;
    let compiler = shell::read(Command::new("rustc").arg("-vV").current_dir(package()))?;
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(folder.join(host.context("`rustc -vV` names no host")?).join("release"))
}

/// Anew each time: what the generators no longer make goes.
fn write_seeds(folder: &Path) -> anyhow::Result<()> {
    empty(folder)?;
    let manifest = package().join("Cargo.toml");
    let mut cargo = shell::cargo()?;
    cargo
        .args(["run", "--quiet", "--example", "seeds", "--manifest-path"])
        .arg(manifest)
        .arg("--")
        .arg(folder);
    shell::step(&mut cargo).context("write the seeds")
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    create(folder)
}

fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

struct Target<'a> {
    name: &'a str,
    root: &'a Path,
    programs: &'a Path,
}

impl Target<'_> {
    fn run(&self, options: &Options) -> anyhow::Result<Outcome> {
        let [seeds, corpus, artifacts] =
            ["seeds", "corpus", "artifacts"].map(|folder| self.root.join(folder).join(self.name));
        for folder in [&seeds, &corpus, &artifacts] {
            create(folder)?;
        }
        if options.fresh {
            empty(&corpus)?;
        }
        let log = self.log()?;
        let status = Command::new(self.programs.join(self.name))
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg("-print_final_stats=1")
            .arg(artifact_prefix(&artifacts))
            // New inputs go into the first.
            .args([&corpus, &seeds])
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("write to one log twice")?)
            .stderr(log)
            .status()
            .with_context(|| format!("start the fuzz target {}", self.name))?;
        let text = fs::read(self.log_path()).with_context(|| format!("read the log of {}", self.name))?;
        Ok(Outcome::read(&String::from_utf8_lossy(&text), status, &self.log_path()))
    }

    fn log(&self) -> anyhow::Result<File> {
        create(&self.root.join("logs"))?;
        let path = self.log_path();
        File::create(&path).with_context(|| format!("create {}", path.display()))
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("logs").join(format!("{}.log", self.name))
    }
}

/// The names of failed inputs are appended to it as they are, so it ends as a folder.
fn artifact_prefix(folder: &Path) -> OsString {
    let mut argument = OsString::from("-artifact_prefix=");
    argument.push(folder);
    argument.push("/");
    argument
}
