//! Real programs talking to each other: nginx with curl and wrk, dnsmasq with dig, iperf3, ping.
//!
//! Every load is bounded: nginx answers at a stated rate, iperf3 has a bandwidth cap, the rest is paced.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use netns::Child;

use super::network::{Network, SERVER_V4, SERVER_V6};
use super::sensor::Sensor;
use crate::interrupt;

/// What nginx serves: name and size in bytes.
const PAGES: [(&str, usize); 3] = [("index.html", 1_000), ("page.html", 30_000), ("picture.bin", 1_000_000)];
/// How many requests nginx answers per second, whoever asks.
const REQUESTS_PER_S: u32 = 400;
/// Payload rate of the bulk transfers.
const BULK_V4_RATE: &str = "20M";
const BULK_V6_RATE: &str = "10M";
const DNS_NAME: &str = "www.demo.test";
const START_LIMIT: Duration = Duration::from_secs(10);

/// The programs that answer; they end on drop.
#[derive(Debug)]
pub struct Servers {
    children: Vec<Child>,
}

impl Servers {
    /// Starts them all and waits until each answers.
    pub fn start(network: &Network, folder: &Path) -> anyhow::Result<Servers> {
        let mut servers = Servers { children: Vec::new() };
        servers.add("nginx", &mut nginx(network, folder)?, folder)?;
        servers.add("dnsmasq", &mut dnsmasq(network), folder)?;
        for address in [SERVER_V4, SERVER_V6] {
            let mut iperf = network.server.command("iperf3");
            servers.add("iperf3", iperf.args(["--server", "--bind", address]), folder)?;
        }
        // iperf3 has no question that is not a test, so its socket is looked for.
        let listening = || -> anyhow::Result<()> {
            let sockets = network.server.run(["ss", "--no-header", "--listening", "--tcp", "--numeric"])?;
            match sockets.lines().filter(|line| line.contains(":5201")).count() {
                2 => Ok(()),
                count => bail!("{count} of 2 iperf3 listen"),
            }
        };
        let started = Instant::now();
        let ready = || {
            listening()?;
            for server in [SERVER_V4, SERVER_V6] {
                network.client.run(curl(server, PAGES[0].0))?;
                network.client.run(dig(server))?;
            }
            Ok::<_, anyhow::Error>(())
        };
        while let Err(error) = ready() {
            servers.check(folder)?;
            if started.elapsed() > START_LIMIT || interrupt::caught() {
                return Err(error.context("the servers do not answer"));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(servers)
    }

    /// Starts one with its output in a file.
    fn add(&mut self, name: &str, command: &mut Command, folder: &Path) -> anyhow::Result<()> {
        let log = folder.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(log.try_clone().context("share a log file")?).stderr(log);
        self.children.push(Child::spawn(command)?);
        Ok(())
    }

    fn check(&mut self, folder: &Path) -> anyhow::Result<()> {
        for child in &mut self.children {
            if let Some(status) = child.try_wait()? {
                bail!("a server ended early ({status}): see the logs in {}", folder.display());
            }
        }
        Ok(())
    }
}

fn nginx(network: &Network, folder: &Path) -> anyhow::Result<Command> {
    let pages = folder.join("pages");
    fs::create_dir(&pages).with_context(|| format!("create {}", pages.display()))?;
    for (name, bytes) in PAGES {
        let page = pages.join(name);
        fs::write(&page, "demo ".repeat(bytes / 5)).with_context(|| format!("write {}", page.display()))?;
    }
    let folder_name = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {folder_name}/nginx-{kind};\n"))
        .concat();
    let configuration = format!(
        "daemon off;\n\
         user root;\n\
         worker_processes 1;\n\
         pid {folder_name}/nginx.pid;\n\
         error_log stderr;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
         {temporary}\
         \x20 access_log off;\n\
         \x20 limit_req_zone $server_name zone=all:1m rate={REQUESTS_PER_S}r/s;\n\
         \x20 server {{\n\
         \x20   listen {SERVER_V4}:80;\n\
         \x20   listen [{SERVER_V6}]:80;\n\
         \x20   server_name demo;\n\
         \x20   root {folder_name}/pages;\n\
         \x20   limit_req zone=all burst=100;\n\
         \x20 }}\n\
         }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).with_context(|| format!("write {}", file.display()))?;
    let mut nginx = network.server.command("nginx");
    nginx.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(file);
    Ok(nginx)
}

fn dnsmasq(network: &Network) -> Command {
    let mut dnsmasq = network.server.command("dnsmasq");
    dnsmasq
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
            "--log-facility=-",
        ])
        .args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--except-interface=lo"])
        .args([format!("--listen-address={SERVER_V4}"), format!("--listen-address={SERVER_V6}")])
        .args([format!("--address=/{DNS_NAME}/{SERVER_V4}"), format!("--address=/{DNS_NAME}/{SERVER_V6}")]);
    dnsmasq
}

