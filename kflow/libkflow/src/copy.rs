//! What C passes, copied into values of Rust. What the pointers must be is in the header; each block here relies on that and
//! on nothing else.

#![expect(unsafe_code, reason = "C passes pointers")]

use std::ffi::{CStr, c_char};
use std::net::IpAddr;
use std::slice;

use kflow::chf::{CUSTOM_TEXT_BYTES_MAX, Chf, Custom, CustomValue};

use crate::abi::{self, vtype};
use crate::columns::Columns;
use crate::dns::{Answer, Question};
use crate::failure::{Code, Failure};
use crate::settings::Given;

/// # Safety
/// The pointer is null, or points to a value that nobody changes for as long as `'a`.
pub unsafe fn shared<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the caller promises that it is null or valid, and null is `None`.
    unsafe { pointer.as_ref() }
}

/// # Safety
/// The pointer is null, or points to so many values that nobody changes for as long as `'a`.
pub unsafe fn many<'a, T>(pointer: *const T, count: usize) -> Option<&'a [T]> {
    if count == 0 {
        return Some(&[]);
    }
    let fits = count.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok());
    if pointer.is_null() || !fits {
        return None;
    }
    // SAFETY: it is not null, the caller promises that so many values are there, and they fit into memory.
    Some(unsafe { slice::from_raw_parts(pointer, count) })
}

/// The bytes of a string up to its zero; none for null.
///
/// # Safety
/// The pointer is null, or points to a string that ends with a zero and that nobody changes for as long as `'a`.
unsafe fn bytes_of_text<'a>(pointer: *const c_char) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller promises that a zero ends it.
    Some(unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// # Safety
/// All texts of the config are null or strings that end with a zero.
pub unsafe fn config(config: &abi::Config) -> Result<Given, Failure> {
    let text = |pointer, name| {
        // SAFETY: the caller promises it of all texts.
        let Some(bytes) = (unsafe { bytes_of_text(pointer) }).filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Failure::config(format!("{name} in kflowConfig is not UTF-8"))),
        }
    };
    Ok(Given {
        url: text(config.url, "URL")?,
        api_email: text(config.api.email, "API.email")?,
        api_token: text(config.api.token, "API.token")?,
        api_url: text(config.api.url, "API.URL")?,
        capture_ip: text(config.capture.ip, "capture.ip")?,
        metrics_url: text(config.metrics.url, "metrics.URL")?,
        proxy_url: text(config.proxy.url, "proxy.URL")?,
        status_host: text(config.status.host, "status.host")?,
        status_port: config.status.port,
        dns_enable: config.dns.enable,
        dns_interval: config.dns.interval,
        dns_url: text(config.dns.url, "dns.URL")?,
        device_id: config.device_id,
        device_if: text(config.device_if, "device_if")?,
        device_ip: text(config.device_ip, "device_ip")?,
        device_name: text(config.device_name, "device_name")?,
        device_plan: config.device_plan,
        device_site: config.device_site,
        timeout: config.timeout,
        program: text(config.program, "program")?,
        version: text(config.version, "version")?,
    })
}

