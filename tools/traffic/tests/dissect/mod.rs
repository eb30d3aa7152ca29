//! tshark as a second opinion: frames in, fields out.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use traffic::frame::capture::CaptureLink;
use traffic::pcap::{ByteOrder, Format, Writer};

/// An installed tshark.
pub struct Tshark(());

impl Tshark {
    /// `None`, with a word on standard error, if it is not installed.
    pub fn find() -> Option<Tshark> {
        let is_there = Command::new("tshark").arg("--version").output().is_ok_and(|run| run.status.success());
        if !is_there {
            eprintln!("skipped: tshark is not installed");
        }
        is_there.then_some(Tshark(()))
    }

    /// One row of values a frame; values of a field that occurs more than once are separated by commas.
    pub fn fields<'a>(
        &self,
        frames: impl Iterator<Item = (u64, &'a [u8])>,
        fields: &[&str],
    ) -> Vec<Vec<String>> {
        self.fields_of(CaptureLink::Ethernet, frames, fields)
    }

    pub fn fields_of<'a>(
        &self,
        link: CaptureLink,
        frames: impl Iterator<Item = (u64, &'a [u8])>,
        fields: &[&str],
    ) -> Vec<Vec<String>> {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("traffic-{}-tshark-{number}.pcap", std::process::id()));
        let mut writer =
            Writer::with_link(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little, link).unwrap();
        for (time_ns, bytes) in frames {
            writer.write(time_ns, bytes).unwrap();
        }
        fs::write(&path, writer.finish().unwrap()).unwrap();
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(&path).args(OPTIONS).args(["-T", "fields", "-E", "separator=/t"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().unwrap();
        fs::remove_file(path).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

/// Checksums are looked at, and nothing is put together from several frames but what the analysis needs.
const OPTIONS: [&str; 16] = [
    "-o",
    "tcp.desegment_tcp_streams:TRUE",
    "-o",
    "tcp.reassemble_out_of_order:TRUE",
    "-o",
    "ip.check_checksum:TRUE",
    "-o",
    "tcp.check_checksum:TRUE",
    "-o",
    "udp.check_checksum:TRUE",
    "-o",
    "sctp.checksum:CRC32C",
    "-o",
    "ip.defragment:FALSE",
    "-o",
    "ipv6.defragment:FALSE",
];
