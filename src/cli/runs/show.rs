//! `reftc runs show`: all about one run.

use crate::cli::args::ShowArgs;
use crate::cli::output::Output;
use crate::digest;
use crate::runs::record::Record;
use crate::runs::show::Shown;
use crate::store::find;
use std::process::ExitCode;

/// Prints what is known of a run; 2 where there is no such run.
pub fn show(arguments: &ShowArgs, output: &Output) -> ExitCode {
    let record = match find::run(&arguments.runs, &arguments.run) {
        Ok(run) => Record::read(run),
        Err(diagnostic) => {
            output.failure(&diagnostic, &Default::default());
            return ExitCode::from(2);
        }
    };
    let shown = Shown::of(&record, &arguments.runs);
    if arguments.json {
        output.data(&format!("{}\n", digest::json(&shown.json())));
    } else {
        output.data(&shown.text(output.style()));
    }
    ExitCode::SUCCESS
}
