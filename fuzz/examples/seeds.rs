//! Writes the seeds of the fuzz targets into `corpus/TARGET/`, made by the project's own generators.
//!
//! `flow` has none: its input is drawn from bytes by `arbitrary`.

use kflow::{Endpoint, FlowRecord, codec::Encoder};
use sensor_user::source::LinkType;
use std::{fs, io, path::Path};
use traffic::{
    mix::{Mix, Options, Traffic},
    pcap::{ByteOrder, Format, Writer},
};

const FRAMES_PER_MIX: usize = 12;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["decode", "kflow_decode", "pcap", "flow"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    for mix in Mix::ALL {
        let traffic = || Traffic::new(Options { mix, seed: 1, conversations: 4 });
        for (n, frame) in traffic().take(FRAMES_PER_MIX).enumerate() {
            let ethernet = [&LinkType::ETHERNET.0.to_le_bytes()[..], &[0, 0], &frame.bytes].concat();
            fs::write(corpus.join(format!("decode/{}-{n}", mix.name())), ethernet)?;
            let packet = frame.bytes.get(14..).unwrap_or_default();
            let raw = [&LinkType::RAW.0.to_le_bytes()[..], &[0, 0], packet].concat();
            fs::write(corpus.join(format!("decode/{}-{n}-raw", mix.name())), raw)?;
        }
        for format in Format::ALL {
            for order in ByteOrder::ALL {
                let mut writer = Writer::new(Vec::new(), format, order)?;
                for frame in traffic().take(FRAMES_PER_MIX) {
                    writer.write(frame.time_ns, &frame.bytes)?;
                }
                let name = format!("pcap/{}-{format:?}-{order:?}", mix.name());
                fs::write(corpus.join(name), writer.finish()?)?;
            }
        }
    }
    let mut encoder = Encoder::new();
    for count in [0, 1, 3] {
        let record = |n: u16| FlowRecord {
            source: Endpoint { port: n, ..Endpoint::default() },
            start_ns: 1_700_000_000_000_000_000,
            end_ns: 1_700_000_001_000_000_000,
            protocol: 6,
            ..FlowRecord::default()
        };
        let records: Vec<FlowRecord> = (0..count).map(record).collect();
        let message = encoder.encode(&records).expect("plain records can be encoded");
        fs::write(corpus.join(format!("kflow_decode/{count}-records")), message)?;
    }
    Ok(())
}
