//! More than the sensor can take: what is lost is counted, to the frame, and memory stays what was promised.
//! Needs root. These tests load the machine and take turns.

use netns::VethOptions;
use std::process::Command;
use std::time::Duration;
use system_tests::{Outcome, Sensor, Wire, blast_options, machine, needs_root, sensor_program, wait_until};
use traffic::blast::{Directions, Options, Report};

/// Long enough for a small ring to overflow many times.
const BLAST: Duration = Duration::from_millis(1500);
const TWO_QUEUES: VethOptions = VethOptions { queues: 2, mtu: 1500 };

/// Blasts at a sensor and returns what both sides counted.
fn overload(wire: &Wire, arguments: &[&str], options: &Options) -> (Report, Outcome) {
    let mut all = vec!["--source", "xdp"];
    all.extend(arguments);
    let sensor = Sensor::capture(wire, &all);
    let report = wire.blast(options);
    // What is lost without a statistic is only known at the end, so frames may stay in flight until then.
    wait_until("every frame sent is offered", || {
        let offered = sensor.metrics().sum("sensor_ledger_offered_frames_total");
        (offered >= report.sent as f64).then_some(())
    });
    (report, sensor.stop())
}

/// Records may be shed by a sensor that is this busy; the frames in them are in the ledger all the same.
fn assert_exact(report: &Report, outcome: &Outcome) {
    assert!(outcome.status.success(), "{}:\n{}", outcome.status, outcome.stderr);
    let (offered, accounted, dropped) =
        (outcome.ledger("offered"), outcome.ledger("accounted"), outcome.ledger("dropped"));
    assert_eq!(report.sent, offered, "sent and offered:\n{}", outcome.stderr);
    assert_eq!(offered, accounted + dropped, "offered = accounted + dropped:\n{}", outcome.stderr);
    assert_eq!(outcome.dropped_by("xsk.unexplained"), 0, "every loss has a reason:\n{}", outcome.stderr);
    let records = &outcome.summary.as_ref().expect("the sensor ended well")["records"];
    let number = |name: &str| records[name].as_u64().expect("a number of records");
    assert_eq!(number("produced"), number("exported") + number("dropped"), "{}", outcome.stderr);
    assert_eq!(number("exported"), outcome.records.len() as u64, "{}", outcome.stderr);
}

#[test]
fn small_ring_loses_frames_and_counts_each() {
    if !needs_root("overload") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    // Sharing the generator's CPU, whose softirqs go first, the worker is away from its ring most of the time.
    let options = Options { cpu: Some(0), ..blast_options(1000, BLAST) };
    let (report, outcome) = overload(&wire, &["--frames", "64", "--cpus", "0"], &options);
    assert_exact(&report, &outcome);
    assert!(outcome.ledger("dropped") > 0, "nothing was lost:\n{}", outcome.stderr);
    assert!(outcome.accounted_by("flow") > 0, "nothing was left:\n{}", outcome.stderr);
    assert_eq!(outcome.conversations().packets(), outcome.accounted_by("flow"), "{}", outcome.stderr);
}

#[test]
fn loss_is_exact_over_two_workers_on_two_queues() {
    if !needs_root("overload") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(TWO_QUEUES);
    for directions in [Directions::One, Directions::Both] {
        let options = Options { cpu: Some(0), directions, ..blast_options(1000, BLAST) };
        let (report, outcome) = overload(&wire, &["--frames", "64", "--workers", "2"], &options);
        assert_exact(&report, &outcome);
        assert!(outcome.ledger("dropped") > 0, "nothing was lost:\n{}", outcome.stderr);
        assert_eq!(outcome.conversations().packets(), outcome.accounted_by("flow"), "{}", outcome.stderr);
    }
}

#[test]
fn loss_is_exact_for_both_directions_and_a_shared_queue() {
    if !needs_root("overload") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let options = Options { directions: Directions::Both, cpu: Some(0), ..blast_options(1000, BLAST) };
    let (report, outcome) = overload(&wire, &["--frames", "256", "--workers", "2"], &options);
    assert_exact(&report, &outcome);
    assert!(outcome.ledger("dropped") > 0, "nothing was lost:\n{}", outcome.stderr);
}

