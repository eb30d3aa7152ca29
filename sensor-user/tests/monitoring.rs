//! The monitoring kit against the metrics that there are: METRICS.md, dashboard and alerts name only those, and
//! a real Prometheus agrees.
//!
//! METRICS.md follows the code by `UPDATE_METRICS=1 cargo test -p sensor-user --test monitoring`, which keeps
//! the last column of its table: what to do is written by people.

mod support;

use kflow_delivery::sender::Watch;
use kflow_spool::fs::model::ModelFs;
use netns::{Child, Namespace};
use sensor_ebpf::{Class, Verdict};
use sensor_user::{
    accounts::{KafkaCounts, KafkaWatch},
    capture::CaptureCounts,
    export::Lane,
    http::Pages,
    ledger::FLOW,
    metrics::{Telemetry, TelemetryPages},
    packet::{
        Anomaly, NotFlow, NotInner,
        reassembly::{Ending, Refusal},
    },
    program::ProgramCounts,
    source::{KernelCounts, xsk::XskStatistics},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};
use support::{Folder, SENSOR, eventually, http_get, is_installed, is_root, kit, read};

const TABLE_START: &str = "<!-- metrics -->\n";
const TABLE_END: &str = "<!-- end of metrics -->\n";
const TABLE_HEAD: &str = "| Metric | Type | Labels | Meaning | What to do |\n|---|---|---|---|---|\n";
const PROMETHEUS_ADDRESS: &str = "127.0.0.1:9090";
/// Labels whose values are reasons, which METRICS.md explains.
const REASON_LABELS: [&str; 8] =
    ["account", "anomaly", "class", "policy", "reason", "result", "statistic", "verdict"];
/// Queries that have no answer while all is well, and nothing is sent over the network, contain one of these.
const EMPTY_WHILE_WELL: [&str; 6] = [
    "sensor_ledger_dropped_frames_total",
    " > 0",
    "sensor_delivery_",
    "sensor_spool_",
    "sensor_collector_",
    "sensor_kafka_",
];

#[test]
fn every_metric_is_documented_with_what_to_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
    let written = read(&path);
    let (before, rest) = written.split_once(TABLE_START).expect("METRICS.md marks its table");
    let (table, after) = rest.split_once(TABLE_END).expect("METRICS.md marks its table");
    let advice: BTreeMap<&str, &str> = table.lines().filter_map(name_and_advice).collect();
    let expected = format!("{before}{TABLE_START}{}{TABLE_END}{after}", rendered(&families(), &advice));
    if env::var_os("UPDATE_METRICS").is_some() {
        fs::write(&path, &expected).expect("METRICS.md can be written");
    } else {
        assert_eq!(written, expected, "run with UPDATE_METRICS=1");
    }
    let without: Vec<String> = families()
        .into_keys()
        .filter(|name| advice.get(name.as_str()).is_none_or(|text| text.is_empty()))
        .collect();
    assert_eq!(without, Vec::<String>::new(), "METRICS.md says what to do about each");
}

#[test]
fn every_histogram_has_a_bucket_for_all_that_is_larger() {
    let exposition = exposition();
    let histograms = families().into_iter().filter(|(_, family)| family.kind == "histogram");
    for (name, _) in histograms {
        let bucket = format!("{name}_bucket{{le=\"+Inf\"");
        assert!(exposition.contains(&bucket), "{name}: quantiles need it");
    }
}

#[test]
fn every_reason_is_explained() {
    let exposition = exposition();
    let shown = REASON_LABELS.into_iter().flat_map(|label| label_values(&exposition, label));
    let reasons: BTreeSet<&str> = reasons().into_iter().chain(shown).collect();
    let written = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md"));
    let unexplained: Vec<&str> =
        reasons.into_iter().filter(|name| !written.contains(&format!("\n| `{name}` | "))).collect();
    assert_eq!(unexplained, Vec::<&str>::new());
}

