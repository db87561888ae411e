//! `reftc runs`

mod gc;
mod list;
mod show;

use super::args::{RunsArgs, RunsCommand};
use super::output::Output;
use crate::world::World;
use std::process::ExitCode;

/// Lists runs, or does with them what is asked.
pub fn runs(arguments: &RunsArgs, world: &dyn World, output: &Output) -> ExitCode {
    match &arguments.command {
        None => list::list(&arguments.list, output),
        Some(RunsCommand::Gc(arguments)) => gc::gc(arguments, world, output),
        Some(RunsCommand::Show(arguments)) => show::show(arguments, output),
    }
}
