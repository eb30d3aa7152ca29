//! Real servers and clients of other people on a veth cable, and the sensor beside them: what their own logs list is in
//! the records, and nothing else of these protocols. Needs root.

use netns::{Child, Namespace, VethOptions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use system_tests::{Folder, NEAR, Outcome, Sensor, TAP, Wire, is_installed, needs_root, wait_until};

const SERVER: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.2";

/// How often something was said.
type Said = BTreeMap<Vec<String>, u64>;

/// A server at one end of a cable, a client at the other, and a sensor that reads along.
struct Stage {
    wire: Wire,
    folder: Folder,
}

impl Stage {
    /// `None` if something is missing, which is said on stderr.
    fn set(test: &str, programs: &[&str]) -> Option<Stage> {
        if !needs_root(test) {
            return None;
        }
        if let Some(missing) = programs.iter().find(|program| !is_installed(program)) {
            eprintln!("skipped: {test} needs {missing}");
            return None;
        }
        let wire = Wire::lay(VethOptions::default());
        for (namespace, device, address) in [(&wire.far, TAP, SERVER), (&wire.near, NEAR, CLIENT)] {
            namespace.ip(["address", "add", &format!("{address}/24"), "dev", device]).expect("an address");
            namespace.ip(["link", "set", "lo", "up"]).expect("a loopback device");
        }
        Some(Stage { wire, folder: Folder::create() })
    }

    fn sensor(&self) -> Sensor<'_> {
        Sensor::capture(&self.wire, &["--source", "afpacket"])
    }

    /// Starts a server; what it says on stderr is in `LOG`.
    fn serve(&self, log: &str, command: &mut Command) -> Child {
        let log = File::create(self.folder.file(log)).expect("a log file");
        let out = log.try_clone().expect("a log file");
        Child::spawn(command.stdin(Stdio::null()).stdout(out).stderr(log)).expect("the server starts")
    }

    fn wait_for_port(&self, port: u16) {
        wait_until(&format!("something listens on port {port}"), || {
            let connected = self.wire.far.enter(|| TcpStream::connect((SERVER, port)).is_ok());
            connected.expect("the namespace is there").then_some(())
        });
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.file(name)).expect("the log is there")
    }

    /// Runs a client, whatever it makes of the answer.
    fn ask(&self, program: &str, arguments: &[&str]) {
        let mut command = self.wire.near.command(program);
        let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        status.status().expect("the client starts");
    }
}

/// Ends the server, which has written its log then, and the sensor.
fn end(mut server: Child, sensor: Sensor<'_>) -> Outcome {
    server.stop(system_tests::DEADLINE).expect("the server ends");
    let outcome = sensor.stop();
    outcome.assert_clean();
    outcome
}

/// What the records of a protocol say in these columns.
fn said(outcome: &Outcome, protocol: &str, columns: &[&str]) -> Said {
    let mut said = Said::new();
    let lines = outcome.json.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    // A record that says nothing of its application is of a flow that says it elsewhere.
    for record in lines.filter(|record| record["app_protocol"] == protocol && has_any(record, columns)) {
        let values = columns.iter().map(|column| match &record[*column] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        *said.entry(values.collect()).or_default() += 1;
    }
    said
}

fn has_any(record: &Value, columns: &[&str]) -> bool {
    columns.iter().any(|column| !record[*column].is_null())
}

fn count(lines: impl Iterator<Item = Vec<String>>) -> Said {
    let mut said = Said::new();
    lines.for_each(|line| *said.entry(line).or_default() += 1);
    said
}

fn words(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

/// A certificate for `name`, and its key.
fn certificate(folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.file("certificate.pem"), folder.file("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name},DNS:alt.test"),
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

fn nginx_config(folder: &Folder, certificate: &Path, key: &Path) -> PathBuf {
    let place = |name: &str| folder.file(name).display().to_string();
    let paths = ["body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| {
            let directive = if kind == "body" { "client_body".to_owned() } else { kind.to_owned() };
            format!("{directive}_temp_path {};", place(kind))
        })
        .join("\n");
    folder.write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {pid}; error_log {error};
             events {{ }}
             http {{
               {paths}
               log_format said '$request_method\\t$host\\t$request_uri\\t$status\\t$http_user_agent';
               log_format session '$ssl_server_name\\t$ssl_protocol';
               server {{
                 listen {SERVER}:80;
                 access_log {http} said;
                 location = /small {{ return 200 'small'; }}
                 location = /moved {{ return 301 /small; }}
                 location = /empty {{ return 204; }}
                 location / {{ root {root}; }}
               }}
               server {{
                 listen {SERVER}:443 ssl;
                 access_log {https} session;
                 ssl_protocols TLSv1.2 TLSv1.3;
                 ssl_certificate {certificate};
                 ssl_certificate_key {key};
                 location / {{ return 200 'secret'; }}
               }}
             }}",
            pid = place("nginx.pid"),
            error = place("error.log"),
            http = place("http.log"),
            https = place("https.log"),
            root = place("root"),
            certificate = certificate.display(),
            key = key.display(),
        ),
    )
}

