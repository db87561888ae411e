//! `reftc completions`

use super::args::{Cli, CompletionsArgs};
use super::output::Output;
use clap::CommandFactory;
use std::process::ExitCode;

/// Prints the completion script of a shell.
pub fn completions(arguments: &CompletionsArgs, output: &Output) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "reftc", &mut script);
    output.data(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
