//! The Internet checksum (RFC 1071) and the CRC-32C of SCTP (RFC 9260, appendix A).

/// A running ones' complement sum over 16-bit words.
#[derive(Clone, Copy, Debug, Default)]
pub struct InternetSum(u64);

impl InternetSum {
    /// Adds `bytes`, an odd last byte as the high half of a word: only the last part may be odd.
    #[must_use]
    pub fn over(self, bytes: &[u8]) -> InternetSum {
        let words = bytes.chunks(2).map(|pair| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        });
        InternetSum(self.0 + words.sum::<u64>())
    }

    /// The checksum to write into the packet.
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(u16::try_from(sum).expect("the loop above leaves 16 bits"))
    }
}

/// CRC-32C (Castagnoli), bit by bit: frames are built ahead of time, not on a hot path.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let reduced = if crc & 1 == 1 { CASTAGNOLI_REFLECTED } else { 0 };
            crc >> 1 ^ reduced
        })
    });
    !crc
}

const CASTAGNOLI_REFLECTED: u32 = 0x82f6_3b78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_of_the_rfc_1071_example() {
        let sum = InternetSum::default().over(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half() {
        assert_eq!(InternetSum::default().over(&[0x12]).finish(), !0x1200);
    }

    #[test]
    fn crc_of_the_rfc_3720_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