#[test]
fn every_reason_that_packets_have_is_shown() {
    let exposition = exposition();
    let is_shown = |label: &str, name: &str| label_values(&exposition, label).contains(name);
    let reasons = NotFlow::ALL.map(NotFlow::name).into_iter();
    let reasons = reasons.chain(NotInner::ALL.map(NotInner::name)).chain(Refusal::ALL.map(Refusal::name));
    assert_eq!(reasons.filter(|name| !is_shown("reason", name)).collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(Anomaly::ALL.iter().all(|anomaly| is_shown("anomaly", anomaly.name())));
    assert!(Ending::ALL.iter().all(|ending| is_shown("result", ending.name())));
}

#[test]
fn dashboard_and_alerts_and_documentation_name_only_metrics_that_exist() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (name, family) in families() {
        if family.kind == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        }
        known.insert(name);
    }
    let metrics_md = Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
    for path in [kit("grafana-dashboard.json"), kit("alerts.yml"), kit("alerts-test.yml"), metrics_md] {
        let named = metric_names(&read(&path));
        assert!(named.len() > 10, "{} is about metrics", path.display());
        assert_eq!(
            named.difference(&known).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "in {}",
            path.display()
        );
    }
    let shown = metric_names(&read(&kit("grafana-dashboard.json")));
    let unseen: Vec<String> = families()
        .into_keys()
        .filter(|name| !shown.iter().any(|shown| shown == name || *shown == format!("{name}_bucket")))
        .collect();
    assert_eq!(unseen, Vec::<String>::new(), "the dashboard shows every metric");
}

#[test]
fn every_panel_is_described_and_has_its_place() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 38));
    let variables: Vec<&str> =
        array(&dashboard["templating"]["list"]).iter().map(|v| text(&v["name"])).collect();
    assert_eq!(variables, ["datasource", "interface", "instance"]);
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in array(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64()), "{title} has an id of its own");
        let place =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a panel has a place"));
        let [left, top, width, height] = place;
        assert!(left + width <= 24, "{title} fits the grid");
        for (x, y) in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
            assert!(taken.insert((x, y)), "{title} overlaps another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(&panel["description"]).len() > 40, "{title} says what to do");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has a unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title} asks the chosen data source");
    }
}

#[test]
fn every_alert_is_tested_firing_and_not_firing() {
    let rules = read(&kit("alerts.yml"));
    let tests = read(&kit("alerts-test.yml"));
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 12);
    for alert in alerts {
        let name = alert.lines().next().expect("an alert has a name");
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "{name} has a {part}");
        }
        let query = format!("alertname=\"{name}\", alertstate=\"firing\"");
        let expected: Vec<&str> = tests
            .split("- expr: ")
            .filter(|test| test.lines().next().unwrap_or("").contains(&query))
            .collect();
        let is_quiet = |test: &&&str| test.contains("exp_samples: []");
        assert!(expected.iter().any(|test| is_quiet(&test)), "{name} is tested not firing");
        assert!(!expected.iter().all(|test| is_quiet(&test)), "{name} is tested firing");
    }
}

#[test]
fn promtool_accepts_metrics_alerts_and_queries() {
    if !is_installed("promtool") {
        return;
    }
    let folder = Folder::create();
    let mut lint = promtool(&["check", "metrics"]);
    lint.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut lint = lint.spawn().expect("it is installed");
    lint.stdin.take().expect("it is piped").write_all(exposition().as_bytes()).expect("promtool reads");
    let linted = lint.wait_with_output().expect("promtool ends");
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stderr));

    succeed(promtool(&["check", "config"]).arg(kit("prometheus.yml")));
    succeed(promtool(&["check", "rules"]).arg(kit("alerts.yml")));
    succeed(promtool(&["test", "rules"]).arg(kit("alerts-test.yml")));

    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (index, query) in queries().iter().enumerate() {
        let query = serde_json::to_string(query).expect("a string is JSON");
        rules.push_str(&format!("      - {{record: \"panel:{index}\", expr: {query}}}\n"));
    }
    succeed(promtool(&["check", "rules"]).arg(folder.write("dashboard.yml", &rules)));
}

