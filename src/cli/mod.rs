//! The command line: one file for each command, and the only code that prints.

pub mod args;
mod check;
mod compare;
mod completions;
pub mod describe;
mod diff;
mod doctor;
mod eval;
mod events;
mod examples;
mod explain;
mod fix;
mod fmt;
mod generate;
mod init;
mod lock;
mod lsp;
mod origins;
mod output;
mod plan;
mod progress;
pub mod projects;
mod report;
mod resume;
mod run;
mod runs;
pub mod schema;
mod session;
mod watch;

use crate::guard;
use crate::model::hub::{self, HubSettings};
use crate::model::located::Locator;
use crate::store::cache::Cache;
use crate::world::RealWorld;
use args::{Cli, Command, RunArgs};
use output::Output;
use progress::Download;
use session::Session;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Runs a command and gives the exit code of the process.
pub fn run(cli: &Cli) -> ExitCode {
    guard::keep_quiet();
    let output = Output::new(cli);
    let mut hub = HubSettings::from_env();
    hub.offline |= cli.offline;
    let locator = Locator::new(hub, Cache::from_env());
    let download = Mutex::new(Download::new(output));
    let tell = move |progress: hub::Progress<'_>| {
        download.lock().unwrap_or_else(PoisonError::into_inner).show(progress);
    };
    let session = Session { world: RealWorld::new(locator.clone()).telling(tell), locator };
    match &cli.command {
        Command::Check(arguments) => check::check(arguments, &session, &output),
        Command::Fmt(arguments) => fmt::fmt(arguments, &session.world, &output),
        Command::Plan(arguments) => plan::plan(arguments, &session, &output),
        Command::Diff(arguments) => diff::diff(arguments, &session, &output),
        Command::Lock(arguments) => lock::lock(arguments, &session, &output),
        Command::Run(arguments) => run::run(arguments, &session, &output),
        Command::Watch(arguments) => run::run(&RunArgs { watch: true, ..arguments.clone() }, &session, &output),
        Command::Resume(arguments) => resume::resume(arguments, &session, &output),
        Command::Eval(arguments) => eval::eval(arguments, &session, &output),
        Command::Report(arguments) => report::report(arguments, &output),
        Command::Generate(arguments) => generate::generate(arguments, &session, &output),
        Command::Compare(arguments) => compare::compare(arguments, &output),
        Command::Runs(arguments) => runs::runs(arguments, &session.world, &output),
        Command::Init(arguments) => init::init(arguments, &output),
        Command::Examples(arguments) => examples::examples(arguments, &output),
        Command::Explain(arguments) => explain::explain(arguments, &output),
        Command::Describe(arguments) => describe::describe(arguments, &output),
        Command::Schema(_) => schema::schema(&output),
        Command::Doctor(arguments) => doctor::doctor(arguments, &session, &output),
        Command::Completions(arguments) => completions::completions(arguments, &output),
        Command::Lsp(_) => lsp::lsp(session.world, &output),
    }
}
