//! The devices that rows come from: a small register on disk, which the device API reads and adds to.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// Number of a device, as senders put it into their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub u32);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    /// What the table is called, once made fit for SQL.
    pub name: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub site: String,
    #[serde(default)]
    pub description: String,
    /// Addresses that it sends from.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// One in so many; 1 is all.
    pub sample_rate: u32,
    /// Records a second that it may send; 0 is as many as it likes.
    #[serde(default)]
    pub flow_rate_max: u32,
}

/// What a device is created of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewDevice {
    pub name: String,
    pub kind: String,
    pub site: String,
    pub description: String,
    pub addresses: Vec<IpAddr>,
    /// 0 counts as 1.
    pub sample_rate: u32,
}

/// The register. Cheap to read; written as a whole, durably, when a device comes.
#[derive(Debug)]
pub struct Devices {
    path: PathBuf,
    devices: RwLock<BTreeMap<DeviceId, Arc<Device>>>,
}

const FIRST_ID: u32 = 1001;

impl Devices {
    /// Reads the register of a data directory; there need not be one yet.
    pub fn open(data: &Path) -> Result<Devices, Error> {
        let path = data.join("devices.json");
        let devices = match fs::read(&path) {
            Ok(bytes) => {
                let list: Vec<Device> = serde_json::from_slice(&bytes)
                    .map_err(|error| Error::Store(format!("{}: {error}", path.display())))?;
                list.into_iter().map(|device| (device.id, Arc::new(device))).collect()
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Error::Store(format!("{}: {error}", path.display()))),
        };
        Ok(Devices { path, devices: RwLock::new(devices) })
    }

    pub fn list(&self) -> Vec<Arc<Device>> {
        self.devices.read().expect("nothing panics while it is held").values().cloned().collect()
    }

    pub fn by_id(&self, id: DeviceId) -> Option<Arc<Device>> {
        self.devices.read().expect("nothing panics while it is held").get(&id).cloned()
    }

    /// By its name, or by what its table is called.
    pub fn by_name(&self, name: &str) -> Option<Arc<Device>> {
        let devices = self.devices.read().expect("nothing panics while it is held");
        let exact = devices.values().find(|device| device.name == name);
        exact.or_else(|| devices.values().find(|device| device.table_name() == name)).cloned()
    }

    pub fn by_address(&self, address: IpAddr) -> Option<Arc<Device>> {
        let devices = self.devices.read().expect("nothing panics while it is held");
        devices.values().find(|device| device.addresses.contains(&address)).cloned()
    }

    /// Adds a device, durably, or returns the one of this name.
    pub fn create(&self, new: NewDevice) -> Result<Arc<Device>, Error> {
        if new.name.is_empty() || new.name.len() > 255 {
            return Err(Error::Config("a device's name has 1 to 255 bytes".to_owned()));
        }
        let mut devices = self.devices.write().expect("nothing panics while it is held");
        if let Some(device) = devices.values().find(|device| device.name == new.name) {
            return Ok(Arc::clone(device));
        }
        let id = DeviceId(devices.keys().next_back().map_or(FIRST_ID, |last| last.0 + 1));
        let NewDevice { name, kind, site, description, addresses, sample_rate } = new;
        let sample_rate = sample_rate.max(1);
        let device =
            Arc::new(Device { id, name, kind, site, description, addresses, sample_rate, flow_rate_max: 0 });
        let mut next = devices.clone();
        next.insert(id, Arc::clone(&device));
        self.write(&next)?;
        *devices = next;
        Ok(device)
    }

    fn write(&self, devices: &BTreeMap<DeviceId, Arc<Device>>) -> Result<(), Error> {
        let list: Vec<&Device> = devices.values().map(Arc::as_ref).collect();
        let text = serde_json::to_vec_pretty(&list).expect("devices are plain data");
        let write = || -> std::io::Result<()> {
            let new = self.path.with_extension("json.new");
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            File::open(self.path.parent().expect("it was joined"))?.sync_all()
        };
        write().map_err(|error| Error::Store(format!("{}: {error}", self.path.display())))
    }
}

impl Device {
    /// Its name in SQL: lower case, everything but letters, digits and underscores an underscore.
    pub fn table_name(&self) -> String {
        let fit =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        self.name.chars().map(fit).collect()
    }
}