#[test]
fn every_request_that_nginx_logs_is_in_the_records() {
    let Some(stage) = Stage::set("nginx", &["nginx", "curl", "openssl"]) else { return };
    let (certificate, key) = certificate(&stage.folder, "www.test");
    let config = nginx_config(&stage.folder, &certificate, &key);
    fs::create_dir(stage.folder.file("root")).expect("a folder");
    stage.folder.write("root/large", vec![b'x'; 300_000]);
    let mut nginx = stage.wire.far.command("nginx");
    nginx.arg("-c").arg(&config).arg("-e").arg(stage.folder.file("error.log"));
    let server = stage.serve("nginx.log", &mut nginx);
    stage.wait_for_port(443);
    let sensor = stage.sensor();
    let at = |path: &str| format!("http://{SERVER}{path}");
    for agent in ["curl/one", "curl/two"] {
        // One connection for all of them.
        let targets =
            ["/small", "/large", "/none?question=1", "/moved", "/empty", "/small?a=b&c=%20d"].map(at);
        let mut arguments = vec!["--silent", "--user-agent", agent];
        arguments.extend(targets.iter().map(String::as_str));
        stage.ask("curl", &arguments);
        stage.ask("curl", &["--silent", "-A", agent, "--head", &at("/large")]);
        stage.ask("curl", &["--silent", "-A", agent, "-H", "Host: other.test", "-d", "a=1", &at("/small")]);
    }
    for version in ["1.2", "1.3"] {
        for name in ["www.test", "alt.test"] {
            let resolved = format!("{name}:443:{SERVER}");
            let arguments = ["-sk", "--tls-max", version, "--tlsv1.2", "--resolve", &resolved];
            stage.ask("curl", &[&arguments[..], &[&format!("https://{name}/")]].concat());
        }
    }
    let outcome = end(server, sensor);

    let logged = count(stage.log("http.log").lines().map(words));
    let columns = ["http_method", "http_host", "http_url", "http_status", "http_user_agent"];
    assert_eq!(said(&outcome, "http", &columns), logged);
    assert!(logged.values().sum::<u64>() == 16, "{logged:?}");

    let numbers = |line: Vec<String>| {
        let number = if line[1] == "TLSv1.3" { "772" } else { "771" };
        vec![line[0].clone(), number.to_owned()]
    };
    let logged = count(stage.log("https.log").lines().map(words).map(numbers));
    assert_eq!(said(&outcome, "tls", &["tls_server_name", "tls_version"]), logged);
    assert_eq!(logged.len(), 4, "{logged:?}");
    // Only TLS 1.2 shows its certificate.
    let names = said(&outcome, "tls", &["tls_version", "tls_certificate_names"]);
    assert_eq!(names[&vec!["771".to_owned(), "www.test;alt.test".to_owned()]], 2, "{names:?}");
}

#[test]
fn what_openssl_negotiates_is_in_the_records() {
    let Some(stage) = Stage::set("openssl", &["openssl"]) else { return };
    let (certificate, key) = certificate(&stage.folder, "www.test");
    let mut openssl = stage.wire.far.command("openssl");
    openssl.args(["s_server", "-accept", &format!("{SERVER}:4433"), "-alpn", "h2,http/1.1"]);
    openssl.arg("-cert").arg(&certificate).arg("-key").arg(&key).arg("-www");
    let server = stage.serve("openssl.log", &mut openssl);
    stage.wait_for_port(4433);
    let sensor = stage.sensor();
    let target = format!("{SERVER}:4433");
    let common = ["s_client", "-connect", &target, "-servername", "name.test", "-alpn", "http/1.1"];
    stage.ask("openssl", &[&common[..], &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]].concat());
    stage.ask("openssl", &[&common[..], &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]].concat());
    let outcome = end(server, sensor);
    let columns = ["tls_server_name", "tls_alpn", "tls_version", "tls_cipher"];
    let expected = [("771", "49199"), ("772", "4866")]
        .map(|(version, cipher)| ["name.test", "http/1.1", version, cipher].map(str::to_owned).to_vec());
    assert_eq!(said(&outcome, "tls", &columns), count(expected.into_iter()));
}

