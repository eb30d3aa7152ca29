//! Calls of the device API: look a device up, create it.

use super::{Device, answer};
use crate::client::{Account, Credentials};
use crate::error::Error;
use crate::http::{Answer, HttpConfig, Interrupter, Network, Peer};
use crate::outcome::{Cause, Remedy, Trouble, presentable};
use crate::url::{Url, encode};
use serde_json::json;
use std::net::IpAddr;
use ureq::http::{HeaderValue, Request, header::CONTENT_TYPE};

/// How the configuration names the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Id(u32),
    /// By one of the addresses of an interface: the first that the API knows.
    Interface {
        name: String,
        addresses: Vec<IpAddr>,
    },
    Address(IpAddr),
    /// Dots count as underscores, as the portal has it.
    Name(String),
}

/// What a device that does not exist yet is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub name: String,
    /// The address that flows are said to come from.
    pub address: IpAddr,
    /// Number of the plan that it belongs to.
    pub plan_id: u32,
    pub site_id: Option<u32>,
    pub description: String,
    pub sample_rate: u32,
}

/// Most of an answer that is read: a device with thousands of columns.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The device API of one account.
#[derive(Debug)]
pub struct DeviceApi {
    base: Url,
    peer: Peer,
    account: Account,
}

impl DeviceApi {
    /// `url` is the base: `https://api.kentik.com/api/internal`.
    ///
    /// # Errors
    /// As [`Client::new`](crate::Client::new). Nothing is connected to yet.
    pub fn new(url: &str, credentials: &Credentials, config: &HttpConfig) -> Result<DeviceApi, Error> {
        let base = Url::parse(url)?;
        let peer = Network::new(config)?.peer(&base)?;
        Ok(DeviceApi { base, peer, account: Account::new(credentials)? })
    }

    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Whether the token would go in the clear and leave this machine: worth a warning.
    pub fn is_exposed(&self) -> bool {
        self.base.is_exposed()
    }

    /// Lets another thread end a call that is under way.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::of(std::iter::once(&self.peer))
    }

    /// Looks the device up. Where there is none, creates it if `creation` says with what: not for one that is named
    /// by its number or by an interface.
    ///
    /// # Errors
    /// The trouble's remedy says what kind it is: [`Remedy::LookUpDevice`] stands for a device that does not exist.
    pub fn find(&self, selector: &Selector, creation: Option<&Creation>) -> Result<Device, Trouble> {
        let unknown = match self.look_up(selector) {
            Err(trouble) if trouble.remedy() == Remedy::LookUpDevice => trouble,
            other => return other,
        };
        match (selector, creation) {
            (Selector::Address(_) | Selector::Name(_), Some(creation)) => self.create(creation),
            (Selector::Address(_) | Selector::Name(_), None) => Err(Trouble {
                text: format!("{selector} does not exist, and nothing says with what plan to create it"),
                ..unknown
            }),
            _ => Err(Trouble { text: format!("{selector} does not exist"), ..unknown }),
        }
    }

    fn look_up(&self, selector: &Selector) -> Result<Device, Trouble> {
        match selector {
            Selector::Id(id) => self.get(&id.to_string()),
            Selector::Address(address) => self.get(&address.to_string()),
            Selector::Name(name) => self.get(&portal_name(name)),
            Selector::Interface { name, addresses } => {
                let mut last = Trouble {
                    cause: Cause::Status(404),
                    text: format!("interface {name} has no address"),
                    retry_after: None,
                };
                for address in addresses {
                    match self.get(&address.to_string()) {
                        Err(trouble) if trouble.remedy() == Remedy::LookUpDevice => last = trouble,
                        other => return other,
                    }
                }
                Err(last)
            }
        }
    }

    fn get(&self, key: &str) -> Result<Device, Trouble> {
        let mut url = format!("{}/device/", self.base.as_str());
        encode(key, &mut url);
        let answer = self.call(Request::get(url).body(()), 200)?;
        self.device(&answer)
    }

    fn create(&self, creation: &Creation) -> Result<Device, Trouble> {
        let mut device = json!({
            "device_name": portal_name(&creation.name),
            "device_type": "host-nprobe-dns-www",
            "device_subtype": "kprobe",
            "device_description": creation.description,
            "device_sample_rate": creation.sample_rate.to_string(),
            "device_bgp_type": "none",
            "plan_id": creation.plan_id,
            "cdn_attr": "N",
            "sending_ips": [creation.address.to_string()],
        });
        if let Some(site_id) = creation.site_id {
            device["site_id"] = site_id.into();
        }
        let body = json!({ "device": device }).to_string();
        let mut request = Request::post(format!("{}/device/", self.base.as_str())).body(body);
        if let Ok(request) = &mut request {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let created = self.device(&self.call(request, 201)?)?;
        // The answer to the creation may lack what the portal adds: plan, columns.
        self.get(&created.id.to_string())
    }

    /// One request, whose only success is `expected`.
    fn call<B: ureq::AsSendBody>(
        &self,
        request: Result<Request<B>, ureq::http::Error>,
        expected: u16,
    ) -> Result<Answer, Trouble> {
        let mut request = request.map_err(|error| self.malformed(&error.to_string()))?;
        self.account.sign(request.headers_mut());
        let answer = self.peer.call(request, ANSWER_BYTES_MAX, self.account.secret())?;
        if answer.status != expected {
            return Err(self.account.refusal(&answer));
        }
        Ok(answer)
    }

    fn device(&self, answer: &Answer) -> Result<Device, Trouble> {
        if let Some(trouble) = &answer.cut {
            return Err(trouble.clone());
        }
        answer::parse(&answer.body).map_err(|error| self.malformed(&format!("no device: {error}")))
    }

    fn malformed(&self, text: &str) -> Trouble {
        Trouble { cause: Cause::Malformed, text: presentable(text, self.account.secret()), retry_after: None }
    }
}

/// The portal has no dots in names of devices.
fn portal_name(name: &str) -> String {
    name.replace('.', "_")
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Selector::Id(id) => write!(f, "device {id}"),
            Selector::Interface { name, .. } => write!(f, "a device with an address of interface {name}"),
            Selector::Address(address) => write!(f, "a device with address {address}"),
            Selector::Name(name) => write!(f, "device {:?}", portal_name(name)),
        }
    }
}
