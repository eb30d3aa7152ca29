//! IP behind VLAN tags, MPLS labels, PPPoE and SNAP.

use crate::bench::{Bench, V4, V6, datagram, decoded_hash};
use sensor_ebpf::{Class, MPLS_LABELS_MAX, Screening, Verdict};
use sensor_user::config::FilterConfig;
use traffic::frame::ip::Packet;
use traffic::frame::{Ethernet, Tag, ether_type};

const IP_CLASSES: [Class; 2] = [Class::Ipv4Udp, Class::Ipv6Udp];

/// EtherType and bytes behind it.
type Carried = (u16, Vec<u8>);

fn behind_labels(packet: &Packet, labels: usize) -> Carried {
    let mut bytes = Vec::new();
    for label in 1..=labels {
        let bottom = u32::from(label == labels) << 8;
        bytes.extend_from_slice(&((label as u32) << 12 | bottom | 64).to_be_bytes());
    }
    bytes.extend_from_slice(&packet.bytes);
    (0x8847, bytes)
}

fn in_session(packet: &Packet) -> Carried {
    let protocol: u16 = if packet.ether_type == ether_type::IPV4 { 0x0021 } else { 0x0057 };
    let mut bytes = vec![0x11, 0, 0, 7];
    bytes.extend_from_slice(&(packet.bytes.len() as u16 + 2).to_be_bytes());
    bytes.extend_from_slice(&protocol.to_be_bytes());
    bytes.extend_from_slice(&packet.bytes);
    (0x8864, bytes)
}

fn in_snap(packet: &Packet) -> Carried {
    let mut bytes = vec![0xaa, 0xaa, 3, 0, 0, 0];
    bytes.extend_from_slice(&packet.ether_type.to_be_bytes());
    bytes.extend_from_slice(&packet.bytes);
    (bytes.len() as u16, bytes)
}

fn plain(packet: &Packet) -> Carried {
    (packet.ether_type, packet.bytes.clone())
}

fn tagged(tags: usize, (ethertype, bytes): &Carried) -> Vec<u8> {
    let ether_types = [0x88a8, 0x9100, 0x9200, 0x8100, 0x8100];
    let tags =
        ether_types[..tags].iter().map(|ether_type| Tag { ether_type: *ether_type, id: 7, priority: 0 });
    Ethernet { tags: tags.collect(), ..Ethernet::default() }.frame(*ethertype, bytes)
}

#[test]
fn a_flow_has_one_hash_whatever_carries_it() {
    let Some(program) = Bench::default().load() else { return };
    for (addresses, class) in [V4, V6].into_iter().zip(IP_CLASSES) {
        let packet = datagram(addresses, [4000, 53]);
        let hash = decoded_hash(&Ethernet::default().carry(&packet)).expect("a plain packet");
        let mut carried = vec![plain(&packet), in_session(&packet), in_snap(&packet)];
        carried.extend((1..=MPLS_LABELS_MAX).map(|labels| behind_labels(&packet, labels)));
        for carried in &carried {
            for tags in 0..=4 {
                let frame = tagged(tags, carried);
                let what = format!("{tags} tags, {:#06x}", carried.0);
                assert_eq!(program.class_and_hash(&frame), (class, hash), "{what}");
            }
        }
    }
}

#[test]
fn nesting_beyond_the_limits_is_left_to_userspace() {
    let Some(program) = Bench::default().load() else { return };
    let packet = datagram(V4, [4000, 53]);
    for frame in [tagged(5, &plain(&packet)), tagged(0, &behind_labels(&packet, MPLS_LABELS_MAX + 1))] {
        assert_eq!(program.class_and_hash(&frame), (Class::Unparsed, 0));
    }
}

#[test]
fn what_labels_carry_is_a_guess_that_userspace_checks() {
    let Some(program) = Bench::default().load() else { return };
    let packet = datagram(V4, [4000, 53]);
    let stamp = program.stamp(&tagged(0, &behind_labels(&packet, 2))).expect("a stamp");
    assert!(!stamp.is_hashed() && stamp.screening() == Screening::None);
    let stamp = program.stamp(&tagged(0, &in_session(&packet))).expect("a stamp");
    assert!(stamp.is_hashed() && stamp.screening() == Screening::Full);
    // A pseudowire with a control word.
    let ethernet = Packet { ether_type: 0, bytes: vec![0; 64] };
    assert_eq!(program.class_and_hash(&tagged(0, &behind_labels(&ethernet, 1))), (Class::OtherLink, 0));
}

#[test]
fn sessions_that_carry_no_ip_are_left_to_userspace() {
    let Some(program) = Bench::default().load() else { return };
    let (ethertype, session) = in_session(&datagram(V4, [4000, 53]));
    // Version and type, code, high and low byte of the PPP protocol.
    for (at, value) in [(0, 0x12), (1, 0xa7), (6, 0xc0), (7, 0x22)] {
        let mut bytes = session.clone();
        bytes[at] = value;
        assert_eq!(program.class_and_hash(&tagged(0, &(ethertype, bytes))), (Class::OtherLink, 0));
    }
}

#[test]
fn a_frame_that_is_cut_anywhere_is_of_its_flow_or_unparsed() {
    let Some(program) = Bench::default().load() else { return };
    for addresses in [V4, V6] {
        let packet = datagram(addresses, [4000, 53]);
        let hash = decoded_hash(&Ethernet::default().carry(&packet)).expect("a plain packet");
        for carried in [plain(&packet), in_session(&packet), in_snap(&packet), behind_labels(&packet, 3)] {
            let frame = tagged(2, &carried);
            let payload = frame.len() - 64 - 4;
            for kept in 14..frame.len() {
                let (class, actual) = program.class_and_hash(&frame[..kept]);
                let expected = if kept < payload { 0 } else { hash };
                assert_eq!(actual, expected, "{kept} of {} bytes: {}", frame.len(), class.name());
            }
        }
    }
}

#[test]
fn filter_and_sample_hold_for_carried_flows() {
    let filter = FilterConfig { exclude_ports: vec![53], ..FilterConfig::default() };
    let Some(program) = Bench { filter, ..Bench::default() }.load() else { return };
    let Some(sampling) = (Bench { sample_rate: 4, ..Bench::default() }).load() else { return };
    let Some(all) = Bench::default().load() else { return };
    let carriers = [plain, in_session, in_snap, |packet: &Packet| behind_labels(packet, 2)];
    for carry in carriers {
        assert_eq!(program.verdict(&tagged(1, &carry(&datagram(V4, [4000, 53])))), Verdict::Filtered);
        assert_eq!(program.verdict(&tagged(1, &carry(&datagram(V6, [4000, 54])))), Verdict::NoSocket);
    }
    let mut kept = 0;
    let mut per_worker = [0; 2];
    for port in 1000..1200 {
        let packet = datagram(V4, [port, 53]);
        let verdicts = carriers.map(|carry| sampling.verdict(&tagged(0, &carry(&packet))));
        assert_eq!(verdicts, [verdicts[0]; 4], "one verdict for a flow");
        kept += u32::from(verdicts[0] == Verdict::NoSocket);
        let (_, hash) = all.class_and_hash(&tagged(0, &behind_labels(&packet, 1)));
        per_worker[sensor_ebpf::hash::worker_of(hash, 2) as usize] += 1;
    }
    assert!((20..80).contains(&kept), "{kept} of 200 flows at 1 in 4");
    assert!(per_worker.iter().all(|flows| *flows > 60), "{per_worker:?}");
}
