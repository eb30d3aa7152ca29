//! The device that flows are said to come from: what the portal knows of it, and how that is kept up to date.
//!
//! 1. [`DeviceApi`] looks it up by number, address or name, and creates it where it may ([`api`]).
//! 2. [`DeviceWatch`] says when to look again and what has changed since ([`watch`]); it neither reads a clock nor
//!    asks anybody.
//! 3. [`remember`] and [`recall`] keep the last good answer in a file, for a start without the API ([`file`]).
//!
//! A device that the configuration names whole needs none of the three: [`DeviceWatch::fixed`].
//!
//! Not here: the call that names a device's interfaces (`PUT …/tags/snmp`), without which flows carry their numbers
//! alone.

mod answer;
pub mod api;
pub mod file;
pub mod watch;

pub use api::{Creation, DeviceApi, Selector};
pub use file::{recall, remember};
pub use watch::{Changes, DeviceStanding, DeviceWatch};

use crate::client::Identity;
use serde::{Deserialize, Serialize};

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub id: u32,
    pub company_id: u64,
    pub name: String,
    /// One packet or flow in this many is looked at; at least 1.
    pub sample_rate: u32,
    /// Records a second that the plan allows, if it says so.
    pub flow_rate_max: Option<u32>,
    /// Custom columns, in the order of the API.
    pub columns: Vec<Column>,
}

/// A custom column of a device: the number that stands for a name in messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub id: u32,
    pub name: String,
    /// As the API says it: `string`, `uint32`, `uint64`, `addr` …
    pub kind: String,
}

impl Device {
    /// What a request has to say of it.
    pub fn identity(&self) -> Identity {
        Identity { company_id: self.company_id, device_name: self.name.clone(), device_id: self.id }
    }
}
