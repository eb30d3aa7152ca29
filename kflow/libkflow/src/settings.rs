//! What a program asked for in `kflowConfig`, checked and as values of Rust.

use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// A request takes no longer unless the program says so.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Settings {
    pub flow_url: String,
    pub api_url: String,
    pub email: String,
    pub token: Secret,
    pub proxy: Option<String>,
    pub metrics_url: Option<String>,
    pub status: Option<StatusSettings>,
    pub dns: Option<DnsSettings>,
    pub device: WantedDevice,
    /// How to create the device, if it is not found by its address or name.
    pub creation: Option<Creation>,
    pub timeout: Duration,
    pub program: String,
    pub version: String,
}

/// A text that is not printed and wiped when it goes.
pub struct Secret(pub Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which device the flows are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedDevice {
    Id(u32),
    /// The device that has one of the addresses of this network interface.
    Interface(String),
    Address(IpAddr),
    Name(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub name: String,
    pub address: IpAddr,
    pub plan: u32,
    pub site: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSettings {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    pub url: String,
    pub interval: Duration,
}

/// The members of `kflowConfig` as they came: texts copied, nothing checked. An absent text and an empty one are the same.
#[derive(Debug, Default)]
pub struct Given {
    pub url: Option<String>,
    pub api_email: Option<String>,
    pub api_token: Option<String>,
    pub api_url: Option<String>,
    pub capture_ip: Option<String>,
    pub metrics_url: Option<String>,
    pub proxy_url: Option<String>,
    pub status_host: Option<String>,
    pub status_port: i32,
    pub dns_enable: i32,
    pub dns_interval: i32,
    pub dns_url: Option<String>,
    pub device_id: i32,
    pub device_if: Option<String>,
    pub device_ip: Option<String>,
    pub device_name: Option<String>,
    pub device_plan: i32,
    pub device_site: i32,
    pub timeout: i32,
    pub program: Option<String>,
    pub version: Option<String>,
}

impl Settings {
    /// # Errors
    /// EKFLOWCONFIG, with the member that is wrong.
    pub fn check(given: Given) -> Result<Settings, Failure> {
        let needed = |text: Option<String>, name: &str| {
            text.ok_or_else(|| Failure::config(format!("{name} is missing in kflowConfig")))
        };
        let creation = given.creation();
        let device = given.device()?;
        let status = given.status()?;
        let dns = match given.dns_enable {
            0 => None,
            _ => Some(DnsSettings {
                url: needed(given.dns_url, "dns.URL")?,
                interval: Duration::from_secs(u64::try_from(given.dns_interval).unwrap_or(0).max(1)),
            }),
        };
        Ok(Settings {
            flow_url: needed(given.url, "URL")?,
            api_url: needed(given.api_url, "API.URL")?,
            // Without them the API says what it thinks of that.
            email: given.api_email.unwrap_or_default(),
            token: Secret(Zeroizing::new(given.api_token.unwrap_or_default())),
            proxy: given.proxy_url,
            metrics_url: given.metrics_url,
            status,
            dns,
            device,
            creation,
            timeout: match u64::try_from(given.timeout) {
                Ok(0) | Err(_) => TIMEOUT_DEFAULT,
                Ok(milliseconds) => Duration::from_millis(milliseconds),
            },
            program: needed(given.program, "program")?,
            version: needed(given.version, "version")?,
        })
    }
}

impl Given {
    fn device(&self) -> Result<WantedDevice, Failure> {
        if let Ok(id @ 1..) = u32::try_from(self.device_id) {
            return Ok(WantedDevice::Id(id));
        }
        if let Some(interface) = &self.device_if {
            return Ok(WantedDevice::Interface(interface.clone()));
        }
        if let Some(address) = &self.device_ip {
            return match address.parse() {
                Ok(address) => Ok(WantedDevice::Address(address)),
                Err(_) => Err(Failure::config(format!("device_ip is {address:?}, which is no IP address"))),
            };
        }
        match &self.device_name {
            Some(name) => Ok(WantedDevice::Name(name.clone())),
            None => Err(Failure::config(
                "kflowConfig names no device: set device_id, device_if, device_ip or device_name",
            )),
        }
    }

    fn creation(&self) -> Option<Creation> {
        let parse = |address: &Option<String>| address.as_ref()?.parse().ok();
        let address = parse(&self.device_ip).or_else(|| parse(&self.capture_ip))?;
        let name = self.device_name.clone()?;
        let plan = u32::try_from(self.device_plan).ok().filter(|plan| *plan > 0)?;
        let site = u32::try_from(self.device_site).ok().filter(|site| *site > 0);
        Some(Creation { name, address, plan, site })
    }

    fn status(&self) -> Result<Option<StatusSettings>, Failure> {
        if self.status_port == 0 {
            return Ok(None);
        }
        let Ok(port) = u16::try_from(self.status_port) else {
            return Err(Failure::config(format!("status.port is {}, which is no port", self.status_port)));
        };
        let host = self.status_host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        Ok(Some(StatusSettings { host, port }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Given {
        Given {
            url: Some("http://127.0.0.1/chf".into()),
            api_url: Some("http://127.0.0.1/api".into()),
            device_id: 7,
            program: Some("test".into()),
            version: Some("1".into()),
            ..Given::default()
        }
    }

    fn complaint(given: Given) -> String {
        let failure = Settings::check(given).expect_err("something is wrong");
        assert_eq!(failure.code, crate::failure::Code::Config);
        failure.text.expect("a text says what")
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(complaint(Given { url: None, ..complete() }).starts_with("URL is missing"));
        assert!(complaint(Given { api_url: None, ..complete() }).starts_with("API.URL is missing"));
        assert!(complaint(Given { program: None, ..complete() }).starts_with("program is missing"));
        assert!(complaint(Given { version: None, ..complete() }).starts_with("version is missing"));
        assert!(complaint(Given { dns_enable: 1, ..complete() }).starts_with("dns.URL is missing"));
        assert!(complaint(Given { device_id: 0, ..complete() }).contains("names no device"));
        assert!(complaint(Given { status_port: 70_000, ..complete() }).starts_with("status.port is 70000"));
        let device_ip = Some("10.0.0.256".into());
        assert!(complaint(Given { device_id: 0, device_ip, ..complete() }).contains("no IP address"));
    }

    #[test]
    fn the_device_is_what_is_set_first() {
        let mut given = Given {
            device_if: Some("eth0".into()),
            device_ip: Some("10.0.0.1".into()),
            device_name: Some("router".into()),
            ..complete()
        };
        assert_eq!(given.device().unwrap(), WantedDevice::Id(7));
        given.device_id = -1;
        assert_eq!(given.device().unwrap(), WantedDevice::Interface("eth0".into()));
        given.device_if = None;
        assert_eq!(given.device().unwrap(), WantedDevice::Address([10, 0, 0, 1].into()));
        given.device_ip = None;
        assert_eq!(given.device().unwrap(), WantedDevice::Name("router".into()));
    }

    #[test]
    fn a_device_can_be_created_with_name_address_and_plan_only() {
        let given = Given {
            device_name: Some("router".into()),
            capture_ip: Some("::1".into()),
            device_plan: 3,
            device_site: 4,
            ..complete()
        };
        let creation = given.creation().expect("all three are there");
        assert_eq!((creation.plan, creation.site), (3, Some(4)));
        assert_eq!(creation.address, "::1".parse::<IpAddr>().unwrap());
        let without = |change: fn(&mut Given)| {
            let mut given = Given {
                device_name: Some("router".into()),
                device_ip: Some("::1".into()),
                device_plan: 3,
                ..complete()
            };
            change(&mut given);
            given.creation()
        };
        assert!(without(|_| ()).is_some_and(|creation| creation.site.is_none()));
        assert_eq!(without(|given| given.device_name = None), None);
        assert_eq!(without(|given| given.device_ip = None), None);
        assert_eq!(without(|given| given.device_plan = 0), None);
    }

    #[test]
    fn defaults_stand_in_for_zeros() {
        let given = Given {
            dns_enable: 1,
            dns_url: Some("http://127.0.0.1/dns".into()),
            status_port: 8080,
            timeout: -5,
            ..complete()
        };
        let settings = Settings::check(given).unwrap();
        assert_eq!(settings.timeout, TIMEOUT_DEFAULT);
        assert_eq!(settings.dns.unwrap().interval, Duration::from_secs(1));
        assert_eq!(settings.status.unwrap(), StatusSettings { host: "127.0.0.1".into(), port: 8080 });
    }
}
