//! The XDP program, run in the kernel on one frame at a time: what it says of each is compared with what the decoder
//! says. Needs root, and the program that `cargo xtask build` makes.

mod bench;
mod carried;
mod fragments;
mod tunnels;

use bench::{Bench, V4, datagram, decoded_hash};
use sensor_ebpf::{Class, Screening, Verdict};
use sensor_user::config::FilterConfig;
use traffic::frame::Ethernet;
use traffic::mix::{Mix, Options, Traffic};

#[test]
fn the_hash_of_every_whole_packet_is_that_of_its_flow() {
    let Some(program) = Bench::default().load() else { return };
    for mix in [Mix::All, Mix::Vlan, Mix::Ipv6, Mix::Tcp, Mix::Udp] {
        let mut compared = 0;
        for frame in Traffic::new(Options { mix, seed: 3, conversations: 60 }) {
            let Some(stamp) = program.stamp(&frame.bytes) else {
                panic!("no stamp on {}", frame.description)
            };
            if stamp.is_hashed() {
                let hash = Some(stamp.hash);
                assert_eq!(hash, decoded_hash(&frame.bytes), "{}", frame.description);
                compared += 1;
            }
        }
        assert!(compared > 60, "{}: {compared} compared", mix.name());
    }
}

#[test]
fn a_lone_worker_finds_a_stamp_only_on_what_the_filter_could_not_judge() {
    let filter = FilterConfig { include_ports: vec![53], ..FilterConfig::default() };
    let Some(program) = Bench { workers: 1, filter, ..Bench::default() }.load() else { return };
    let ethernet = Ethernet::default();
    let (wanted, unwanted) = (datagram(V4, [4000, 53]), datagram(V4, [4000, 54]));
    assert_eq!(program.verdict(&ethernet.carry(&wanted)), Verdict::NoSocket);
    assert_eq!(program.verdict(&ethernet.carry(&unwanted)), Verdict::Filtered);
    assert_eq!(program.stamp(&ethernet.carry(&wanted)), None);
    let odd = [ethernet.frame(0x88cc, &[0; 50]), ethernet.frame(0x0800, &[0x55; 50])];
    for (frame, class) in odd.iter().zip([Class::OtherLink, Class::Unparsed]) {
        let stamp = program.stamp(frame).expect("a stamp");
        assert_eq!((stamp.class, stamp.screening()), (class as u16, Screening::None));
    }
    let Some(program) = Bench { workers: 1, ..Bench::default() }.load() else { return };
    assert_eq!(program.stamp(&odd[0]), None, "nothing is filtered");
}
