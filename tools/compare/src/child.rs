//! A program that is run to its end, its output read as it comes, within a limit of time.

use anyhow::{Context, bail};
use std::io::{BufReader, Read};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Of what a program complains, this much is kept.
const STDERR_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug)]
pub struct Finished<T> {
    /// What was made of the standard output.
    pub output: T,
    pub status: ExitStatus,
    pub stderr: String,
}

/// Runs the program and gives its standard output to `read`. One that has not closed it within the limit is killed.
pub fn run<T: Send>(
    command: &mut Command,
    limit: Duration,
    read: impl FnOnce(BufReader<ChildStdout>) -> T + Send,
) -> anyhow::Result<Finished<T>> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let mut stderr = child.stderr.take().expect("stderr is a pipe");
    thread::scope(|scope| {
        let (closed, is_closed) = mpsc::channel();
        let reader = scope.spawn(move || {
            let output = read(BufReader::new(stdout));
            // The receiver is gone if the program was killed; then nobody asks.
            let _ = closed.send(());
            output
        });
        let complaints = scope.spawn(move || {
            let mut kept = Vec::new();
            let read = stderr.by_ref().take(STDERR_BYTES_MAX).read_to_end(&mut kept);
            // The rest is drained, so that the program never waits.
            read.and_then(|_| std::io::copy(&mut stderr, &mut std::io::sink())).map(|_| kept)
        });
        let is_late = is_closed.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            child.kill().with_context(|| format!("kill {program}"))?;
        }
        let output = reader.join().expect("the reader of the output panicked");
        let complaints = complaints.join().expect("reading never panics");
        let status = child.wait().with_context(|| format!("wait for {program}"))?;
        if is_late {
            bail!("{program} did not end within {} s", limit.as_secs_f64());
        }
        let complaints = complaints.with_context(|| format!("read the complaints of {program}"))?;
        Ok(Finished { output, status, stderr: String::from_utf8_lossy(&complaints).into_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_complaint_and_status_come_back() {
        let lines = |output: BufReader<ChildStdout>| output.lines().map(Result::unwrap).collect::<Vec<_>>();
        let finished = run(&mut shell("echo one; echo two; echo why >&2; exit 3"), LIMIT, lines).unwrap();
        assert_eq!(finished.output, ["one", "two"]);
        assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(3), "why\n"));
    }

    #[test]
    fn program_beyond_its_time_is_killed() {
        let limit = Duration::from_millis(20);
        let read_all = |mut output: BufReader<ChildStdout>| std::io::copy(&mut output, &mut std::io::sink());
        // `exec`, so that the one that is killed is the one that holds the pipe.
        let error = run(&mut shell("exec cat /dev/zero"), limit, read_all).unwrap_err();
        assert!(error.to_string().contains("did not end within 0.02 s"), "{error}");
    }

    #[test]
    fn program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("/nonexistent/program"), LIMIT, |_| ()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/program"), "{error}");
    }
}
