//! NTP: a client asks for the time (RFC 5905 §7.3).

use std::net::Ipv4Addr;

use super::bytes::Bytes;
use super::words::hex;
use super::{Said, Script};
use crate::mix::random::Random;

const CLIENT: u8 = 3;
const SERVER: u8 = 4;

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::udp(123);
    for _ in 0..random.between(1, 3) {
        let version = random.between(3, 4) as u8;
        let transmit = time(random);
        script.client(message(version << 3 | CLIENT, 0, [0; 4], [[0; 8], [0; 8], transmit]));
        let said = Said::of("ntp").with("ntp_version", version).with("ntp_mode", CLIENT);
        if random.one_in(8) {
            script.said.push(said.with("ntp_stratum", 0).with("ntp_leap", 0));
            continue;
        }
        let (leap, stratum) = (random.between(0, 2) as u8, random.between(1, 4) as u8);
        let (reference, text) = if stratum == 1 {
            (*b"GPS\0", "GPS".to_owned())
        } else {
            let server = Ipv4Addr::new(192, 0, 2, random.between(1, 254) as u8).octets();
            (server, hex(&server))
        };
        let times = [transmit, time(random), time(random)];
        script.server(message(leap << 6 | version << 3 | SERVER, stratum, reference, times));
        let said = said.with("ntp_stratum", stratum).with("ntp_leap", leap).with("ntp_reference_id", text);
        script.said.push(Said { is_answered: true, ..said });
    }
    script
}

/// Seconds since 1900 in the first half, of 2026.
fn time(random: &mut Random) -> [u8; 8] {
    ((0xED00_0000 + random.between(0, 0xFF_FFFF)) << 32 | random.between(1, 0xFFFF_FFFF)).to_be_bytes()
}

/// Times: that of the request, that of its arrival, and when this message was sent.
fn message(first: u8, stratum: u8, reference: [u8; 4], times: [[u8; 8]; 3]) -> Bytes {
    let [origin, received, transmit] = times;
    // Polled every 64 s, to a microsecond; root delay and dispersion.
    let head = Bytes::new().u8(first).u8(stratum).u8(6).u8(0xEC).u32(0x100).u32(0x200).put(reference);
    head.put(received).put(origin).put(received).put(transmit)
}
