//! `cargo xtask setup`: everything that the other verbs need and cargo does not fetch by itself.
//!
//! Each item is looked for, installed if it is missing, and reported in one line. What is there is left alone.

pub mod cargo_fuzz;
pub mod ebpf;
mod packages;
pub mod postgresql;

pub use packages::ensure_packages;

use std::process::ExitCode;

use clap::Args;

/// Debian packages; of several alternatives any one will do.
const PACKAGES: &[&[&str]] = &[
    // A C linker for rustc, and the C++ library that bpf-linker links.
    &["build-essential"],
    &["iproute2"],
    &["iputils-ping"],
    &["curl"],
    &["nginx-light", "nginx"],
    &["dnsmasq-base"],
    &["bind9-dnsutils"],
    &["iperf3"],
    &["wrk"],
    &["tcpdump"],
    // A client for the DHCP server that dnsmasq is.
    &["udhcpc"],
    // promtool judges the metrics page.
    &["prometheus"],
    &["valgrind"],
    // The sketch library is tested as C programs find it.
    &["pkgconf", "pkg-config"],
    &["capnproto"],
    // Judges what the sensor and the generator say of TCP.
    &["tshark"],
    // Asks the PostgreSQL server, which needs the library besides.
    &["postgresql-client"],
    &["libxml2", "libxml2-16"],
    // A collector that reads what is exported as IPFIX and NetFlow.
    &["nfdump"],
];

/// Installs what the other verbs need; safe to repeat
///
/// Reports each item: ok, installed or missing. On Debian as root or by
/// sudo: build-essential iproute2 iputils-ping curl nginx-light dnsmasq-base bind9-dnsutils iperf3 wrk tcpdump
/// udhcpc prometheus valgrind pkgconf capnproto tshark postgresql-client libxml2 nfdump, the programs of a PostgreSQL server
/// unpacked into the target folder, and for the eBPF programs rustc-web, rust-web-src and the
/// llvm-NN-dev of its LLVM (unless rustup's nightly has rust-src), with a bpf-linker built in the target folder, and
/// there too cargo-fuzz unless it is on the search path. Where systemd runs, Debian starts nginx, prometheus and nfdump's
/// collector as services when it installs them; only the programs are used here.
#[derive(Debug, Args)]
pub struct Options {
    /// Only reports what is missing; fails if anything is.
    #[arg(long)]
    check: bool,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    if !options.check {
        ensure()?;
        // Only `fuzz` needs it, which installs it too: the other verbs do not wait for it.
        let state = if cargo_fuzz::find().is_some() { "ok" } else { "installed" };
        cargo_fuzz::ensure()?;
        report(state, &cargo_fuzz::name());
        return Ok(ExitCode::SUCCESS);
    }
    let packages = packages::check(PACKAGES)?;
    let toolchain = match ebpf::find() {
        Ok(toolchain) => {
            report("ok", &toolchain.to_string());
            true
        }
        Err(missing) => {
            report("missing", &format!("eBPF toolchain: {missing:#}"));
            false
        }
    };
    let server = postgresql::find().is_some();
    report(if server { "ok" } else { "missing" }, postgresql::NAME);
    let fuzzer = cargo_fuzz::find().is_some();
    report(if fuzzer { "ok" } else { "missing" }, &cargo_fuzz::name());
    Ok(if packages && toolchain && server && fuzzer { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Like [`ensure`], and silent if nothing is missing.
pub fn ensure_if_missing() -> anyhow::Result<()> {
    if packages::are_installed(PACKAGES)? && postgresql::find().is_some() && ebpf::find().is_ok() {
        return Ok(());
    }
    ensure()
}

/// Installs what is missing and reports every item.
pub fn ensure() -> anyhow::Result<()> {
    packages::ensure(PACKAGES)?;
    let state = if postgresql::find().is_some() { "ok" } else { "installed" };
    postgresql::ensure()?;
    report(state, postgresql::NAME);
    if let Ok(toolchain) = ebpf::find() {
        report("ok", &toolchain.to_string());
        return Ok(());
    }
    let toolchain = ebpf::install()?;
    report("installed", &toolchain.to_string());
    Ok(())
}

fn report(state: &str, item: &str) {
    eprintln!("{state:<9} {item}");
}
