//! Real namespaces on the real kernel. Without root every test says that it skips.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use netns::{
    Child, Mirror, MirrorSelector, Namespace, VethEnd, VethOptions, device_counters, is_root, remove_stale,
    veth_pair,
};

/// Says on stderr that the calling test needs root, if it does.
fn skipped(test: &str) -> bool {
    if !is_root() {
        eprintln!("skipped: {test} needs root for network namespaces");
    }
    !is_root()
}

#[test]
fn namespace_goes_when_it_is_dropped() {
    if skipped("namespace_goes_when_it_is_dropped") {
        return;
    }
    let namespace = Namespace::create("netns-test-drop").unwrap();
    let path = namespace.path();
    assert!(path.exists());
    drop(namespace);
    assert!(!path.exists());
}

#[test]
fn namespace_goes_when_its_owner_panics() {
    if skipped("namespace_goes_when_its_owner_panics") {
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let namespace = Namespace::create("netns-test-panic").unwrap();
        std::panic::panic_any(namespace.path());
    });
    let path = result.unwrap_err().downcast::<std::path::PathBuf>().unwrap();
    assert!(!path.exists());
}

#[test]
fn two_namespaces_of_one_prefix_have_different_names() {
    if skipped("two_namespaces_of_one_prefix_have_different_names") {
        return;
    }
    let first = Namespace::create("netns-test-twins").unwrap();
    let second = Namespace::create("netns-test-twins").unwrap();
    assert_ne!(first.name(), second.name());
}

#[test]
fn sockets_of_both_families_reach_the_other_end_at_once() {
    if skipped("sockets_of_both_families_reach_the_other_end_at_once") {
        return;
    }
    let client = Namespace::create("netns-test-client").unwrap();
    let server = Namespace::create("netns-test-server").unwrap();
    veth_pair(
        &VethEnd { addresses: &["192.0.2.1/24", "2001:db8::1/64"], ..VethEnd::new(&client, "up0") },
        &VethEnd { addresses: &["192.0.2.2/24", "2001:db8::2/64"], ..VethEnd::new(&server, "down0") },
        VethOptions::default(),
    )
    .unwrap();
    for address in ["192.0.2.2:4000", "[2001:db8::2]:4000"] {
        let listener = server.enter(|| TcpListener::bind(address)).unwrap().unwrap();
        client.enter(|| TcpStream::connect(address)).unwrap().unwrap();
        listener.accept().unwrap();
    }
}

#[test]
fn queues_mtu_and_mac_are_as_asked() {
    if skipped("queues_mtu_and_mac_are_as_asked") {
        return;
    }
    let namespace = Namespace::create("netns-test-options").unwrap();
    veth_pair(
        &VethEnd { mac: Some("02:00:00:00:00:07"), ..VethEnd::new(&namespace, "left0") },
        &VethEnd::new(&namespace, "right0"),
        VethOptions { queues: 2, mtu: 3000 },
    )
    .unwrap();
    let shown = namespace.ip(["-d", "link", "show", "dev", "left0"]).unwrap();
    for expected in ["mtu 3000", "numrxqueues 2", "numtxqueues 2", "02:00:00:00:00:07"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}

#[test]
fn mirror_port_receives_both_directions_and_nothing_else() {
    if skipped("mirror_port_receives_both_directions_and_nothing_else") {
        return;
    }
    let [client, server, sensor] =
        ["client", "server", "sensor"].map(|role| Namespace::create(&format!("netns-test-{role}")).unwrap());
    veth_pair(
        &VethEnd { addresses: &["192.0.2.1/24"], ..VethEnd::new(&client, "up0") },
        &VethEnd { addresses: &["192.0.2.2/24"], ..VethEnd::new(&server, "down0") },
        VethOptions::default(),
    )
    .unwrap();
    veth_pair(&VethEnd::new(&server, "tap0"), &VethEnd::new(&sensor, "sensor0"), VethOptions::default())
        .unwrap();
    let questions = MirrorSelector {
        protocol: "ip".into(),
        matches: vec![["ip", "dport", "4000", "0xffff"].map(String::from).to_vec()],
    };
    let mirror = Mirror::start(&server, "down0", "tap0", &[questions]).unwrap();

    let near = client.enter(|| UdpSocket::bind("192.0.2.1:4001")).unwrap().unwrap();
    let far = server.enter(|| UdpSocket::bind("192.0.2.2:4000")).unwrap().unwrap();
    let mut buffer = [0; 16];
    for _ in 0..10 {
        near.send_to(b"question", "192.0.2.2:4000").unwrap();
        let (_, from) = far.recv_from(&mut buffer).unwrap();
        far.send_to(b"answer", from).unwrap();
        near.recv_from(&mut buffer).unwrap();
    }
    let [questions, rest] = mirror.packets().unwrap()[..] else { panic!("one selector and the rest") };
    let counters = device_counters(&sensor, "sensor0").unwrap();
    assert_eq!(questions, 10);
    // The answers, and what ARP needed before them: one exchange, or one from each side.
    assert!([12, 14].contains(&rest), "{rest}");
    assert_eq!(counters.received_packets, questions + rest);
    assert_eq!(counters.sent_packets, 0);

    mirror.stop().unwrap();
    near.send_to(b"unseen", "192.0.2.2:4000").unwrap();
    far.recv_from(&mut buffer).unwrap();
    assert_eq!(device_counters(&sensor, "sensor0").unwrap(), counters);
}

#[test]
fn commands_run_inside() {
    if skipped("commands_run_inside") {
        return;
    }
    let namespace = Namespace::create("netns-test-run").unwrap();
    assert_eq!(namespace.run(["ip", "netns", "identify"]).unwrap().trim(), namespace.name());
    let error = namespace.run(["false"]).unwrap_err().to_string();
    assert!(error.contains("false"), "{error}");
}

#[test]
fn processes_inside_end_with_the_namespace() {
    if skipped("processes_inside_end_with_the_namespace") {
        return;
    }
    let namespace = Namespace::create("netns-test-processes").unwrap();
    let mut child = Child::spawn(namespace.command("sleep").arg("60")).unwrap();
    // `ip` enters the namespace some time after it was started.
    let inside = || Command::new("ip").args(["netns", "pids", namespace.name()]).output().unwrap().stdout;
    while inside().is_empty() {
        std::thread::yield_now();
    }
    drop(namespace);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn leftovers_of_a_dead_process_are_removed_and_others_stay() {
    if skipped("leftovers_of_a_dead_process_are_removed_and_others_stay") {
        return;
    }
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let stale = format!("netns-test-stale-{}-0", dead.id());
    assert!(Command::new("ip").args(["netns", "add", &stale]).status().unwrap().success());
    let living = Namespace::create("netns-test-stale").unwrap();

    let removed = remove_stale("netns-test-stale").unwrap();
    assert_eq!(removed, std::slice::from_ref(&stale));
    assert!(!Path::new("/run/netns").join(stale).exists());
    assert!(living.path().exists());
}
