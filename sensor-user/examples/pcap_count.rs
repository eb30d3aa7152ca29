//! Walks captures without decoding them: `pcap_count FILE...`. Prints frames, bytes and CPU time per frame, which
//! is the floor under every offline figure of the sensor.

use std::path::Path;
use std::process::ExitCode;

use sensor_user::clock::Moment;
use sensor_user::source::pcap::PcapSource;
use sensor_user::source::{Received, Source};

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for argument in std::env::args_os().skip(1) {
        if let Err(error) = count(Path::new(&argument)) {
            eprintln!("{}: {error}", argument.display());
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn count(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let start_ns = cpu_time_ns();
    let mut source = PcapSource::open(path)?;
    let mut captured_bytes = 0;
    let mut wire_bytes = 0;
    let end = loop {
        let received = source.receive(Moment(0), |frames| {
            captured_bytes += frames.iter().map(|frame| frame.bytes.len() as u64).sum::<u64>();
            wire_bytes += frames.iter().map(|frame| u64::from(frame.wire_bytes)).sum::<u64>();
        });
        match received {
            Ok(Received::End) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    let (frames, bytes_read) = (source.frames_offered(), source.bytes_read());
    drop(source);
    let spent_ns = cpu_time_ns() - start_ns;
    println!(
        "{}: {frames} frames, {captured_bytes} bytes captured, {wire_bytes} on the wire, {bytes_read} read, \
         {:.1} ns/frame of CPU",
        path.display(),
        spent_ns as f64 / frames.max(1) as f64,
    );
    end.map_err(Into::into)
}

/// User and system time of this process, with the page faults and the unmapping.
fn cpu_time_ns() -> u64 {
    let statistics = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let on_cpu = statistics.split_whitespace().next().and_then(|field| field.parse().ok());
    on_cpu.unwrap_or(0)
}
