//! The files of a data directory, by way of an object store.
//!
//! A local store renames a file into place but does not wait for the disk; here a put returns when the file and its name
//! are durable. Names are relative to the store.

use crate::error::Error;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Where slices, manifest and cache live.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// The directory of a local store, for what object stores have no word for.
    root: Option<PathBuf>,
}

impl Files {
    /// A directory, which is created if need be.
    pub fn local(root: PathBuf) -> Result<Files, Error> {
        std::fs::create_dir_all(&root)
            .map_err(|error| Error::Store(format!("{}: {error}", root.display())))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| store("open", "", &error))?;
        Ok(Files { store: Arc::new(store), root: Some(root) })
    }

    /// A store of any other kind, whose puts are durable.
    pub fn remote(store: Arc<dyn ObjectStore>) -> Files {
        Files { store, root: None }
    }

    /// Writes a file as a whole. It is durable afterwards.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), Error> {
        self.put_as(name, content, PutMode::Overwrite).await.map(|_| ())
    }

    /// The same, unless there is a file of this name: `false`.
    pub async fn create(&self, name: &str, content: Bytes) -> Result<bool, Error> {
        self.put_as(name, content, PutMode::Create).await
    }

    async fn put_as(&self, name: &str, content: Bytes, mode: PutMode) -> Result<bool, Error> {
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&Path::from(name), PutPayload::from_bytes(content), options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(store("write", name, &error)),
        }
        self.sync(name).await?;
        Ok(true)
    }

    async fn sync(&self, name: &str) -> Result<(), Error> {
        let Some(root) = &self.root else { return Ok(()) };
        let path = root.join(name);
        let root = root.clone();
        let sync = move || -> io::Result<()> {
            File::open(&path)?.sync_all()?;
            let mut directory = path.as_path();
            while let Some(parent) = directory.parent() {
                File::open(parent)?.sync_all()?;
                if parent == root {
                    break;
                }
                directory = parent;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(sync)
            .await
            .map_err(|_| Error::Closed)?
            .map_err(|error| Error::Store(format!("make {name} durable: {error}")))
    }

    pub async fn read(&self, name: &str) -> Result<Bytes, Error> {
        let got = self.store.get(&Path::from(name)).await.map_err(|error| store("read", name, &error))?;
        got.bytes().await.map_err(|error| store("read", name, &error))
    }

    pub async fn read_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let read = self.store.get_ranges(&Path::from(name), ranges).await;
        read.map_err(|error| store("read", name, &error))
    }

    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let read = self.store.get_range(&Path::from(name), range).await;
        read.map_err(|error| store("read", name, &error))
    }

    /// Bytes of a file; `None` if there is none.
    pub async fn length(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.store.head(&Path::from(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(store("look at", name, &error)),
        }
    }

    /// Names and lengths below a directory.
    pub async fn list(&self, directory: &str) -> Result<Vec<(String, u64)>, Error> {
        let prefix = Path::from(directory);
        let list = self.store.list(Some(&prefix)).map_ok(|meta| (meta.location.to_string(), meta.size));
        list.try_collect().await.map_err(|error| store("list", directory, &error))
    }

    /// Removes a file; it is no error if there is none.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store("remove", name, &error)),
        }
    }

    /// Moves a file out of the way, for people to look at.
    pub async fn quarantine(&self, name: &str) -> Result<(), Error> {
        let aside = format!("quarantine/{}", name.replace('/', "_"));
        let moved = self.store.rename(&Path::from(name), &Path::from(aside)).await;
        moved.map_err(|error| store("set aside", name, &error))
    }
}

fn store(what: &str, name: &str, error: &object_store::Error) -> Error {
    Error::Store(format!("{what} {name}: {error}"))
}
