//! Distinct counts: the sketch library beside others, and its errors, which are drawn into its documentation.

use anyhow::Context;

use super::{Figure, parse};
use crate::shell;

/// Where the pictures of the documentation are.
const PICTURES: &str = "engine/hll/pictures";

pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut cargo = shell::cargo()?;
    cargo.args(["run", "--release", "--quiet", "--package", "hll-bench", "--", "--pictures", PICTURES]);
    parse(&shell::read(&mut cargo)?).context("figures of hll-bench")
}
