//! Any conversation in or beside HTTP is parsed within the limits, and alike however its streams are split. The input
//! is described in `src/applications.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor_app::http::Http;
use wireflow_fuzz::applications;

fuzz_target!(|input: &[u8]| applications::converse::<Http>(input));
