//! What goes wrong in practice: each is one clear sentence on stderr and a failing exit code, and nothing stays
//! behind.

use netns::{Namespace, VethOptions};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use system_tests::{Folder, Sensor, TAP, Wire, machine, needs_root, sensor_program};
use traffic::sink::{Sink, Verdict};

/// Runs a sensor that is not expected to get far.
fn failing(mut command: Command, arguments: &[&str]) -> String {
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("the sensor starts");
    complaint(&output, arguments)
}

fn failing_run(arguments: &[&str]) -> String {
    let all: Vec<&str> = ["run"].into_iter().chain(arguments.iter().copied()).collect();
    failing(Command::new(sensor_program()), &all)
}

fn failing_inside(namespace: &Namespace, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["run"].into_iter().chain(arguments.iter().copied()).collect();
    failing(namespace.command(sensor_program()), &all)
}

/// The one sentence: everything on stderr but the log, without a backtrace or a debug print.
fn complaint(output: &Output, arguments: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}\n{stderr}", output.status);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("sensor: ")).collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: one sentence is wanted:\n{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("Error {"), "{arguments:?}:\n{stderr}");
    // A sentence may go on over lines, as an error of the config's syntax does with its place.
    let at = stderr.find("sensor: ").expect("it was just found");
    stderr[at..].to_owned()
}

fn assert_says(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "`{part}` is not in: {complaint}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are plain")
}

#[test]
fn missing_interface_is_named() {
    let complaint = failing_run(&["--interface", "nosuch0", "--metrics", "off"]);
    assert_says(&complaint, &["there is no interface nosuch0", "ip link"]);
}

#[test]
fn nothing_to_capture_from_says_what_to_give() {
    assert_says(&failing_run(&[]), &["--interface", "--pcap"]);
}

#[test]
fn foreign_program_stays_and_is_reported() {
    if !needs_root("a foreign program") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let sink = wire.far.enter(|| Sink::attach(TAP, Verdict::Drop)).expect("the namespace is there");
    let _sink = sink.expect("the sink attaches");
    let complaint = failing_inside(&wire.far, &["--interface", TAP, "--source", "xdp"]);
    assert_says(&complaint, &["another XDP program is attached to tap0", "xdp off"]);
    assert!(wire.has_program(), "the foreign program is gone");
}

#[test]
fn second_sensor_on_an_interface_is_refused_and_the_first_goes_on() {
    if !needs_root("a second sensor") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let first = Sensor::capture(&wire, &["--source", "xdp"]);
    let complaint = failing_inside(&wire.far, &["--interface", TAP, "--source", "xdp", "--metrics", "off"]);
    assert_says(&complaint, &["tap0", "another XDP program"]);
    let expected = wire.send_mix(traffic::mix::Mix::Udp, 1, 20);
    first.wait_for_offered(expected.packets());
    first.stop().assert_conserves(&expected);
}

#[test]
fn metrics_port_in_use_is_reported_and_nothing_stays_attached() {
    if !needs_root("a busy port") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let _listener =
        wire.far.enter(|| TcpListener::bind("127.0.0.1:9102")).expect("inside").expect("a free port");
    let complaint = failing_inside(&wire.far, &["--interface", TAP, "--source", "xdp"]);
    assert_says(&complaint, &["127.0.0.1:9102", "--metrics"]);
    assert!(!wire.has_program(), "the program is still attached");
}

#[test]
fn unknown_key_of_the_config_is_reported_with_place_and_suggestion() {
    let folder = Folder::create();
    let config = folder.write("bad.toml", "[capture]\ninterface = \"eth0\"\n[flow]\nidle_timout_s = 3\n");
    let complaint = failing_run(&["--config", text(&config)]);
    assert_says(&complaint, &["bad.toml", "line 4", "idle_timout_s", "did you mean `idle_timeout_s`?"]);
}

