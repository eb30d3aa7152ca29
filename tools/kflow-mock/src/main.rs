//! `kflow-mock`: takes flows as Kentik's receiver does and prints what it got, one line a request.
//!
//! It ends with an interrupt.

use anyhow::Context;
use clap::Parser;
use kflow_mock::{BatchNames, Device, Fate, Mock, MockConfig, Received};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A stand-in for Kentik's flow receiver and device API
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// E-mail address that requests have to show
    #[arg(long, default_value_t = MockConfig::default().email)]
    email: String,
    /// File of the token that requests have to show; a token that everybody knows if there is none
    #[arg(long)]
    token_file: Option<std::path::PathBuf>,
    /// Name of the device that flows come from
    #[arg(long, default_value_t = Device::default().name)]
    device_name: String,
    #[arg(long, default_value_t = Device::default().id)]
    device_id: u32,
    #[arg(long, default_value_t = Device::default().company_id)]
    company_id: u64,
    /// Remembers the names of batches, and takes each once however often it is sent
    #[arg(long)]
    remember: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let token = match &args.token_file {
        None => MockConfig::default().token,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            text.trim().to_owned()
        }
    };
    let device = Device {
        id: args.device_id,
        company_id: args.company_id,
        name: args.device_name.replace('.', "_"),
        ..Device::default()
    };
    let config = MockConfig {
        listen: args.listen,
        email: args.email,
        token,
        devices: vec![device],
        tls: None,
        batch_names: if args.remember { BatchNames::Remember } else { BatchNames::Ignore },
    };
    let mock = Mock::start(config).with_context(|| format!("listen on {}", args.listen))?;
    let mut out = io::stdout().lock();
    writeln!(out, "flows: {}", mock.flow_url())?;
    writeln!(out, "API:   {}", mock.api_url())?;
    loop {
        for request in mock.take_requests(Duration::from_secs(3600)) {
            print(&mut out, &request)?;
        }
        out.flush()?;
    }
}

fn print(out: &mut dyn Write, request: &Received) -> io::Result<()> {
    let Received { connection, method, target, body, .. } = request;
    write!(out, "{connection}: {method} {target}, {} bytes", body.len())?;
    if let Some(records) = &request.records {
        write!(out, ", {} records", records.len())?;
    }
    if let [batch] = request.header("x-kflow-batch")[..] {
        write!(out, ", batch {batch}")?;
    }
    if request.fate == Fate::Repeated {
        write!(out, " again")?;
    }
    if let Some(status) = request.honest_status {
        write!(out, " -> {status}")?;
    }
    writeln!(out)?;
    for fault in &request.faults {
        writeln!(out, "   fault: {fault}")?;
    }
    Ok(())
}
