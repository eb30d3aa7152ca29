//! The serial form of DataSketches' HLL, version 1, little endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | length of the preamble in words of four bytes: list 2, set 3, HLL 10 |
//! | 1 | 1 | version, 1 |
//! | 2 | 1 | family, 7 for HLL |
//! | 3 | 1 | lg K |
//! | 4 | 1 | logarithm of the slots of a table that is not compact |
//! | 5 | 1 | flags: 4 empty, 8 compact, 16 out of order |
//! | 6 | 1 | list: number of coupons; HLL_4: the smallest register |
//! | 7 | 1 | mode (0 list, 1 set, 2 HLL) + 4 · type (0 HLL_4, 1 HLL_6, 2 HLL_8) |
//! | 8 | 4 | set: number of coupons |
//! | 8 | 24 | HLL: three sums of its estimators |
//! | 32 | 4 | HLL: number of registers that are the smallest |
//! | 36 | 4 | HLL_4: number of exceptions |
//! | | | coupons, or registers and exceptions |
//!
//! A coupon is four bytes: 26 bits of slot, and above them one more than the level. An exception is a coupon
//! that says what the register is whose four bits are all ones. The sums are not needed to read registers.

use super::{Hll, LOG_REGISTERS_MAX, LOG_REGISTERS_MIN};

const VERSION: u8 = 1;
const FAMILY: u8 = 7;
const COMPACT: u8 = 8;
const OUT_OF_ORDER: u8 = 16;

const LIST: u8 = 0;
const SET: u8 = 1;
const HLL: u8 = 2;
const HLL_4: u8 = 0;
const HLL_6: u8 = 1;
const HLL_8: u8 = 2;

const COUPON_SLOT_BITS: u32 = 26;
/// Four bits that say that the register is among the exceptions.
const EXCEPTION: u8 = 15;
/// What six bits hold.
const REGISTER_MAX: u8 = 63;

type Result<T> = std::result::Result<T, &'static str>;

pub(super) fn read(bytes: &[u8]) -> Result<Hll> {
    let Some((header, rest)) = bytes.split_first_chunk() else { return Err("too short") };
    let [preamble, version, family, log_registers, log_table, flags, state, mode] = *header;
    if version != VERSION || family != FAMILY {
        return Err("another version or family");
    }
    if !(LOG_REGISTERS_MIN..=LOG_REGISTERS_MAX).contains(&log_registers) {
        return Err("a number of registers out of range");
    }
    let is_compact = flags & COMPACT != 0;
    let mut hll = Hll::empty(log_registers);
    match (mode & 3, preamble) {
        (LIST, 2) => {
            // What is behind the coupons of a list that is not compact is empty.
            raise_by_coupons(&mut hll, rest, usize::from(state))?;
        }
        (SET, 3) => {
            let (count, rest) = split_u32(rest)?;
            let table = 1 << u32::from(log_table).min(COUPON_SLOT_BITS);
            raise_by_coupons(&mut hll, rest, if is_compact { count } else { table })?;
        }
        (HLL, 10) => {
            let (exceptions, rest) = split_u32(rest.get(28..).ok_or("no preamble")?)?;
            let table = 1 << u32::from(log_table).min(COUPON_SLOT_BITS);
            let exceptions = if is_compact || exceptions == 0 { exceptions } else { table };
            read_registers(&mut hll, mode >> 2 & 3, state, rest, exceptions)?;
        }
        _ => return Err("an unknown mode"),
    }
    Ok(hll)
}

fn split_u32(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().ok_or("cut off")?;
    Ok((u32::from_le_bytes(*number) as usize, rest))
}

fn read_registers(hll: &mut Hll, kind: u8, smallest: u8, rest: &[u8], exceptions: usize) -> Result<()> {
    let count = hll.registers.len();
    let cut_off = "fewer registers than there should be";
    match kind {
        HLL_4 => {
            let (nibbles, coupons) = rest.split_at_checked(count / 2).ok_or(cut_off)?;
            for (pair, byte) in hll.registers.chunks_exact_mut(2).zip(nibbles) {
                for (register, nibble) in pair.iter_mut().zip([byte & 15, byte >> 4]) {
                    *register = if nibble == EXCEPTION { smallest } else { smallest.saturating_add(nibble) };
                }
            }
            raise_by_coupons(hll, coupons, exceptions)?;
        }
        HLL_6 => {
            // Four registers in three bytes.
            let groups = rest.get(..count / 4 * 3).ok_or(cut_off)?.as_chunks::<3>().0;
            for (four, group) in hll.registers.chunks_exact_mut(4).zip(groups) {
                let bits = u32::from_le_bytes([group[0], group[1], group[2], 0]);
                for (n, register) in four.iter_mut().enumerate() {
                    *register = (bits >> (6 * n)) as u8 & REGISTER_MAX;
                }
            }
        }
        HLL_8 => hll.registers.copy_from_slice(rest.get(..count).ok_or(cut_off)?),
        _ => return Err("an unknown type"),
    }
    if hll.registers.iter().any(|register| *register > REGISTER_MAX) {
        return Err("a register of more than six bits");
    }
    Ok(())
}

fn raise_by_coupons(hll: &mut Hll, bytes: &[u8], count: usize) -> Result<()> {
    let coupons = bytes.as_chunks::<4>().0.get(..count).ok_or("fewer coupons than there should be")?;
    for coupon in coupons {
        let coupon = u32::from_le_bytes(*coupon);
        hll.raise(coupon, (coupon >> COUPON_SLOT_BITS) as u8);
    }
    Ok(())
}

pub(super) fn write(hll: &Hll) -> Vec<u8> {
    // DataSketches keeps registers below 32 and those above in two sums, each exact.
    let power = |register: &u8| 0.5_f64.powi(i32::from(*register));
    let (low, high): (Vec<u8>, Vec<u8>) = hll.registers.iter().partition(|register| **register < 32);
    let sums = [0.0, low.iter().map(power).sum(), high.iter().map(power).sum()];
    let zeros = hll.registers.iter().filter(|register| **register == 0).count();
    let mut bytes = Vec::with_capacity(40 + hll.registers.len());
    // The first sum depends on the order in which values came; "out of order" says that it is not there.
    bytes.extend_from_slice(&[
        10,
        VERSION,
        FAMILY,
        hll.log_registers(),
        0,
        OUT_OF_ORDER,
        0,
        HLL | HLL_8 << 2,
    ]);
    bytes.extend(sums.iter().flat_map(|sum: &f64| sum.to_le_bytes()));
    bytes.extend_from_slice(&(zeros as u32).to_le_bytes());
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&hll.registers);
    bytes
}