fn curl(server: &str, page: &str) -> Vec<String> {
    let url = page_url(server, page);
    ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--output", "/dev/null", &url]
        .map(String::from)
        .to_vec()
}

fn dig(server: &str) -> Vec<String> {
    let server = format!("@{server}");
    // Two questions, IPv4 and IPv6 address of the name, each in a packet of its own.
    ["dig", "+notcp", "+tries=1", "+time=5", "+short", &server, DNS_NAME, "A", DNS_NAME, "AAAA"]
        .map(String::from)
        .to_vec()
}

fn page_url(server: &str, page: &str) -> String {
    let host = if server.contains(':') { format!("[{server}]") } else { server.to_string() };
    format!("http://{host}/{page}")
}

/// Lets the clients talk for `duration`, or until Ctrl-C.
pub fn drive(network: &Network, duration: Duration, sensor: &mut Sensor<'_>) -> anyhow::Result<()> {
    let started = Instant::now();
    let is_over = || started.elapsed() >= duration || interrupt::caught();
    let mut background = background(network, duration)?;
    let mut round = 0;
    while !is_over() {
        sensor.check()?;
        let (page, _) = PAGES[round % PAGES.len()];
        for server in [SERVER_V4, SERVER_V6] {
            run_client(network, curl(server, page))?;
            run_client(network, dig(server))?;
        }
        round += 1;
        sleep(Duration::from_millis(200));
    }
    for (name, child) in &mut background {
        if interrupt::caught() {
            break;
        }
        let status = child.wait_for(Duration::from_secs(10))?;
        if !status.is_some_and(|status| status.success()) {
            bail!("{name} failed: {status:?}");
        }
    }
    Ok(())
}

/// One client program from start to end. Ctrl-C in a terminal reaches it as well, which is no failure.
fn run_client(network: &Network, words: Vec<String>) -> anyhow::Result<()> {
    match network.client.run(words) {
        Err(error) if !interrupt::caught() => Err(error),
        _ => Ok(()),
    }
}

/// The clients that run by themselves: ping and iperf3 all the time, wrk for the first half.
fn background(network: &Network, duration: Duration) -> anyhow::Result<Vec<(&'static str, Child)>> {
    let seconds = duration.as_secs().to_string();
    let half = format!("{}s", (duration.as_secs() / 2).max(1));
    let words = |words: &[&str]| words.iter().copied().map(String::from).collect::<Vec<_>>();
    let ping = |address| words(&["ping", "-q", "-i", "0.5", "-w", &seconds, address]);
    let bulk = |address, rate| words(&["iperf3", "--client", address, "--time", &seconds, "--bitrate", rate]);
    let wrk = |address| {
        words(&[
            "wrk",
            "--threads",
            "1",
            "--connections",
            "4",
            "--duration",
            &half,
            &page_url(address, PAGES[0].0),
        ])
    };
    let clients = [
        ("ping v4", ping(SERVER_V4)),
        ("ping v6", ping(SERVER_V6)),
        ("iperf3 v4", bulk(SERVER_V4, BULK_V4_RATE)),
        ("iperf3 v6", bulk(SERVER_V6, BULK_V6_RATE)),
        ("wrk v4", wrk(SERVER_V4)),
        ("wrk v6", wrk(SERVER_V6)),
    ];
    let start = |(name, words): (&'static str, Vec<String>)| {
        let mut command = network.client.command(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Ok((name, Child::spawn(&mut command)?))
    };
    clients.into_iter().map(start).collect()
}
