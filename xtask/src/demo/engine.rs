//! The engine as the demo runs it: beside the sensor, which sends to it, and asked at the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use netns::{Child, Namespace};

use super::report::Narration;
use crate::{compile, interrupt};

const HTTP_ADDRESS: &str = "127.0.0.1:8090";
const POSTGRES_ADDRESS: &str = "127.0.0.1:5433";
/// The sensor's name there, and so that of its table.
const DEVICE: &str = "demo_sensor";
const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What the demo asks. The first is what the sensor's own account is compared with.
const QUESTIONS: [&str; 4] = [
    "SELECT count(*) AS flows, sum(both_pkts) AS packets, sum(both_bytes) AS bytes FROM demo_sensor",
    "SELECT i_app_protocol_name AS application, Sum(protocol) AS f_count_protocol, Sum(both_bytes) AS f_sum_both_bytes \
     FROM demo_sensor GROUP BY 1 ORDER BY 3 DESC LIMIT 6",
    "SELECT inet_src_addr, inet_dst_addr, l4_dst_port, i_protocol_name, sum(both_bytes) AS bytes FROM demo_sensor \
     WHERE inet_src_addr <<= '192.0.2.0/24' GROUP BY 1, 2, 3, 4 ORDER BY bytes DESC LIMIT 5",
    "SELECT date_trunc('minute', i_start_time) AS minute, f_countdistinct(inet_src_addr) AS sources, \
     sum(both_pkts) AS packets FROM demo_sensor GROUP BY 1 ORDER BY 1",
];

/// A running engine.
#[derive(Debug)]
pub struct Engine<'a> {
    child: Child,
    namespace: &'a Namespace,
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl<'a> Engine<'a> {
    /// Starts the engine in the sensor's namespace and waits until it answers.
    pub fn start(namespace: &'a Namespace, folder: &Path) -> anyhow::Result<Engine<'a>> {
        let program = compile::engine_program()?;
        let [data, log] = ["flowdb", "flowdb.log"].map(|name| folder.join(name));
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = namespace.command(&program);
        command
            .args(["serve", "--http", HTTP_ADDRESS, "--postgres", POSTGRES_ADDRESS])
            .arg("--data")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = Child::spawn(&mut command)?;
        let mut engine = Engine { child, namespace, program, data, log };
        let started = Instant::now();
        let health = format!("http://{HTTP_ADDRESS}/health");
        while namespace.run(["curl", "--silent", "--fail", "--max-time", "5", &health]).is_err() {
            if let Some(status) = engine.child.try_wait()? {
                bail!("the engine ended early ({status}): see {}", engine.log.display());
            }
            if started.elapsed() > START_LIMIT || interrupt::caught() {
                bail!(
                    "the engine does not answer after {:.0?}: see {}",
                    started.elapsed(),
                    engine.log.display()
                );
            }
            sleep(Duration::from_millis(50));
        }
        Ok(engine)
    }

    /// What the sensor has to know of it, for its config file.
    pub fn export(&self, folder: &Path) -> String {
        format!(
            "[export.http]\nurls = [\"http://{HTTP_ADDRESS}/chf\"]\nformat = \"kflow\"\nemail = \"demo@example.com\"\n\
             token_file = \"{token}\"\ninterval_ms = 500\n\
             [export.http.device]\napi_url = \"http://{HTTP_ADDRESS}/api/internal\"\nname = \"{DEVICE}\"\nip = \"127.0.0.1\"\nplan = 1\n\
             [export.http.spool]\ndirectory = \"{spool}\"\nbytes_max = 268435456\nsegment_bytes = 16777216\n",
            token = folder.join("token").display(),
            spool = folder.join("spool").display(),
        )
    }

    /// Asks, and tells the answers. Errors if the engine has not the flows that the sensor sent.
    pub fn ask(&self, records: u64, narration: Narration) -> anyhow::Result<()> {
        for question in QUESTIONS {
            narration.say(format_args!("\nflowdb=> {question};"));
            narration.say(self.sql(question, "table")?.trim_end());
        }
        let count = self.sql("SELECT raw_count() AS flows FROM demo_sensor", "csv")?;
        let count = count.lines().nth(1).and_then(|line| line.trim().parse::<u64>().ok());
        ensure!(
            count == Some(records),
            "the engine has {count:?} records of the sensor, which sent {records}: see {}",
            self.log.display()
        );
        narration.say(format_args!("\nThe engine has all {records} records. To ask it yourself:"));
        let program = self.program.display();
        let data = self.data.display();
        narration.say(format_args!("  {program} sql --data {data}"));
        narration.say(format_args!("  {program} serve --data {data} &   psql -h 127.0.0.1 -p 5433 -U flow"));
        Ok(())
    }

    fn sql(&self, question: &str, format: &str) -> anyhow::Result<String> {
        let program = self.program.to_str().context("the target folder has a plain name")?;
        let url = format!("http://{HTTP_ADDRESS}");
        self.namespace.run([program, "sql", "--url", &url, "--format", format, "-c", question])
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        let status = self.child.stop(STOP_LIMIT)?;
        ensure!(status.success(), "the engine failed ({status}): see {}", self.log.display());
        Ok(())
    }
}
