//! Any conversation in or beside DHCPv6 is parsed within the limits, and alike however its streams are split. The input
//! is described in `src/applications.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor_app::dhcpv6::Dhcpv6;
use wireflow_fuzz::applications;

fuzz_target!(|input: &[u8]| applications::converse::<Dhcpv6>(input));
