use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub struct Options {}
pub fn main(_options: &Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