/// # Safety
/// Each IPv6 address is null or 16 bytes; the custom columns are null or as many as their count says, of which each name is null
/// or a string, and each value is of the type that it says, a text being null or a string.
pub unsafe fn flow(flow: &abi::Flow, columns: &Columns) -> Result<Chf, Failure> {
    // SAFETY: the caller promises it of all addresses.
    let address = |pointer: *const u8| unsafe { shared(pointer.cast::<[u8; 16]>()) }.copied();
    let count = usize::try_from(flow.num_customs).expect("a size has at least 32 bits");
    // SAFETY: the caller promises that so many are there.
    let Some(customs) = (unsafe { many(flow.customs, count) }) else {
        return Err(Failure::new(Code::NoCustom, format!("a flow has {count} customs, and null for them")));
    };
    // SAFETY: the caller promises it of all customs.
    let custom = customs.iter().map(|one| unsafe { custom(one, columns) }).collect::<Result<_, _>>()?;
    Ok(Chf {
        timestamp_nano: flow.timestamp_nano,
        dst_as: flow.dst_as,
        dst_geo: flow.dst_geo,
        dst_mac: flow.dst_mac,
        header_len: flow.header_len,
        in_bytes: flow.in_bytes,
        in_pkts: flow.in_pkts,
        input_port: flow.input_port,
        ip_size: flow.ip_size,
        ipv4_dst_addr: flow.ipv4_dst_addr,
        ipv4_src_addr: flow.ipv4_src_addr,
        l4_dst_port: flow.l4_dst_port,
        l4_src_port: flow.l4_src_port,
        output_port: flow.output_port,
        protocol: flow.protocol,
        sampled_packet_size: flow.sampled_packet_size,
        src_as: flow.src_as,
        src_geo: flow.src_geo,
        src_mac: flow.src_mac,
        tcp_flags: flow.tcp_flags,
        tos: flow.tos,
        vlan_in: flow.vlan_in,
        vlan_out: flow.vlan_out,
        ipv4_next_hop: flow.ipv4_next_hop,
        mpls_type: flow.mpls_type,
        out_bytes: flow.out_bytes,
        out_pkts: flow.out_pkts,
        tcp_retransmit: flow.tcp_retransmit,
        sample_rate: flow.sample_rate.saturating_mul(100),
        timestamp: flow.timestamp,
        src_next_hop_as: flow.src_next_hop_as,
        dst_next_hop_as: flow.dst_next_hop_as,
        src_geo_region: flow.src_geo_region,
        dst_geo_region: flow.dst_geo_region,
        src_geo_city: flow.src_geo_city,
        dst_geo_city: flow.dst_geo_city,
        big: flow.big != 0,
        sample_adj: true,
        ipv4_dst_next_hop: flow.ipv4_dst_next_hop,
        ipv4_src_next_hop: flow.ipv4_src_next_hop,
        src_route_prefix: flow.src_route_prefix,
        dst_route_prefix: flow.dst_route_prefix,
        src_route_length: flow.src_route_length,
        dst_route_length: flow.dst_route_length,
        src_second_asn: flow.src_second_asn,
        dst_second_asn: flow.dst_second_asn,
        src_third_asn: flow.src_third_asn,
        dst_third_asn: flow.dst_third_asn,
        ipv6_dst_addr: address(flow.ipv6_dst_addr),
        ipv6_src_addr: address(flow.ipv6_src_addr),
        src_eth_mac: flow.src_eth_mac,
        dst_eth_mac: flow.dst_eth_mac,
        custom,
        ipv6_src_next_hop: address(flow.ipv6_src_next_hop),
        ipv6_dst_next_hop: address(flow.ipv6_dst_next_hop),
        ipv6_src_route_prefix: address(flow.ipv6_src_route_prefix),
        ipv6_dst_route_prefix: address(flow.ipv6_dst_route_prefix),
        is_metric: flow.is_metric != 0,
        app_protocol: flow.app_protocol,
        ..Chf::default()
    })
}

/// # Safety
/// The name is null or a string, and the value is of the type that it says, a text being null or a string.
unsafe fn custom(custom: &abi::Custom, columns: &Columns) -> Result<Custom, Failure> {
    // SAFETY: the caller promises it.
    let name = unsafe { bytes_of_text(custom.name) };
    let id = match (u32::try_from(custom.id), name) {
        (Ok(0), Some(name)) => columns.id_of(name),
        (id, _) => id.ok().filter(|id| columns.has(*id)),
    };
    let complaint = |what: String| {
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        Failure::new(Code::NoCustom, format!("custom column {} {name:?}: {what}", custom.id))
    };
    let Some(id) = id else { return Err(complaint("the device has none of this id or name".to_owned())) };
    // SAFETY: the caller promises that the type is right.
    let Some(value) = (unsafe { value(&custom.value, custom.vtype) }) else {
        return Err(complaint(format!("there is no vtype {}", custom.vtype)));
    };
    Ok(Custom { id, is_dimension: false, value })
}

/// The value in the member of the wire's union that holds it best: there are none for signed numbers and doubles.
///
/// # Safety
/// The value is of this type, and a text is null or a string.
unsafe fn value(value: &abi::Value, kind: i32) -> Option<CustomValue> {
    // SAFETY: the caller promises that the member of this type is there; a type that has no member reads none.
    unsafe {
        Some(match kind {
            0 => CustomValue::Text(String::new()),
            vtype::STR => CustomValue::Text(cut(bytes_of_text(value.str).unwrap_or_default())),
            vtype::U8 => CustomValue::U8(value.u8),
            vtype::U16 => CustomValue::U16(value.u16),
            vtype::U32 => CustomValue::U32(value.u32),
            vtype::U64 => CustomValue::U64(value.u64),
            vtype::I8 => CustomValue::U8(value.i8.cast_unsigned()),
            vtype::I16 => CustomValue::U16(value.i16.cast_unsigned()),
            vtype::I32 => CustomValue::U32(value.i32.cast_unsigned()),
            vtype::I64 => CustomValue::U64(value.i64.cast_unsigned()),
            vtype::F32 => CustomValue::F32(value.f32),
            vtype::F64 => CustomValue::F32(value.f64 as f32),
            vtype::ADDR => to_address(value.addr),
            _ => return None,
        })
    }
}

