//! Ends a system call of the calling thread after a while: a timer signals the thread, and the signal does
//! nothing but interrupt. No other thread is disturbed.

#![expect(unsafe_code, reason = "POSIX timers and signal handlers have no safe interface in std")]

use std::io;
use std::ptr::null_mut;
use std::time::Duration;

/// Interrupts its thread at the deadline and every few milliseconds from then on, until it is dropped: a signal
/// that comes just before the call would otherwise be lost.
#[derive(Debug)]
pub struct Alarm {
    timer: libc::timer_t,
}

impl Alarm {
    /// For the calling thread. The handler of the signal, `SIGRTMIN`, stays installed.
    pub fn after(delay: Duration) -> io::Result<Alarm> {
        install_handler()?;
        let alarm = Alarm { timer: create_timer()? };
        let setting =
            libc::itimerspec { it_interval: timespec(REPEAT), it_value: timespec(delay.max(REPEAT)) };
        // SAFETY: the timer was created above and `setting` outlives the call.
        if unsafe { libc::timer_settime(alarm.timer, 0, &raw const setting, null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(alarm)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer is ours and is not used again.
        unsafe { libc::timer_delete(self.timer) };
    }
}

fn install_handler() -> io::Result<()> {
    // SAFETY: all zeros is a valid sigaction: empty mask, no flags. Without SA_RESTART calls are interrupted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as *const () as libc::sighandler_t;
    // SAFETY: `action` outlives the call and its handler touches nothing.
    if unsafe { libc::sigaction(libc::SIGRTMIN(), &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "C" fn ignore(_signal: libc::c_int) {}

fn create_timer() -> io::Result<libc::timer_t> {
    // SAFETY: all zeros is a valid sigevent.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = libc::SIGRTMIN();
    // SAFETY: the call has no arguments.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let mut timer = null_mut();
    // SAFETY: both structures outlive the call.
    if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(timer)
}

fn timespec(duration: Duration) -> libc::timespec {
    let seconds = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    libc::timespec { tv_sec: seconds, tv_nsec: libc::c_long::from(duration.subsec_nanos() as i32) }
}

const REPEAT: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_blocking_call_ends_at_the_alarm() {
        let begun = Instant::now();
        let _alarm = Alarm::after(Duration::from_millis(50)).expect("timers are there on every Linux");
        // SAFETY: no descriptors are passed.
        let result = unsafe { libc::poll(null_mut(), 0, 10_000) };
        assert_eq!(result, -1);
        assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
