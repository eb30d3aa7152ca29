//! A second opinion on frames: parses them from their bytes alone and checks every length and checksum on the
//! way. Shares no code with the generator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the bytes of a good packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub packet_bytes: usize,
    /// Where the data behind UDP's header starts in the frame; zero for anything else.
    pub udp_data: usize,
    pub fragment: Option<Fragment>,
}

/// Which datagram a fragment is of, and whether it is the one with the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub identification: u32,
    pub is_first: bool,
}

/// `Ok(None)` for what is no flow; an error names what is wrong in a packet.
pub fn inspect(frame: &[u8]) -> Result<Option<Seen>, String> {
    match network(frame) {
        Some((4, at)) => inspect_v4(frame, at),
        Some((6, at)) => inspect_v6(frame, at),
        _ => Ok(None),
    }
}

/// IP version and place of the IP header.
pub fn network(frame: &[u8]) -> Option<(u8, usize)> {
    let mut at = 12;
    let mut ether_type = number16(frame, at)?;
    at += 2;
    for _ in 0..4 {
        if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        ether_type = number16(frame, at + 2)?;
        at += 4;
    }
    if ether_type <= 1_500 && frame.get(at..at + 6) == Some(&[0xaa, 0xaa, 3, 0, 0, 0]) {
        ether_type = number16(frame, at + 6)?;
        at += 8;
    }
    match ether_type {
        0x0800 => Some((4, at)),
        0x86dd => Some((6, at)),
        0x8847 => {
            let entries = frame.get(at..)?.chunks_exact(4).take(16);
            let labels = 1 + entries.into_iter().position(|entry| entry[2] & 1 == 1)?;
            at += 4 * labels;
            Some((frame.get(at)? >> 4, at))
        }
        0x8864 => match number16(frame, at + 6)? {
            0x0021 => Some((4, at + 8)),
            0x0057 => Some((6, at + 8)),
            _ => None,
        },
        _ => None,
    }
}

fn inspect_v4(frame: &[u8], start: usize) -> Result<Option<Seen>, String> {
    let packet = &frame[start..];
    if packet.len() < 20 || packet[0] >> 4 != 4 || packet[0] & 15 < 5 {
        return Ok(None);
    }
    let header = usize::from(packet[0] & 15) * 4;
    let total = usize::from(be16(packet, 2));
    if total > packet.len() || packet.len() < header {
        return Err(format!("total length {total} in {} bytes", packet.len()));
    }
    if sum(&[&packet[..header]]) != 0xffff {
        return Err("IPv4 header checksum".into());
    }
    let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let (source, destination) = (address(12).into(), address(16).into());
    let pseudo = [&packet[12..20], &[0, packet[9]]].concat();
    let fragment = be16(packet, 6) & 0x3fff;
    let identification = u32::from(be16(packet, 4));
    let segment = &packet[header..total];
    let upper = Upper { protocol: packet[9], segment, fragment, identification, pseudo };
    upper.finish(source, destination, total, start + header).map(Some)
}

fn inspect_v6(frame: &[u8], start: usize) -> Result<Option<Seen>, String> {
    let packet = &frame[start..];
    if packet.len() < 40 || packet[0] >> 4 != 6 {
        return Ok(None);
    }
    let total = 40 + usize::from(be16(packet, 4));
    if total > packet.len() {
        return Err(format!("payload ends at {total} in {} bytes", packet.len()));
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    let (source, destination) = (address(8).into(), address(24).into());
    let (mut next, mut offset, mut fragment, mut identification) = (packet[6], 40, 0, 0);
    loop {
        match next {
            0 | 60 => {
                next = packet[offset];
                offset += 8 * (1 + usize::from(packet[offset + 1]));
            }
            44 => {
                next = packet[offset];
                // As in IPv4: offset in units of eight, "more" above it.
                let word = be16(packet, offset + 2);
                fragment = word >> 3 | (word & 1) << 13;
                identification = u32::from_be_bytes(packet[offset + 4..offset + 8].try_into().unwrap());
                offset += 8;
            }
            _ => break,
        }
    }
    let pseudo = [&packet[8..40], &[0, next]].concat();
    let segment = &packet[offset..total];
    let upper = Upper { protocol: next, segment, fragment, identification, pseudo };
    upper.finish(source, destination, total, start + offset).map(Some)
}

struct Upper<'a> {
    protocol: u8,
    segment: &'a [u8],
    fragment: u16,
    identification: u32,
    pseudo: Vec<u8>,
}

impl Upper<'_> {
    fn finish(
        &self,
        source: IpAddr,
        destination: IpAddr,
        packet_bytes: usize,
        start: usize,
    ) -> Result<Seen, String> {
        let segment = self.segment;
        let later_fragment = self.fragment & 0x1fff != 0;
        let (mut source_port, mut destination_port) = (0, 0);
        if matches!(self.protocol, 6 | 17 | 132) && !later_fragment {
            (source_port, destination_port) = (be16(segment, 0), be16(segment, 2));
        }
        if self.fragment == 0 {
            self.check_segment(source)?;
        }
        let udp_data = if self.protocol == 17 && !later_fragment { start + 8 } else { 0 };
        let protocol = self.protocol;
        let (identification, is_first) = (self.identification, !later_fragment);
        let fragment = (self.fragment != 0).then_some(Fragment { identification, is_first });
        Ok(Seen {
            source,
            destination,
            source_port,
            destination_port,
            protocol,
            packet_bytes,
            udp_data,
            fragment,
        })
    }

    fn check_segment(&self, source: IpAddr) -> Result<(), String> {
        let segment = self.segment;
        let length = u16::try_from(segment.len()).unwrap().to_be_bytes();
        let with_pseudo = || sum(&[&self.pseudo, &length, segment]) == 0xffff;
        let good = match self.protocol {
            6 => usize::from(segment[12] >> 4) * 4 <= segment.len() && with_pseudo(),
            17 => usize::from(be16(segment, 4)) == segment.len() && be16(segment, 6) != 0 && with_pseudo(),
            1 => source.is_ipv4() && sum(&[segment]) == 0xffff,
            58 => source.is_ipv6() && with_pseudo(),
            132 => {
                let mut zeroed = segment.to_vec();
                zeroed[8..12].fill(0);
                castagnoli(&zeroed).to_le_bytes() == segment[8..12]
            }
            _ => true,
        };
        if good { Ok(()) } else { Err(format!("length or checksum of protocol {}", self.protocol)) }
    }
}

/// Ones' complement sum with the end-around carry at every step; 0xffff when a checksum inside is right.
fn sum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut total: u16 = 0;
    for pair in bytes.chunks(2) {
        let word = u16::from(pair[0]) << 8 | u16::from(*pair.get(1).unwrap_or(&0));
        let (added, carry) = total.overflowing_add(word);
        total = added + u16::from(carry);
    }
    total
}

/// CRC-32C by the polynomial as it is written down, on reflected bytes.
fn castagnoli(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(byte.reverse_bits()) << 24;
        for _ in 0..8 {
            let high = remainder >> 31;
            remainder = (remainder << 1) ^ (high * 0x1edc_6f41);
        }
    }
    !remainder.reverse_bits()
}

pub fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

pub fn be16(bytes: &[u8], at: usize) -> u16 {
    number16(bytes, at).expect("the caller looked at the length")
}