/// As much of a text as is sent. What is not UTF-8 is replaced, since receivers take nothing else.
fn cut(bytes: &[u8]) -> String {
    // No more than this is looked at, however long the text is; a character that it cuts goes with the next line.
    let bytes = &bytes[..bytes.len().min(CUSTOM_TEXT_BYTES_MAX + 4)];
    let text = String::from_utf8_lossy(bytes);
    text[..text.floor_char_boundary(CUSTOM_TEXT_BYTES_MAX)].to_owned()
}

fn to_address(bytes: [u8; 17]) -> CustomValue {
    match bytes {
        [4, a, b, c, d, ..] => CustomValue::Address(IpAddr::from([a, b, c, d])),
        [6, ref address @ ..] => CustomValue::Address(IpAddr::from(*address)),
        _ => CustomValue::Unknown,
    }
}

/// # Safety
/// Both slices are null or as long as they say.
pub unsafe fn question(query: &abi::DomainQuery) -> Option<Question> {
    // SAFETY: the caller promises it of both.
    let (name, host) = unsafe { (slice_of(&query.name)?, slice_of(&query.host)?) };
    Some(Question { name: String::from_utf8_lossy(name).into_owned(), host: host.to_vec() })
}

/// # Safety
/// The answers are null or as many as the count says, and each slice is null or as long as it says.
pub unsafe fn answers(answers: *const abi::DomainAnswer, count: usize) -> Option<Vec<Answer>> {
    // SAFETY: the caller promises that so many are there.
    let answers = unsafe { many(answers, count) }?;
    let copied = answers.iter().map(|answer| {
        // SAFETY: the caller promises it of all slices.
        let address = unsafe { slice_of(&answer.ip) }?.to_vec();
        Some(Answer { address, ttl_s: answer.ttl })
    });
    copied.collect()
}

/// # Safety
/// The slice is null or as long as it says, and nobody changes it for as long as `'a`.
unsafe fn slice_of<'a>(slice: &abi::ByteSlice) -> Option<&'a [u8]> {
    // SAFETY: the caller promises it.
    unsafe { many(slice.ptr, slice.len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_are_always_utf_8() {
        assert_eq!(cut(b"short"), "short");
        assert_eq!(cut(&[b'x'; 1000]), "x".repeat(384));
        for (character, bytes) in [("é", 2), ("€", 3), ("𝄞", 4)] {
            for before in 380..=384 {
                let text = "x".repeat(before) + &character.repeat(10);
                let kept = cut(text.as_bytes());
                assert!(text.starts_with(&kept), "{character} after {before}");
                assert_eq!(kept.len(), before + (384 - before) / bytes * bytes, "{character} after {before}");
            }
        }
        assert_eq!(cut(b"caf\xe9 au lait"), "caf\u{fffd} au lait");
        assert_eq!(cut(&[0xff; 1000]), "\u{fffd}".repeat(128));
    }

    #[test]
    fn addresses_say_what_they_are() {
        let mut bytes = [7; 17];
        assert_eq!(to_address(bytes), CustomValue::Unknown);
        bytes[0] = 4;
        assert_eq!(to_address(bytes), CustomValue::Address([7, 7, 7, 7].into()));
        bytes[0] = 6;
        assert_eq!(to_address(bytes), CustomValue::Address([7_u8; 16].into()));
    }

    #[test]
    fn counts_that_do_not_fit_into_memory_are_not_believed() {
        let one = 1_u32;
        // SAFETY: no element is read: there are none, or the count is refused.
        unsafe {
            assert_eq!(many(std::ptr::null::<u32>(), 0), Some(&[][..]));
            assert_eq!(many(std::ptr::null::<u32>(), 1), None);
            assert_eq!(many(&raw const one, usize::MAX), None);
            assert_eq!(many(&raw const one, usize::MAX / 4), None);
        }
    }
}