#[test]
fn every_query_that_dnsmasq_logs_is_in_the_records() {
    let Some(stage) = Stage::set("dnsmasq", &["dnsmasq", "dig"]) else { return };
    let mut dnsmasq = stage.wire.far.command("dnsmasq");
    dnsmasq.args(["--no-daemon", "--log-queries", "--no-resolv", "--no-hosts", "--conf-file=/dev/null"]);
    dnsmasq.args(["--bind-interfaces", "--except-interface=lo", "--user=root", "--pid-file="]);
    dnsmasq.arg(format!("--listen-address={SERVER}"));
    dnsmasq.args(["--address=/known.test/192.0.2.9", "--host-record=both.test,192.0.2.7,2001:db8::7"]);
    dnsmasq.args(["--mx-host=mail.test,mx.mail.test,10", "--txt-record=text.test,some words"]);
    dnsmasq.args(["--local=/test/", "--cname=alias.test,both.test"]);
    let server = stage.serve("dnsmasq.log", &mut dnsmasq);
    stage.wait_for_port(53);
    let sensor = stage.sensor();
    let at = format!("@{SERVER}");
    let queries = [
        ("www.known.test", "A"),
        ("both.test", "A"),
        ("both.test", "AAAA"),
        ("mail.test", "MX"),
        ("text.test", "TXT"),
        ("alias.test", "A"),
        ("none.test", "A"),
        ("both.test", "SRV"),
    ];
    for (name, kind) in queries {
        stage.ask("dig", &[&at, name, kind, "+tries=1"]);
        stage.ask("dig", &[&at, name, kind, "+tries=1", "+tcp"]);
    }
    let outcome = end(server, sensor);
    let logged = count(stage.log("dnsmasq.log").lines().filter_map(|line| {
        let (_, query) = line.split_once("query[")?;
        let (kind, rest) = query.split_once("] ")?;
        Some(vec![rest.split(' ').next()?.to_owned(), type_number(kind).to_owned()])
    }));
    assert_eq!(logged.values().sum::<u64>(), 2 * queries.len() as u64, "{logged:?}");
    assert_eq!(said(&outcome, "dns", &["dns_query", "dns_query_type"]), logged);
    let answers = said(&outcome, "dns", &["dns_query", "dns_query_type", "dns_rcode", "dns_answers"]);
    let answered = |values: [&str; 4]| answers.get(values.map(str::to_owned).as_slice()).copied();
    assert_eq!(answered(["www.known.test", "1", "0", "192.0.2.9/A"]), Some(2), "{answers:?}");
    assert_eq!(answered(["both.test", "28", "0", "2001:db8::7/AAAA"]), Some(2), "{answers:?}");
    assert_eq!(answered(["none.test", "1", "3", "null"]), Some(2), "{answers:?}");
    assert_eq!(answered(["alias.test", "1", "0", "both.test/CNAME;192.0.2.7/A"]), Some(2), "{answers:?}");
}

fn type_number(name: &str) -> &str {
    match name {
        "A" => "1",
        "MX" => "15",
        "TXT" => "16",
        "AAAA" => "28",
        "SRV" => "33",
        other => other,
    }
}

#[test]
fn every_message_that_a_dhcp_server_logs_is_in_the_records() {
    let Some(stage) = Stage::set("DHCP", &["dnsmasq", "udhcpc"]) else { return };
    let mut dnsmasq = stage.wire.far.command("dnsmasq");
    dnsmasq.args(["--no-daemon", "--port=0", "--conf-file=/dev/null", "--user=root", "--pid-file="]);
    dnsmasq.args(["--log-dhcp", "--dhcp-authoritative", "--dhcp-range=192.0.2.100,192.0.2.110,10m"]);
    dnsmasq.arg(format!("--interface={TAP}"));
    dnsmasq.arg(format!("--dhcp-leasefile={}", stage.folder.file("leases").display()));
    let server = stage.serve("dnsmasq.log", &mut dnsmasq);
    wait_until("dnsmasq has said that it gives addresses", || {
        stage.log("dnsmasq.log").contains("IP range").then_some(())
    });
    let sensor = stage.sensor();
    for name in ["host-a", "host-b", "host-c"] {
        stage.ask(
            "udhcpc",
            &["-i", NEAR, "-f", "-n", "-q", "-s", "/bin/true", "-x", &format!("hostname:{name}")],
        );
    }
    let outcome = end(server, sensor);
    let logged = count(stage.log("dnsmasq.log").lines().filter_map(|line| {
        let (_, message) = line.split_once(" DHCP")?;
        let (kind, _) = message.split_once(&format!("({TAP})"))?;
        let number = ["DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE"]
            .iter()
            .position(|name| *name == kind)?;
        Some(vec![(number + 1).to_string()])
    }));
    assert!(logged.values().sum::<u64>() >= 12, "{logged:?}:\n{}", stage.log("dnsmasq.log"));
    assert_eq!(said(&outcome, "dhcp", &["dhcp_message_type"]), logged);
    let names = said(&outcome, "dhcp", &["dhcp_message_type", "dhcp_host_name"]);
    assert_eq!(names[&vec!["1".to_owned(), "host-b".to_owned()]], 1, "{names:?}");
}

