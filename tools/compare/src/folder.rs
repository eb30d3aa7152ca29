//! A folder for files of one run, removed on drop.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn create() -> io::Result<Folder> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("wireflow-compare-{}-{number}", process::id()));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it; what is left in the folder for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