#[test]
fn prometheus_scrapes_the_sensor_and_answers_every_panel() {
    if !is_root() || !is_installed("prometheus") {
        return;
    }
    let folder = Folder::create();
    let namespace = Namespace::create("monitoring").expect("root makes namespaces");
    let mut sensor = namespace.command(SENSOR);
    sensor
        .args(["run", "--interface", "lo", "--source", "afpacket", "--idle-timeout-s", "1", "--json"])
        .arg(folder.0.join("flows.jsonl"))
        .stderr(Stdio::null());
    let _sensor = Child::spawn(&mut sensor).expect("the sensor was built for this test");
    // The example as it is, but faster.
    folder.write("alerts.yml", &read(&kit("alerts.yml")));
    let config = folder.write("prometheus.yml", &read(&kit("prometheus.yml")).replace("15s", "1s"));
    let mut prometheus = namespace.command("prometheus");
    prometheus
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.0.join("tsdb").display()))
        .arg(format!("--web.listen-address={PROMETHEUS_ADDRESS}"))
        .stderr(Stdio::null());
    let _prometheus = Child::spawn(&mut prometheus).expect("it is installed");

    let up = eventually("Prometheus has scraped the sensor", || {
        ask(&namespace, "up{job=\"sensor\"}").filter(|answer| !answer.is_empty())
    });
    assert_eq!(up[0]["value"][1], "1");
    let offered = ask(&namespace, "sensor_ledger_offered_frames_total").expect("Prometheus answers");
    assert_eq!(offered.len(), 1);
    eventually("there are records to take a rate of", || {
        let records = ask(&namespace, "rate(sensor_export_delay_seconds_count[10s]) > 0")?;
        (!records.is_empty()).then_some(())
    });
    let slowest = "histogram_quantile(0.99, sum by (le) (rate(sensor_worker_burst_seconds_bucket[10s])))";
    let answer = ask(&namespace, slowest).expect("Prometheus answers");
    let seconds: f64 = text(&answer[0]["value"][1]).parse().expect("a number");
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds} s for a burst");
    for query in queries() {
        let answer = ask(&namespace, &query).unwrap_or_else(|| panic!("Prometheus refuses {query}"));
        let may_be_empty = EMPTY_WHILE_WELL.iter().any(|part| query.contains(part));
        assert!(may_be_empty || !answer.is_empty(), "no answer to {query}");
    }
    let firing = ask(&namespace, "ALERTS{alertstate=\"firing\"}").expect("Prometheus answers");
    assert_eq!(firing, Vec::<Value>::new());
    eventually("every rule has been evaluated without an error", || {
        let rules: Value = serde_json::from_str(&api(&namespace, "/api/v1/rules")?).ok()?;
        let groups = array(&rules["data"]["groups"]);
        let mut rules = groups.iter().flat_map(|group| array(&group["rules"]));
        rules.all(|rule| rule["health"] == "ok").then_some(())
    });
}

/// A metric family as a scraper sees it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// By name, as in the older format: counters with their `_total`, histograms without suffix.
fn families() -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in exposition().lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => families.entry(name.to_owned()).or_default().help = help.to_owned(),
            ["#", "TYPE", name, kind] => families.entry(name.to_owned()).or_default().kind = kind.to_owned(),
            _ => {
                let (name, rest) = line.split_once('{').expect("series have braces");
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                let base = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
                let family = families.get_mut(base).expect("a type comes before its series");
                let (labels, _) = rest.split_once('}').expect("series have braces");
                let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(key, _)| key);
                family.labels.extend(labels.filter(|label| *label != "le").map(str::to_owned));
            }
        }
    }
    families
}

/// What tells of a sender with a spool.
fn watch_of_a_spool() -> Watch {
    let (writer, _, _) = kflow_spool::open(Arc::new(ModelFs::default()), kflow_spool::Config::default())
        .expect("an empty disk is no obstacle");
    let mut watch = Watch::default();
    watch.spool = Some(writer.stats());
    watch
}

