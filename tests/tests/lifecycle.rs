//! Starts, stops and an interface that comes and goes. Needs root.

use netns::VethOptions;
use std::time::Duration;
use system_tests::{
    Conversations, Folder, Outcome, Sensor, Signal, TAP, Wire, blast_options, machine, needs_root, wait_until,
};
use traffic::blast::Options;
use traffic::mix::Mix;

const ROUNDS: usize = 50;
const SMALL: [&str; 6] = ["--source", "xdp", "--flow-capacity", "4096", "--frames", "512"];

#[test]
fn fifty_starts_and_stops_under_load_leave_nothing_behind() {
    if !needs_root("starts and stops") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let signals = [Signal::Terminate, Signal::Kill, Signal::Interrupt, Signal::Kill, Signal::Terminate];
    let mut open_files = None;
    for round in 0..ROUNDS {
        let sensor = Sensor::capture(&wire, &SMALL);
        assert!(wire.has_program(), "round {round}: no program on the interface");
        // Slow enough to leave the sensor a core, and still under way when the signal comes.
        let options = Options { rate: Some(200_000), ..blast_options(500, Duration::from_millis(300)) };
        let signal = signals[round % signals.len()];
        let (id, outcome) = std::thread::scope(|scope| {
            let blast = scope.spawn(|| wire.near.enter(|| traffic::blast::blast(&options)));
            wait_until("frames arrive", || {
                (sensor.metrics().sum("sensor_worker_frames_total") > 0.0).then_some(())
            });
            // The connection that the metrics came by may still be open for a moment.
            open_files = wait_until("no more files are open than in the first round", || {
                let files = sensor.open_files();
                let first = *open_files.get_or_insert(files);
                (files <= first).then_some(Some(first))
            });
            let id = sensor.id();
            let outcome = sensor.end(signal);
            // The device refuses frames once the program is gone; that is the generator's business.
            let _ = blast.join().expect("the generator does not panic");
            (id, outcome)
        });
        assert_ended(signal, &outcome);
        assert!(
            !std::path::Path::new(&format!("/proc/{id}")).exists(),
            "round {round}: the process is there"
        );
        wait_until("the program is off the interface", || (!wire.has_program()).then_some(()));
    }
}

fn assert_ended(signal: Signal, outcome: &Outcome) {
    if signal == Signal::Kill {
        assert_eq!(outcome.status.code(), None, "{}", outcome.stderr);
        return;
    }
    assert!(outcome.status.success(), "{signal:?}: {}:\n{}", outcome.status, outcome.stderr);
    outcome.assert_balanced();
    assert!(outcome.stderr.contains("the ledger balances"), "{}", outcome.stderr);
}

#[test]
fn sigterm_writes_every_flow_and_prints_the_ledger() {
    if !needs_root("SIGTERM") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for source in ["xdp", "afpacket"] {
        // Long timeouts: without the flush at the end no record is written.
        let timeouts = ["--idle-timeout-s", "3600", "--active-timeout-s", "86400"];
        let arguments: Vec<&str> = ["--source", source].into_iter().chain(timeouts).collect();
        let sensor = Sensor::capture(&wire, &arguments);
        let expected = wire.send_mix(Mix::Udp, 3, 100);
        sensor.wait_for_offered(expected.packets());
        let outcome = sensor.stop();
        outcome.assert_conserves(&expected);
        assert!(outcome.flows().all(|record| record.end_reason == kflow::EndReason::ForcedEnd));
        assert!(outcome.stderr.contains("offered = accounted + dropped: the ledger balances"));
    }
}

#[test]
fn more_flows_than_the_exporter_has_room_for_are_all_written_at_the_stop() {
    if !needs_root("SIGTERM with small buffers") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let folder = Folder::create();
    // Room for eight records on the way, and nothing ends before the stop, not even a transaction.
    let config = folder.write(
        "small.toml",
        "[export]\nbatch_records = 4\nqueue_batches = 2\n[flow]\nidle_timeout_s = 3600\nactive_timeout_s = 86400\n\
         [applications]\nenabled = false\n",
    );
    let path = config.to_str().expect("the folder has a plain name");
    let sensor = Sensor::capture(&wire, &["--source", "xdp", "--config", path]);
    let expected = wire.send_mix(Mix::Udp, 5, 400);
    sensor.wait_for_offered(expected.packets());
    let outcome = sensor.stop();
    outcome.assert_conserves(&expected);
    assert!(outcome.records.len() >= 400, "{} records", outcome.records.len());
}

#[test]
fn interface_that_goes_down_is_reported_and_captured_from_again() {
    if !needs_root("interface down") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for source in ["xdp", "afpacket"] {
        let mut sensor = Sensor::capture(&wire, &["--source", source]);
        wait_until("the carrier is there", || is_up(&sensor, 1.0));
        let downs = sensor.log().matches(DOWN).count();
        let first = wire.send_mix(Mix::Udp, 1, 50);
        sensor.wait_for_offered(first.packets());

        wire.far.ip(["link", "set", "dev", TAP, "down"]).expect("the device is there");
        sensor.wait_for_log_times(DOWN, downs + 1);
        wait_until("the metric says down", || is_up(&sensor, 0.0));

        wire.far.ip(["link", "set", "dev", TAP, "up"]).expect("the device is there");
        wait_until("the metric says up", || is_up(&sensor, 1.0));
        let second = wire.send_mix(Mix::Tcp, 2, 50);
        sensor.wait_for_offered(first.packets() + second.packets());

        let outcome = sensor.stop();
        outcome.assert_clean();
        let parts = first.conversations.into_iter().chain(second.conversations);
        outcome.conversations().assert_equal(&Conversations::sum(parts), source);
        assert_eq!(outcome.ledger("dropped"), 0, "{}", outcome.stderr);
    }
}

const DOWN: &str = "the interface is down";

fn is_up(sensor: &Sensor<'_>, state: f64) -> Option<()> {
    (sensor.metrics().value("sensor_interface_up") == Some(state)).then_some(())
}

#[test]
fn interface_that_is_made_anew_is_captured_from_again() {
    if !needs_root("a new interface") {
        return;
    }
    for source in ["xdp", "afpacket"] {
        let wire = Wire::lay(VethOptions::default());
        let mut sensor = Sensor::capture(&wire, &["--source", source]);
        let first = wire.send_mix(Mix::Udp, 1, 50);
        sensor.wait_for_offered(first.packets());

        wire.unplug();
        sensor.wait_for_log("the interface is gone");
        wait_until("not ready", || sensor.get("/readyz", "text/plain").contains(" 503 ").then_some(()));

        wire.connect(VethOptions::default());
        sensor.wait_for_log_times("\"message\":\"capturing\"", 2);
        wait_until("the metric says up", || is_up(&sensor, 1.0));
        wait_until("ready", || sensor.get("/readyz", "text/plain").contains(" 200 ").then_some(()));
        let second = wire.send_mix(Mix::Tcp, 2, 50);
        sensor.wait_for_offered(first.packets() + second.packets());
        assert_eq!(sensor.metrics().value("sensor_capture_reopened_total"), Some(1.0));

        let outcome = sensor.stop();
        outcome.assert_clean();
        let parts = first.conversations.into_iter().chain(second.conversations);
        outcome.conversations().assert_equal(&Conversations::sum(parts), source);
        assert_eq!(outcome.ledger("dropped"), 0, "{}", outcome.stderr);
    }
}
