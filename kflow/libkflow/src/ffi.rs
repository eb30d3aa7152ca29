//! The functions of `include/kflow.h`, which documents them.
//!
//! No panic leaves a body, and each one that fails leaves a text behind.

#![expect(unsafe_code, reason = "C passes pointers, and finds functions by name")]

use std::any::Any;
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::PoisonError;
use std::time::Duration;

use crate::abi;
use crate::copy;
use crate::dns;
use crate::failure::{Code, Failure};
use crate::give;
use crate::instance::Instance;
use crate::notices;
use crate::process::Process;
use crate::settings::Settings;

/// Runs the body of a function. No panic leaves it, as unwinding into C is undefined.
fn fenced(if_panicked: Code, body: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(Failure::new(if_panicked, describe(panic.as_ref()))));
    let Err(failure) = result else { return 0 };
    if let Some(text) = failure.text {
        let _ = catch_unwind(AssertUnwindSafe(|| Process::own().errors.push(&text)));
    }
    failure.code.number()
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("a bug in libkflow: {}", text.unwrap_or("no words for it"))
}

/// Runs the body with the sender of this process.
fn with_instance(body: impl FnOnce(&Instance) -> Result<(), Failure>) -> c_int {
    fenced(Code::Send, || {
        let process = Process::existing().ok_or_else(Failure::no_init)?;
        let instance = process.instance.read().unwrap_or_else(PoisonError::into_inner);
        body(instance.as_ref().ok_or_else(Failure::no_init)?)
    })
}

fn is_null(what: &str) -> Failure {
    Failure::new(Code::Send, format!("{what} is null"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn kflowInit(config: *const abi::Config, device: *mut abi::Device) -> c_int {
    fenced(Code::Config, || {
        let process = Process::own();
        let _one_at_a_time = process.init.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the header says that `config` is null or points to one.
        let config = unsafe { copy::shared(config) }
            .ok_or_else(|| Failure::config("the config of kflowInit is null"))?;
        process.errors.set_verbose(config.verbose > 0);
        // SAFETY: the header says that its texts are null or strings.
        let given = unsafe { copy::config(config) }?;
        if let Some(token) = &given.api_token {
            process.errors.keep_out(token);
        }
        let settings = Settings::check(given)?;
        notices::listen();
        let instance = Instance::start(&settings, &process.errors)?;
        let told = if device.is_null() { None } else { Some(instance.tell_device()?) };
        instance.replace(&process.instance, &process.errors);
        if let Some(told) = told {
            // SAFETY: it is not null, and the header says that it can be written to then.
            unsafe { told.hand_over(device) };
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn kflowSend(flow: *const abi::Flow) -> c_int {
    with_instance(|instance| {
        // SAFETY: the header says that `flow` is null or points to one.
        let flow = unsafe { copy::shared(flow) }.ok_or_else(|| is_null("the flow of kflowSend"))?;
        // SAFETY: the header says that its addresses are null or have 16 bytes, and that so many customs are there.
        instance.send(unsafe { copy::flow(flow, instance.columns()) }?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn kflowStop(milliseconds: c_int) -> c_int {
    fenced(Code::Timeout, || {
        let process = Process::existing().ok_or_else(Failure::no_init)?;
        let taken = process.instance.write().unwrap_or_else(PoisonError::into_inner).take();
        let timeout = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
        taken.ok_or_else(Failure::no_init)?.stop(timeout)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn kflowError() -> *mut c_char {
    let fetch = || {
        Process::existing()?.errors.fetch(|text| {
            let text = give::text(text);
            (!text.is_null()).then_some(text)
        })
    };
    catch_unwind(fetch).ok().flatten().unwrap_or(ptr::null_mut())
}

#[unsafe(no_mangle)]
pub extern "C" fn kflowVersion() -> *mut c_char {
    give::text(env!("CARGO_PKG_VERSION"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn kflowSendDNS(
    query: abi::DomainQuery,
    answers: *const abi::DomainAnswer,
    count: usize,
) -> c_int {
    with_instance(|instance| {
        // SAFETY: the header says that slices are null or as long as they say.
        let question = unsafe { copy::question(&query) }.ok_or_else(|| is_null("a slice of the query"))?;
        // SAFETY: the header says that so many answers are there, with such slices.
        let answers =
            unsafe { copy::answers(answers, count) }.ok_or_else(|| is_null("a slice of the answers"))?;
        let entry = dns::encode(&question, &answers)
            .ok_or_else(|| Failure::new(Code::Send, "the DNS answer is larger than all that may wait"))?;
        instance.send_dns(entry)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn kflowSendEncodedDNS(bytes: *const u8, length: usize) -> c_int {
    with_instance(|instance| {
        // SAFETY: the header says that so many bytes are there.
        let bytes = unsafe { copy::many(bytes, length) }.ok_or_else(|| is_null("the encoded DNS answer"))?;
        instance.send_dns(bytes.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_number_and_a_text() {
        assert_eq!(fenced(Code::Send, || panic!("it {} work", "did not")), Code::Send.number());
        let text = Process::own().errors.fetch(|text| Some(text.to_owned()));
        assert_eq!(text.as_deref(), Some("a bug in libkflow: it did not work"));
    }
}
