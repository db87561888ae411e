//! `reftc resume`

use super::args::ResumeArgs;
use super::events::Events;
use super::lock;
use super::output::Output;
use super::progress::Progress;
use super::report;
use super::session::{Session, interruptible};
use crate::digest;
use crate::execute::experiment;
use crate::report::table;
use crate::store::find;
use std::process::ExitCode;

/// Goes on with an unfinished run, as the plan in its folder says.
pub fn resume(arguments: &ResumeArgs, session: &Session, output: &Output) -> ExitCode {
    let found = match find::run(&arguments.runs, &arguments.run) {
        Ok(found) => found,
        Err(diagnostic) => {
            output.failure(&diagnostic, &Default::default());
            return ExitCode::from(3);
        }
    };
    let mut models = match session.models(&arguments.device, Some(&arguments.cache), output) {
        Ok(models) => models,
        Err(code) => return code,
    };
    output.note(&found.name());
    let events = Events::new(arguments.format.is_json(), output);
    let mut progress = Progress::new(output);
    let outcome = interruptible(|interrupt| {
        lock::unchanged(&found.path, session)?;
        experiment::resume(&found.path, &mut models, interrupt, &mut |event| {
            events.tell(&event);
            progress.show(&event);
        })
    });
    progress.end();
    if let Some(warning) = models.frozen().take_warning() {
        output.findings(&[*warning], &Default::default());
    }
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(diagnostic) => {
            events.failed(&diagnostic);
            output.failure(&diagnostic, &Default::default());
            return ExitCode::from(3);
        }
    };
    report::refresh(&outcome.folder, output);
    events.ended(&outcome);
    if outcome.interrupted {
        let name = found.name();
        output.note(&format!("interrupted {}; `reftc resume {name}` goes on from there", progress.under_way()));
        return ExitCode::from(130);
    }
    if outcome.up_to_date {
        output.note("every stage was finished before");
    }
    if arguments.json {
        output.data(&format!("{}\n", digest::json(&outcome.result)));
    } else if !arguments.format.is_json() {
        output.data(&table::results(&outcome.result.evals).text(output.style()));
    }
    output.note(&format!("run folder: {}", outcome.folder.display()));
    ExitCode::SUCCESS
}
