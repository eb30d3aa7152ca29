//! What the tests share that run the sensor beside other programs: where files are, folders that vanish, waiting,
//! and plain HTTP.

#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

const POLL_INTERVAL: Duration = Duration::from_millis(100);
const POLLS_MAX: u32 = 300;
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);

/// The `sensor` program under test.
pub const SENSOR: &str = env!("CARGO_BIN_EXE_sensor");

/// A file of the monitoring kit.
pub fn kit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// A new folder that every user may look into; it goes with its owner.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn create() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sensor-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
        Folder(path)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a program is installed; says that the test skips if not.
pub fn is_installed(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("skipped: {program} is not installed");
    }
    is_there
}

/// Whether namespaces can be made; says that the test skips if not.
pub fn is_root() -> bool {
    if !netns::is_root() {
        eprintln!("skipped: network namespaces need root");
    }
    netns::is_root()
}

/// Asks again and again for up to half a minute, until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..POLLS_MAX {
        if let Some(answer) = ask() {
            return answer;
        }
        thread::sleep(POLL_INTERVAL);
    }
    panic!("waited in vain: {what}");
}

/// The body of an answer, or `None` if nobody answers.
pub fn http_get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT)).ok()?;
    // The older version of HTTP ends a body by closing the connection: no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
