//! The sensor's own metrics, scraped while it works. Needs root.

use netns::VethOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use system_tests::{Metrics, Sensor, Wire, blast_options, body, is_installed, machine, needs_root};
use traffic::blast::Options;
use traffic::mix::Mix;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn every_scrape_under_load_parses_and_adds_up() {
    if !needs_root("scraping") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let sensor = Sensor::capture(&wire, &["--source", "xdp", "--frames", "512"]);
    let mut last_offered = 0.0;
    let mut scrapes = 0;
    thread::scope(|scope| {
        let options = Options { rate: Some(500_000), ..blast_options(5000, Duration::from_secs(3)) };
        let wire = &wire;
        let blast = scope.spawn(move || wire.blast(&options));
        while !blast.is_finished() {
            let metrics = sensor.metrics();
            assert_adds_up(&metrics);
            let offered = metrics.sum("sensor_ledger_offered_frames_total");
            assert!(offered >= last_offered, "a counter went from {last_offered} to {offered}");
            last_offered = offered;
            let open_metrics = sensor.get("/metrics", OPEN_METRICS);
            assert!(open_metrics.contains("Content-Type: application/openmetrics-text; version=1.0.0"));
            assert!(open_metrics.ends_with("# EOF\n"), "no end mark");
            assert_adds_up(&Metrics::parse(&body(&open_metrics)));
            scrapes += 1;
        }
        assert!(blast.join().expect("the generator runs").sent > 0);
    });
    assert!(scrapes > 3 && last_offered > 0.0, "{scrapes} scrapes, {last_offered} frames");
    let text = body(&sensor.get("/metrics", "text/plain"));
    assert!(!text.contains("# EOF") && text.contains("# TYPE sensor_ledger_offered_frames_total counter"));
    check_with_promtool(&text);
    let outcome = sensor.stop();
    assert!(outcome.status.success(), "{}", outcome.stderr);
    assert_eq!(outcome.ledger("offered"), outcome.ledger("accounted") + outcome.ledger("dropped"));
}

#[test]
fn scrapes_of_an_af_packet_sensor_add_up_too() {
    if !needs_root("scraping") {
        return;
    }
    let _machine = machine();
    let wire = Wire::lay(VethOptions::default());
    let sensor = Sensor::capture(&wire, &["--source", "afpacket"]);
    let sent = thread::scope(|scope| {
        let send = scope.spawn(|| wire.send_mix(Mix::Udp, 1, 5000).packets());
        while !send.is_finished() {
            assert_parts_add_up(&sensor.metrics());
        }
        send.join().expect("the generator runs")
    });
    sensor.wait_for_offered(sent);
    assert_eq!(sensor.metrics().sum("sensor_ledger_offered_frames_total"), sent as f64);
    sensor.stop().assert_clean();
}

fn assert_adds_up(metrics: &Metrics) {
    assert_parts_add_up(metrics);
    let by_program = metrics.sum("sensor_kernel_frames_total");
    assert_eq!(
        metrics.sum("sensor_ledger_offered_frames_total"),
        by_program,
        "offered is what the program saw"
    );
}

/// While frames are under way, what is neither accounted for nor dropped is in flight.
fn assert_parts_add_up(metrics: &Metrics) {
    let sum = |name: &str| metrics.sum(&format!("sensor_ledger_{name}"));
    let offered = sum("offered_frames_total");
    let parts = sum("accounted_frames_total") + sum("dropped_frames_total") + sum("in_flight_frames");
    assert_eq!(offered, parts, "offered = accounted + dropped + in flight");
}

/// What the people who define the format say of it.
fn check_with_promtool(text: &str) {
    if !is_installed("promtool") {
        eprintln!("not checked with promtool: it is not installed");
        return;
    }
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    check.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads");
    let output = check.wait_with_output().expect("promtool ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.trim().is_empty(),
        "promtool: {}\n{complaint}",
        output.status
    );
}
