//! What goes to a receiver: messages in the numbers of a device, records of all fields, bodies of requests.

use crate::records::device;
use crate::reference_chf::encode_chf;
use crate::{BATCH_RECORDS, ENCODE_GOAL, in_turns, result};
use flate2::{Compress, Compression, FlushCompress};
use kflow::body::{BodyReader, BodyWriter, ContentEncoding};
use kflow::codec::{ChfEncoder, Encoder, Limits, decode_chf};
use kflow::{Chf, FlowRecord, text};
use serde_json::Value;
use std::hint::black_box;

const BODY_BYTES_MAX: usize = 64 << 20;

/// Results whose names end in this.
pub fn results(records: &[FlowRecord], suffix: &str) -> Vec<Value> {
    let name = |name: &str| format!("{name}{suffix}");
    let mut of_device = Encoder::for_device(&device());
    let mut named = Encoder::new();
    let [mapped, plain] = in_turns([
        &mut || _ = black_box(of_device.encode(black_box(records)).expect("the batch is small")),
        &mut || _ = black_box(named.encode(black_box(records)).expect("the batch is small")),
    ]);
    let message = of_device.encode(records).expect("the batch is small");
    let named_bytes = each(named.encode(records).expect("the batch is small"));
    let bytes = each(message);
    let mut results = vec![
        result(&name("kflow device"), mapped, "records/s", "a message that names its columns", plain, None),
        result(&name("kflow device"), bytes, "bytes", "a message that names its columns", named_bytes, None),
        result(&name("kflow json"), json_bytes(records), "bytes", "a message", named_bytes, None),
    ];
    let chf = decode_chf(message, &Limits::default()).expect("it was just encoded");
    results.extend(chf_results(&chf, &name("kflow chf"), None));
    let without_customs: Vec<Chf> = chf.into_iter().map(|chf| Chf { custom: Vec::new(), ..chf }).collect();
    results.extend(chf_results(&without_customs, &name("kflow chf plain"), Some(ENCODE_GOAL)));
    results.extend(body_results(message, &name("kflow body")));
    results
}

/// Records of all fields, there and back.
fn chf_results(records: &[Chf], name: &str, goal: Option<f64>) -> [Value; 2] {
    let mut encoder = ChfEncoder::new();
    let mut reference = Vec::new();
    let [ours, capnp] = in_turns([
        &mut || _ = black_box(encoder.encode(black_box(records)).expect("the batch is small")),
        &mut || {
            encode_chf(black_box(records), &mut reference);
            black_box(&reference);
        },
    ]);
    let message = encoder.encode(records).expect("the batch is small");
    let [decoded, unpacked] = in_turns([
        &mut || _ = black_box(decode_chf(black_box(message), &Limits::default()).expect("it is our own")),
        &mut || {
            let options = capnp::message::ReaderOptions::new();
            let message = capnp::serialize_packed::read_message(black_box(message), options);
            black_box(message.expect("it is our own"));
        },
    ]);
    let encode = format!("{name} encode");
    let decode = format!("{name} decode");
    [
        result(&encode, ours, "records/s", "capnp builder and packed writer", capnp, goal),
        result(&decode, decoded, "records/s", "capnp, unpacking alone", unpacked, None),
    ]
}

fn body_results(message: &[u8], name: &str) -> [Value; 5] {
    let mut gzip = BodyWriter::new(ContentEncoding::Gzip);
    let mut zstd = BodyWriter::new(ContentEncoding::Zstd);
    let mut at_level_6 = Compress::new(Compression::new(6), false);
    let mut deflated = vec![0; 2 * message.len()];
    let [gzipped, by_level_6] =
        in_turns([&mut || _ = black_box(gzip.write(black_box(message))), &mut || {
            at_level_6.reset();
            let done = at_level_6.compress(black_box(message), &mut deflated, FlushCompress::Finish);
            black_box(done.expect("there is room"));
        }]);
    let level_6_bytes = at_level_6.total_out() as f64 / BATCH_RECORDS as f64;
    let [zstd_written, _] = in_turns([&mut || _ = black_box(zstd.write(black_box(message))), &mut || {}]);
    let gzip_body = gzip.write(message);
    let zstd_body = zstd.write(message);
    let mut reader = BodyReader::new(BODY_BYTES_MAX);
    let mut other_reader = BodyReader::new(BODY_BYTES_MAX);
    let [of_gzip, of_zstd] = in_turns([
        &mut || {
            _ = black_box(reader.read(black_box(gzip_body), ContentEncoding::Gzip).expect("it is our own"));
        },
        &mut || {
            let read = other_reader.read(black_box(zstd_body), ContentEncoding::Zstd);
            black_box(read.expect("it is our own"));
        },
    ]);
    let (gzip_bytes, zstd_bytes) = (each(gzip_body), each(zstd_body));
    [
        result(&format!("{name} gzip"), gzipped, "records/s", "deflate at level 6", by_level_6, None),
        result(&format!("{name} gzip"), gzip_bytes, "bytes", "deflate at level 6", level_6_bytes, None),
        result(&format!("{name} zstd"), zstd_written, "records/s", "gzip", gzipped, None),
        result(&format!("{name} zstd"), zstd_bytes, "bytes", "gzip", gzip_bytes, None),
        result(&format!("{name} read gzip"), of_gzip, "records/s", "zstd", of_zstd, None),
    ]
}

/// Bytes a record.
fn each(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / BATCH_RECORDS as f64
}

fn json_bytes(records: &[FlowRecord]) -> f64 {
    let mut lines = Vec::new();
    records.iter().for_each(|record| text::write_json(record, &mut lines));
    each(&lines)
}