/// What a sensor on a mirror port shows that has dropped something: every family has a series.
fn exposition() -> String {
    let sockets = XskStatistics { rx_dropped: 1, ..XskStatistics::default() };
    let counts = CaptureCounts { program: Some(ProgramCounts::default()), sockets };
    let telemetry = Telemetry {
        applications: vec![Arc::default()],
        source: "xdp",
        interface: "eth1".to_owned(),
        workers: vec![Arc::default()],
        lanes: vec![Arc::new(Lane::new(2, 1))],
        sinks: vec![("directory", Arc::default())],
        delivery: Some(watch_of_a_spool()),
        ipfix: vec![("ipfix", Arc::default())],
        kafka: Some(KafkaWatch::new(KafkaCounts::default)),
        export_delay: Arc::default(),
        flow_capacity: 1,
        umem_frames: AtomicU64::new(1),
        mode: Mutex::new("native_copy"),
        interface_up: AtomicBool::new(true),
        reopened: AtomicU64::new(0),
        capture_counts: Box::new(move || counts.clone()),
    };
    TelemetryPages::new(Arc::new(telemetry)).metrics_prometheus()
}

/// What a label is in some series or other.
fn label_values<'a>(exposition: &'a str, label: &str) -> BTreeSet<&'a str> {
    let start = format!("{label}=\"");
    let series = exposition.lines().filter(|line| !line.starts_with('#'));
    let labels =
        series.filter_map(|line| line.split_once('{')?.1.split_once('}')).flat_map(|(l, _)| l.split(','));
    labels.filter_map(|label| label.strip_prefix(start.as_str())?.strip_suffix('"')).collect()
}

/// Every name that a label can have because the code has a reason of that name, whether or not it happened.
fn reasons() -> BTreeSet<&'static str> {
    let program = CaptureCounts { program: Some(ProgramCounts::default()), ..CaptureCounts::default() };
    let drops = [program, CaptureCounts::default()]
        .map(|counts| counts.account(0, KernelCounts::default(), true).1)
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    drops
        .chain([FLOW])
        .chain(NotFlow::ALL.map(NotFlow::name))
        .chain(Anomaly::ALL.map(Anomaly::name))
        .chain(NotInner::ALL.map(NotInner::name))
        .chain(Ending::ALL.map(Ending::name))
        .chain(Refusal::ALL.map(Refusal::name))
        .chain(Verdict::ALL.map(Verdict::name))
        .chain(Class::ALL.map(Class::name))
        .chain(kflow::EndReason::ALL.map(kflow::EndReason::name))
        .collect()
}

fn rendered(families: &BTreeMap<String, Family>, advice: &BTreeMap<&str, &str>) -> String {
    let mut table = TABLE_HEAD.to_owned();
    for (name, Family { kind, help, labels }) in families {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let advice = advice.get(name.as_str()).copied().unwrap_or_default();
        table.push_str(&format!("| `{name}` | {kind} | {} | {help} | {advice} |\n", labels.join(", ")));
    }
    table
}

/// First and last cell of a row of the table.
fn name_and_advice(row: &str) -> Option<(&str, &str)> {
    let cells: Vec<&str> = row.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [name, _, _, _, advice] = cells[..] else { return None };
    Some((name.strip_prefix('`')?.strip_suffix('`')?, advice))
}

/// Everything in a text that is spelled like a metric of the sensor.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':');
    text.split(|character| !is_of_name(character))
        .filter(|word| word.starts_with("sensor_"))
        .map(str::to_owned)
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(&kit("grafana-dashboard.json"))).expect("the dashboard is JSON")
}

/// Every query of the dashboard, with values for its variables.
fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let targets =
        array(&dashboard["panels"]).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = array(&dashboard["annotations"]["list"]).iter();
    let queries = targets.chain(annotations).map(|query| text(&query["expr"]));
    queries.map(|query| query.replace("$__rate_interval", "10s").replace("$instance", ".*")).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn promtool(words: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(words);
    command
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it is installed");
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&printed));
}

/// The series that answer a query; `None` if Prometheus is not there or refuses it.
fn ask(namespace: &Namespace, query: &str) -> Option<Vec<Value>> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer: Value =
        serde_json::from_str(&api(namespace, &format!("/api/v1/query?query={encoded}"))?).ok()?;
    answer["data"]["result"].as_array().cloned()
}

fn api(namespace: &Namespace, path: &str) -> Option<String> {
    namespace.enter(|| http_get(PROMETHEUS_ADDRESS, path)).expect("the namespace is there")
}
