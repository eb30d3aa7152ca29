//! What the doors are opened with.

use crate::door::access::Access;
use crate::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the doors are, who may come in, and how much.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Ingest, device API and queries over HTTP.
    pub http: Option<SocketAddr>,
    /// PostgreSQL's protocol.
    pub postgres: Option<SocketAddr>,
    pub tls: Option<TlsFiles>,
    pub access: Access,
    pub limits: Limits,
    pub devices: DeviceSettings,
}

/// PEM files of the certificate, with those between it and its authority, and of its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the device API tells of all devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    /// Number of the company that devices are said to be of.
    pub company_id: u64,
    /// Records a second that devices without a limit of their own are told they may send. Kentik's library takes 0 for
    /// "nothing".
    pub flow_rate: u32,
    /// A sender that names a device which does not exist may create it. Otherwise devices are made by hand.
    pub may_create: bool,
}

/// What one door takes at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of a door. At the limit the one that is idle longest makes room.
    pub connections_max: usize,
    /// A connection without a request is closed after this.
    pub idle_timeout: Duration,
    /// From the first byte of a request to the end of its head; for a TLS handshake.
    pub head_timeout: Duration,
    /// From there to the end of its body.
    pub body_timeout: Duration,
    /// Largest body of flows, as it comes.
    pub body_bytes_max: usize,
    /// Bodies that are taken at the same time; others wait, then are told to come again.
    pub bodies_max: usize,
    /// Queries that run at the same time, over all doors; others are told to come again.
    pub queries_max: usize,
    /// Rows of one answer.
    pub query_rows_max: u64,
    pub query_timeout: Duration,
    /// Memory of one query.
    pub query_memory_bytes: usize,
    /// What is going on when the end comes has so long to finish.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            connections_max: 1024,
            idle_timeout: seconds(120),
            head_timeout: seconds(10),
            body_timeout: seconds(60),
            body_bytes_max: 16 << 20,
            bodies_max: 32,
            queries_max: 16,
            query_rows_max: 10_000_000,
            query_timeout: seconds(300),
            query_memory_bytes: 1 << 30,
            stop_timeout: seconds(30),
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> DeviceSettings {
        DeviceSettings { company_id: 1, flow_rate: 100_000, may_create: true }
    }
}

impl Settings {
    /// Whether they make sense together.
    ///
    /// Errors: there is no door; a door beyond the loopback asks for no token; a token opens both.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::Config(what.to_owned()));
        if self.http.is_none() && self.postgres.is_none() {
            return refuse("nothing to serve: neither http.listen nor postgres.listen is given");
        }
        if (self.access.ingest.is_none() || self.access.query.is_none())
            && let Some(address) = self.exposed()
        {
            return Err(Error::Config(format!(
                "{address} can be reached from other machines: tokens.ingest_file and tokens.query_file are needed"
            )));
        }
        if let (Some(ingest), Some(query)) = (&self.access.ingest, &self.access.query)
            && bool::from(ingest.is(query.expose().as_bytes()))
        {
            return refuse("the tokens of ingest and query are the same");
        }
        let limits = &self.limits;
        if [limits.connections_max, limits.body_bytes_max, limits.bodies_max, limits.queries_max].contains(&0)
        {
            return refuse("a limit of 0 lets nothing in");
        }
        Ok(())
    }

    /// An address that other machines may reach.
    pub fn exposed(&self) -> Option<SocketAddr> {
        [self.http, self.postgres].into_iter().flatten().find(|address| !address.ip().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::secret::Secret;

    #[test]
    fn without_tokens_only_the_loopback_is_served() {
        let mut settings = Settings { http: Some("127.0.0.1:0".parse().unwrap()), ..Settings::default() };
        settings.check().unwrap();
        settings.postgres = Some("0.0.0.0:5432".parse().unwrap());
        assert!(settings.check().unwrap_err().to_string().contains("0.0.0.0:5432"));
        settings.access.ingest = Some(Secret::new("in").unwrap());
        settings.check().unwrap_err();
        settings.access.query = Some(Secret::new("in").unwrap());
        assert!(settings.check().unwrap_err().to_string().contains("the same"));
        settings.access.query = Some(Secret::new("out").unwrap());
        settings.check().unwrap();
    }
}