/// Debian keeps the programs of a PostgreSQL server in a folder of their own: in the system, or in what was unpacked to
/// a folder, which may be one that only its owner may enter.
fn postgresql_folder(stage: &Stage) -> Option<PathBuf> {
    let given = std::env::var_os("POSTGRESQL_ROOT").map_or(PathBuf::from("/"), PathBuf::from);
    let server = |root: &Path| {
        let versions = fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
        versions
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .find(|bin| bin.join("initdb").is_file())
    };
    if given == Path::new("/") || server(&given).is_none() {
        return server(&given);
    }
    let open = stage.folder.file("postgresql");
    let copied = Command::new("cp").arg("-R").args([&given, &open]).status().expect("cp starts");
    assert!(copied.success(), "copy {} to {}", given.display(), open.display());
    server(&open)
}

/// PostgreSQL does not run as root.
fn unprivileged(namespace: &Namespace, program: &Path) -> Command {
    let mut command = namespace.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

#[test]
fn every_connection_that_postgresql_logs_is_in_the_records() {
    let Some(stage) = Stage::set("PostgreSQL", &["psql", "setpriv"]) else { return };
    let Some(programs) = postgresql_folder(&stage) else {
        eprintln!("skipped: there is no PostgreSQL server in /usr/lib/postgresql or in POSTGRESQL_ROOT");
        return;
    };
    let data = stage.folder.file("data");
    fs::create_dir(&data).expect("a folder");
    std::os::unix::fs::chown(&data, Some(65534), Some(65534)).expect("root gives folders away");
    let made = unprivileged(&stage.wire.far, &programs.join("initdb"))
        .args(["--auth=trust", "--username=admin", "--no-sync", "-D"])
        .arg(&data)
        .output()
        .expect("initdb starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let rules = data.join("pg_hba.conf");
    fs::write(&rules, "host all admin 192.0.2.0/24 trust\nhost all other 192.0.2.0/24 reject\n")
        .expect("a file");
    let mut postgres = unprivileged(&stage.wire.far, &programs.join("postgres"));
    postgres.arg("-D").arg(&data).args(["-h", SERVER, "-k", ""]);
    postgres.args(["-c", "log_connections=on", "-c", "fsync=off", "-c", "log_destination=stderr"]);
    let server = stage.serve("postgres.log", &mut postgres);
    stage.wait_for_port(5432);
    let sensor = stage.sensor();
    for (user, database) in
        [("admin", "postgres"), ("admin", "template1"), ("admin", "missing"), ("other", "postgres")]
    {
        let target =
            format!("host={SERVER} user={user} dbname={database} sslmode=disable application_name=test");
        stage.ask("psql", &[&target, "-c", "select 1"]);
    }
    let outcome = end(server, sensor);
    let log = stage.log("postgres.log");
    let expected = [
        ["admin", "postgres", "null"],
        ["admin", "template1", "null"],
        ["admin", "missing", "3D000"],
        ["other", "postgres", "28000"],
    ]
    .map(|values| values.map(str::to_owned).to_vec());
    assert_eq!(log.matches("connection authorized: user=admin").count(), 3, "{log}");
    assert_eq!(log.matches("FATAL:  database \"missing\" does not exist").count(), 1, "{log}");
    assert_eq!(log.matches("FATAL:  pg_hba.conf rejects connection").count(), 1, "{log}");
    let columns = ["postgresql_user", "postgresql_database", "postgresql_error"];
    assert_eq!(said(&outcome, "postgresql", &columns), count(expected.into_iter()));
}
