//! The device as it was known last, in a small JSON file, for a start while the API is away.
//!
//! The file is replaced whole or not at all: written beside, flushed to the disk, renamed, and the folder flushed.

use super::Device;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    version: u32,
    /// What the device was looked up by, and where.
    key: String,
    device: Device,
}

/// Keeps what is known of the device. `key` says what it was looked up by: another configuration, which has another
/// key, does not get it.
///
/// # Errors
/// The operating system refuses. The file from before is still there then.
pub fn remember(path: &Path, key: &str, device: &Device) -> Result<(), Error> {
    let remembered = Remembered { version: VERSION, key: key.to_owned(), device: device.clone() };
    let mut bytes = serde_json::to_vec_pretty(&remembered)
        .map_err(|error| Error::Device { what: format!("{}: {error}", path.display()) })?;
    bytes.push(b'\n');
    replace(path, &bytes).map_err(|source| Error::io(format!("write {}", path.display()), source))
}

/// What was remembered under this key; nothing if there is no file, or one of another key or version.
///
/// # Errors
/// The file cannot be read or is damaged. Looking the device up makes a new one.
pub fn recall(path: &Path, key: &str) -> Result<Option<Device>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io(format!("read {}", path.display()), source)),
    }
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |error: serde_json::Error| Error::Device { what: format!("{}: {error}", path.display()) };
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        return Ok(None);
    }
    let remembered: Remembered = serde_json::from_slice(&bytes).map_err(damaged)?;
    Ok((remembered.key == key).then_some(remembered.device))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).open(&beside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if let Err(error) = replaced {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    File::open(folder(path))?.sync_all()
}

/// A name in the same folder that only this file uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Column;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("kflow-device-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn device(id: u32) -> Device {
        let column = Column { id: 6498, name: "INET_00".into(), kind: "addr".into() };
        Device {
            id,
            company_id: 7,
            name: "größe".into(),
            sample_rate: 16,
            flow_rate_max: None,
            columns: vec![column],
        }
    }

    #[test]
    fn a_device_is_recalled_as_it_was_remembered() {
        let folder = Folder::new("same");
        let path = folder.0.join("device.json");
        assert_eq!(recall(&path, "key").unwrap(), None);
        for id in [1, 2] {
            remember(&path, "key", &device(id)).unwrap();
            assert_eq!(recall(&path, "key").unwrap(), Some(device(id)));
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn another_configuration_does_not_get_it() {
        let folder = Folder::new("key");
        let path = folder.0.join("device.json");
        remember(&path, "https://a device 1", &device(1)).unwrap();
        assert_eq!(recall(&path, "https://a device 2").unwrap(), None);
    }

    #[test]
    fn another_version_is_as_good_as_none_and_damage_is_told() {
        let folder = Folder::new("damage");
        let path = folder.0.join("device.json");
        fs::write(&path, r#"{"version":2,"anything":[]}"#).unwrap();
        assert_eq!(recall(&path, "key").unwrap(), None);
        for text in
            ["", "{", r#"{"version":1,"key":"key"}"#, r#"{"version":1,"key":"key","device":{"id":-1}}"#]
        {
            fs::write(&path, text).unwrap();
            assert!(matches!(recall(&path, "key"), Err(Error::Device { .. })), "{text}");
        }
        remember(&path, "key", &device(1)).unwrap();
        assert_eq!(recall(&path, "key").unwrap(), Some(device(1)));
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_from_before() {
        let folder = Folder::new("fails");
        let path = folder.0.join("device.json");
        remember(&path, "key", &device(1)).unwrap();
        // A folder is where the new file would have to be.
        fs::create_dir(folder.0.join("device.json.new")).unwrap();
        assert!(matches!(remember(&path, "key", &device(2)), Err(Error::Io { .. })));
        assert_eq!(recall(&path, "key").unwrap(), Some(device(1)));
    }
}
