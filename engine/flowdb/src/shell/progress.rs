//! A line on the terminal that says that a query still runs.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shows its line until it is dropped or the first rows came; nothing if standard error is no terminal.
pub struct Progress {
    end: std::cell::RefCell<Option<(Sender<()>, JoinHandle<()>)>>,
}

const FIRST_AFTER: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    pub fn begin() -> Progress {
        let end = io::stderr().is_terminal().then(|| {
            let (sender, ended) = channel();
            let begin = Instant::now();
            let thread = std::thread::spawn(move || {
                let mut wait = FIRST_AFTER;
                let mut is_shown = false;
                while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    eprint!("\r\x1b[K… {:.1} s", begin.elapsed().as_secs_f64());
                    let _ = io::stderr().flush();
                    (wait, is_shown) = (EVERY, true);
                }
                if is_shown {
                    eprint!("\r\x1b[K");
                }
            });
            (sender, thread)
        });
        Progress { end: end.into() }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some((sender, thread)) = self.end.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