#[test]
fn wrong_values_are_reported_with_what_is_right() {
    let folder = Folder::create();
    let wrong = [
        ("[flow]\ncapacity = 0\n", "flow.capacity must be from 1 to"),
        ("[capture]\nframes = 1000\n", "capture.frames must be a power of two"),
        ("[capture]\nsample_rate = 0\n", "capture.sample_rate must be at least 1"),
        (
            "[capture]\nworkers = 2\ncpus = [1]\n",
            "capture.cpus must be empty or name one CPU for each worker",
        ),
        ("[filter]\nexclude_prefixes = [\"10.1.2.3/8\"]\n", "did you mean 10.0.0.0/8?"),
        ("[capture]\nmode = \"fast\"\n", "fast"),
    ];
    for (config, says) in wrong {
        let path = folder.write("wrong.toml", config);
        assert_says(&failing_run(&["--config", text(&path), "--interface", "eth0"]), &[says]);
    }
}

#[test]
fn missing_config_is_named() {
    let folder = Folder::create();
    let path = folder.file("none.toml");
    assert_says(&failing_run(&["--config", text(&path)]), &["cannot read", text(&path), "No such file"]);
}

#[test]
fn sensor_without_privilege_says_which_it_needs() {
    if !needs_root("giving up privileges") {
        return;
    }
    let folder = Folder::create();
    let program = readable_program(&folder);
    let wire = Wire::lay(VethOptions::default());
    for (source, says) in
        [("xdp", ["no privilege", "CAP_BPF"]), ("afpacket", ["needs the capability", "CAP_NET_RAW"])]
    {
        // `ip netns exec` itself needs root; the sensor does not get it.
        let mut command = wire.far.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        let complaint =
            failing(command, &["run", "--interface", TAP, "--source", source, "--metrics", "off"]);
        assert_says(&complaint, &says);
    }
}

/// A copy of the sensor where everybody may run it; the build folder may be root's own.
fn readable_program(folder: &Folder) -> PathBuf {
    let program = folder.file("sensor");
    fs::copy(sensor_program(), &program).expect("the sensor can be copied");
    for path in [folder.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the test's own files");
    }
    program
}

#[test]
fn capture_that_cannot_be_read_is_named() {
    let folder = Folder::create();
    let missing = folder.file("none.pcap");
    assert_says(&failing_run(&["--pcap", text(&missing)]), &["none.pcap", "No such file"]);
    assert_says(&failing_run(&["--pcap", text(folder.path())]), &[text(folder.path()), "directory"]);
    let empty = folder.write("empty.pcap", "");
    assert_says(&failing_run(&["--pcap", text(&empty)]), &["empty.pcap", "not a capture", "empty"]);
    let prose = folder.write("notes.txt", "These are notes and not a capture of anything at all.\n");
    assert_says(&failing_run(&["--pcap", text(&prose)]), &["notes.txt", "not a capture"]);
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let folder = Folder::create();
    let capture = folder.write("empty.pcap", EMPTY_CAPTURE);
    let file = folder.write("file", "in the way");
    let below = file.join("flows");
    let complaint = failing_run(&["--pcap", text(&capture), "--kflow", text(&below)]);
    assert_says(&complaint, &[text(&below), "kflow"]);
    let complaint = failing_run(&["--pcap", text(&capture), "--json", text(&below)]);
    assert_says(&complaint, &["create", text(&below)]);
}

/// Header of a little-endian pcap file of Ethernet frames.
const EMPTY_CAPTURE: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];

#[test]
fn interface_without_native_mode_points_to_another_source() {
    if !needs_root("loopback in native mode") {
        return;
    }
    let _machine = machine();
    let namespace = Namespace::create("sensor-errors").expect("a namespace");
    let folder = Folder::create();
    let config = folder.write("native.toml", "[capture]\nmode = \"native\"\n");
    let complaint =
        failing_inside(&namespace, &["--config", text(&config), "--interface", "lo", "--source", "xdp"]);
    assert_says(&complaint, &["lo does not take an XDP program in native mode", "--source afpacket"]);
    let shown = namespace.ip(["-d", "link", "show", "dev", "lo"]).expect("loopback is there");
    assert!(!shown.contains("prog/xdp"), "{shown}");
}