#[test]
fn loss_is_exact_by_af_packet() {
    if !needs_root("overload") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    // The device takes redirected frames only with a program on this end; it hands them on to the stack.
    let sink =
        wire.far.enter(|| traffic::sink::Sink::attach(system_tests::TAP, traffic::sink::Verdict::Pass));
    let sink = sink.expect("the namespace is there").expect("the sink attaches");
    let folder = system_tests::Folder::create();
    let config = folder.write("small.toml", "[capture]\nafpacket_ring_bytes = 2097152\n");
    let config = config.to_str().expect("temporary paths are plain");
    let sensor = Sensor::capture(&wire, &["--source", "afpacket", "--config", config, "--cpus", "0"]);
    let report = wire.blast(&Options { cpu: Some(0), ..blast_options(1000, BLAST) });
    let arrived = wait_until("every frame sent arrives", || {
        let received = sink.received().expect("the counters can be read");
        (received.frames == report.sent).then_some(received.frames)
    });
    // The stack's own queue in front of packet sockets may lose some, which no socket hears of.
    sensor.wait_for_offered(1);
    let outcome = sensor.stop();
    assert!(outcome.status.success(), "{}", outcome.stderr);
    assert_eq!(outcome.ledger("offered"), outcome.ledger("accounted") + outcome.ledger("dropped"));
    assert!(outcome.ledger("offered") <= arrived, "{arrived} frames arrived:\n{}", outcome.stderr);
    assert!(outcome.ledger("dropped") > 0, "nothing was lost:\n{}", outcome.stderr);
}

const FLOOD_CAPACITY: u64 = 20_000;

#[test]
fn spoofed_flood_evicts_and_stays_within_its_memory() {
    if !needs_root("a flood") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let capacity = FLOOD_CAPACITY.to_string();
    let arguments = ["--source", "xdp", "--flow-capacity", &capacity];
    let predicted = predicted_bytes(&wire, &arguments);
    let sensor = Sensor::capture(&wire, &arguments);
    let report = wire.blast(&blast_options(1_000_000, Duration::from_secs(3)));
    wait_until("every frame sent is offered", || {
        let metrics = sensor.metrics();
        let flows = metrics.sum("sensor_flows");
        assert!(flows <= FLOOD_CAPACITY as f64, "{flows} flows in a table of {FLOOD_CAPACITY}");
        (metrics.sum("sensor_ledger_offered_frames_total") >= report.sent as f64).then_some(())
    });
    let evictions = sensor.metrics().sum("sensor_flow_evictions_total");
    let resident = sensor.resident_bytes();
    let outcome = sensor.stop();
    assert_exact(&report, &outcome);
    assert!(evictions > 0.0, "nothing was evicted:\n{}", outcome.stderr);
    assert_near(resident, predicted);
}

#[test]
fn memory_of_large_tables_and_rings_is_as_predicted() {
    if !needs_root("a flood") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(TWO_QUEUES);
    let sizes = ["--flow-capacity", "500000", "--workers", "2", "--frames", "16384"];
    let arguments: Vec<&str> = ["--source", "xdp"].into_iter().chain(sizes).collect();
    let predicted = predicted_bytes(&wire, &arguments);
    let sensor = Sensor::capture(&wire, &arguments);
    wait_until("ready", || sensor.get("/readyz", "text/plain").contains(" 200 ").then_some(()));
    let before = sensor.resident_bytes();
    wire.blast(&blast_options(1_000_000, Duration::from_secs(2)));
    wait_until("flows are in the tables", || (sensor.metrics().sum("sensor_flows") > 1000.0).then_some(()));
    let after = sensor.resident_bytes();
    sensor.stop();
    assert_near(before, predicted);
    assert_near(after, predicted);
}

#[test]
fn memory_of_af_packet_rings_is_as_predicted() {
    if !needs_root("AF_PACKET rings") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let arguments = ["--source", "afpacket", "--workers", "2", "--flow-capacity", "20000"];
    let predicted = predicted_bytes(&wire, &arguments);
    let sensor = Sensor::capture(&wire, &arguments);
    wait_until("ready", || sensor.get("/readyz", "text/plain").contains(" 200 ").then_some(()));
    let expected = wire.send_mix(traffic::mix::Mix::Udp, 1, 2000);
    sensor.wait_for_offered(expected.packets());
    let resident = sensor.resident_bytes();
    sensor.stop();
    assert_near(resident, predicted);
}

/// What `sensor check` says.
fn predicted_bytes(wire: &Wire, arguments: &[&str]) -> u64 {
    let mut command: Command = wire.far.command(sensor_program());
    let output = command
        .args(["check", "--interface", system_tests::TAP, "--json", "/dev/null"])
        .args(arguments)
        .output();
    let output = output.expect("the sensor starts");
    let text = String::from_utf8(output.stdout).expect("the config is UTF-8");
    let line =
        text.lines().find_map(|line| line.strip_prefix("# Memory: ")).expect("the prediction is printed");
    let mebibytes: f64 = line.split(' ').next().and_then(|word| word.parse().ok()).expect("a number of MiB");
    (mebibytes * f64::from(1 << 20)) as u64
}

fn assert_near(resident: u64, predicted: u64) {
    let difference = resident.abs_diff(predicted) as f64 / predicted as f64;
    let text = format!("{resident} bytes resident, {predicted} predicted: {:.1} %", difference * 100.0);
    eprintln!("{text}");
    assert!(difference <= 0.05, "{text}");
}
