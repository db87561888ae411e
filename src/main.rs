//! The binary: arguments in, exit code out.

use clap::Parser;
use reftc::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(&cli::args::Cli::parse())
}
