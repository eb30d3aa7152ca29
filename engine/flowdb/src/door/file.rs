//! The file `flowdb.toml`: one configuration for the engine and its doors. Keys that are not known are errors.

use crate::door::Access;
use crate::door::secret::Secret;
use crate::door::settings::{DeviceSettings, Limits, Settings, TlsFiles};
use crate::engine::Config;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the file says. Keys are explained in the example, `flowdb.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileConfig {
    pub data: PathBuf,
    pub http: Listen,
    pub postgres: Listen,
    pub tls: Tls,
    pub tokens: Tokens,
    pub limits: LimitKeys,
    pub devices: DeviceKeys,
    pub engine: EngineKeys,
}

/// Where a door is; nowhere if nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    pub listen: Option<SocketAddr>,
}

/// Empty paths are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    pub email: String,
    pub ingest_file: PathBuf,
    pub query_file: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitKeys {
    pub connections: usize,
    pub idle_timeout_s: u64,
    pub head_timeout_s: u64,
    pub body_timeout_s: u64,
    pub body_bytes: usize,
    pub bodies: usize,
    pub queries: usize,
    pub query_rows: u64,
    pub query_timeout_s: u64,
    pub query_memory_bytes: usize,
    pub stop_timeout_s: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceKeys {
    pub company_id: u64,
    pub flow_rate: u32,
    pub may_create: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineKeys {
    pub log_bytes: u64,
    pub seal_after_s: u64,
    pub full_days: u32,
    pub fast_days: u32,
    pub fast_from_hours: u32,
    pub fast_rows_per_s: u32,
    pub open_memory_bytes: usize,
    pub query_threads: usize,
    pub query_memory_bytes: usize,
    pub cache_memory_bytes: usize,
    pub cache_disk_bytes: u64,
}

impl FileConfig {
    /// Errors: the file cannot be read, is no TOML, or has a key that is not known.
    pub fn read(path: &Path) -> Result<FileConfig, Error> {
        let failed = |what: &dyn std::fmt::Display| Error::Config(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        FileConfig::parse(&text).map_err(|error| failed(&error))
    }

    pub fn parse(text: &str) -> Result<FileConfig, Error> {
        toml::from_str(text).map_err(|error| Error::Config(error.to_string()))
    }

    /// The engine's part.
    pub fn engine(&self) -> Config {
        let keys = &self.engine;
        let mut config = Config::new(&self.data);
        config.log_bytes_max = keys.log_bytes;
        config.seal_after_s = keys.seal_after_s;
        config.full_days = keys.full_days;
        config.fast_days = keys.fast_days;
        config.fast_from_hours = keys.fast_from_hours;
        config.fast_rows_per_s = keys.fast_rows_per_s;
        config.open_memory_bytes = keys.open_memory_bytes;
        if keys.query_threads > 0 {
            config.query_threads = keys.query_threads;
        }
        config.query_memory_bytes = keys.query_memory_bytes;
        config.cache_memory_bytes = keys.cache_memory_bytes;
        config.cache_disk_bytes = keys.cache_disk_bytes;
        config
    }

    /// The doors' part. Reads the tokens.
    ///
    /// Errors: a token cannot be used; a certificate is without its key.
    pub fn doors(&self) -> Result<Settings, Error> {
        let Tls { certificate, key } = &self.tls;
        let tls = match (is_given(certificate), is_given(key)) {
            (false, false) => None,
            (true, true) => Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
            _ => return Err(Error::Config("tls.certificate and tls.key belong together".to_owned())),
        };
        let token = |path: &Path| is_given(path).then(|| Secret::read(path)).transpose();
        let access = Access {
            email: Some(self.tokens.email.clone()).filter(|email| !email.is_empty()),
            ingest: token(&self.tokens.ingest_file)?,
            query: token(&self.tokens.query_file)?,
        };
        let keys = &self.limits;
        let limits = Limits {
            connections_max: keys.connections,
            idle_timeout: seconds(keys.idle_timeout_s),
            head_timeout: seconds(keys.head_timeout_s),
            body_timeout: seconds(keys.body_timeout_s),
            body_bytes_max: keys.body_bytes,
            bodies_max: keys.bodies,
            queries_max: keys.queries,
            query_rows_max: keys.query_rows,
            query_timeout: seconds(keys.query_timeout_s),
            query_memory_bytes: keys.query_memory_bytes,
            stop_timeout: seconds(keys.stop_timeout_s),
        };
        let DeviceKeys { company_id, flow_rate, may_create } = self.devices;
        let devices = DeviceSettings { company_id, flow_rate, may_create };
        Ok(Settings { http: self.http.listen, postgres: self.postgres.listen, tls, access, limits, devices })
    }
}

/// A time limit that can be added to any time of day.
fn seconds(number: u64) -> Duration {
    Duration::from_secs(number.min(SECONDS_MAX))
}

const SECONDS_MAX: u64 = 1 << 31;

fn is_given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

impl Default for FileConfig {
    fn default() -> FileConfig {
        FileConfig {
            data: PathBuf::from("flowdb-data"),
            http: Listen::default(),
            postgres: Listen::default(),
            tls: Tls::default(),
            tokens: Tokens::default(),
            limits: LimitKeys::default(),
            devices: DeviceKeys::default(),
            engine: EngineKeys::default(),
        }
    }
}

impl Default for LimitKeys {
    fn default() -> LimitKeys {
        let limits = Limits::default();
        LimitKeys {
            connections: limits.connections_max,
            idle_timeout_s: limits.idle_timeout.as_secs(),
            head_timeout_s: limits.head_timeout.as_secs(),
            body_timeout_s: limits.body_timeout.as_secs(),
            body_bytes: limits.body_bytes_max,
            bodies: limits.bodies_max,
            queries: limits.queries_max,
            query_rows: limits.query_rows_max,
            query_timeout_s: limits.query_timeout.as_secs(),
            query_memory_bytes: limits.query_memory_bytes,
            stop_timeout_s: limits.stop_timeout.as_secs(),
        }
    }
}

impl Default for DeviceKeys {
    fn default() -> DeviceKeys {
        let DeviceSettings { company_id, flow_rate, may_create } = DeviceSettings::default();
        DeviceKeys { company_id, flow_rate, may_create }
    }
}

impl Default for EngineKeys {
    fn default() -> EngineKeys {
        let config = Config::new("");
        EngineKeys {
            log_bytes: config.log_bytes_max,
            seal_after_s: config.seal_after_s,
            full_days: config.full_days,
            fast_days: config.fast_days,
            fast_from_hours: config.fast_from_hours,
            fast_rows_per_s: config.fast_rows_per_s,
            open_memory_bytes: config.open_memory_bytes,
            query_threads: 0,
            query_memory_bytes: config.query_memory_bytes,
            cache_memory_bytes: config.cache_memory_bytes,
            cache_disk_bytes: config.cache_disk_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../flowdb.toml");

    /// All keys with a value, as `section.key`.
    fn keys(table: &toml::Table, above: &str, found: &mut Vec<String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) => keys(inner, &format!("{above}{key}."), found),
                _ => found.push(format!("{above}{key}")),
            }
        }
    }

    #[test]
    fn the_example_has_every_key_and_says_what_it_is_by_itself() {
        let mut with_doors = FileConfig::default();
        with_doors.http.listen = Some("127.0.0.1:8090".parse().unwrap());
        with_doors.postgres.listen = Some("127.0.0.1:5433".parse().unwrap());
        let example = FileConfig::parse(EXAMPLE).unwrap();
        assert_eq!(example, with_doors);
        let (mut in_example, mut known) = (Vec::new(), Vec::new());
        keys(&EXAMPLE.parse().unwrap(), "", &mut in_example);
        keys(&toml::Table::try_from(&with_doors).unwrap(), "", &mut known);
        in_example.sort();
        known.sort();
        assert_eq!(in_example, known);
        assert_eq!(example.doors().unwrap().limits, Limits::default());
        assert_eq!(example.engine(), Config::new("flowdb-data"));
    }

    #[test]
    fn keys_that_are_not_known_are_errors() {
        for text in ["dta = 'x'", "[http]\nport = 1", "[limits]\nquery = 1", "[engine]\nlog_bytes_max = 1"] {
            let error = FileConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{text}: {error}");
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_an_error() {
        let config = FileConfig::parse("[tls]\ncertificate = 'c.pem'").unwrap();
        assert!(config.doors().is_err());
    }
}
