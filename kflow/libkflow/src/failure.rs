//! Why a call failed, as the number it returns and the text that `kflowError` gives for it.

use std::ffi::c_int;

/// The EKFLOW numbers of the header; none is ever used for something else.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Config = 1,
    NoInit = 2,
    NoMemory = 3,
    Timeout = 4,
    Send = 5,
    NoCustom = 6,
    Auth = 7,
    NoDevice = 8,
}

impl Code {
    pub fn number(self) -> c_int {
        self as c_int
    }
}

/// A failure without a text is one that programs meet on purpose, such as a call before `kflowInit`.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub text: Option<String>,
}

impl Failure {
    pub fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure { code, text: Some(text.into()) }
    }

    pub fn config(text: impl Into<String>) -> Failure {
        Failure::new(Code::Config, text)
    }

    /// There is no sender in this process.
    pub fn no_init() -> Failure {
        Failure { code: Code::NoInit, text: None }
    }
}
