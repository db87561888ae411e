//! `reftc eval`

use super::args::EvalArgs;
use super::events::Events;
use super::lock;
use super::output::Output;
use super::progress::Progress;
use super::report;
use super::session::{Session, interruptible};
use crate::diag::Result;
use crate::digest;
use crate::execute::experiment::{self, Outcome};
use crate::execute::loaded::Models;
use crate::lock::Drift;
use crate::report::table;
use crate::store::find;
use std::path::Path;
use std::process::ExitCode;

/// Measures a finished run anew.
pub fn eval(arguments: &EvalArgs, session: &Session, output: &Output) -> ExitCode {
    let mut models = match session.models(&arguments.device, Some(&arguments.cache), output) {
        Ok(models) => models,
        Err(code) => return code,
    };
    let mut progress = Progress::new(output);
    let events = Events::new(arguments.format.is_json(), output);
    let mut is_changed = false;
    let outcome = find::run(&arguments.runs, &arguments.run).and_then(|found| {
        let changed = lock::changed_since(&found.path, session, output)?;
        is_changed = !changed.is_empty();
        measure(arguments, &found.path, &changed, &mut models, &events, &mut progress)
    });
    progress.end();
    if let Some(warning) = models.frozen().take_warning() {
        output.findings(&[*warning], &Default::default());
    }
    match outcome {
        Ok(outcome) if outcome.interrupted => {
            output.note(&format!("interrupted {}; the evaluations before it are kept", progress.under_way()));
            ExitCode::from(130)
        }
        Ok(outcome) => {
            report::refresh(&outcome.folder, output);
            let wanted = |name: &str| arguments.eval.as_deref().is_none_or(|eval| eval == name);
            let evals: Vec<_> = outcome.result.evals.iter().filter(|eval| wanted(&eval.name)).cloned().collect();
            if arguments.format.is_json() {
                events.ended(&outcome);
            } else if arguments.json {
                output.data(&format!("{}\n", digest::json(&evals)));
            } else {
                output.data(&table::results(&evals).text(output.style()));
                output.note(&format!("rows: {}", outcome.folder.join("eval").display()));
            }
            if is_changed {
                output.note("what was measured with something that has changed is not recorded");
            }
            ExitCode::SUCCESS
        }
        Err(diagnostic) => {
            events.failed(&diagnostic);
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(3)
        }
    }
}

fn measure(
    arguments: &EvalArgs,
    folder: &Path,
    changed: &[Drift],
    models: &mut Models,
    events: &Events<'_>,
    progress: &mut Progress<'_>,
) -> Result<Outcome> {
    interruptible(|interrupt| {
        let (eval, passes) = (arguments.eval.as_deref(), arguments.passes);
        experiment::measure_again(folder, eval, passes, changed, models, interrupt, &mut |event| {
            events.tell(&event);
            progress.show(&event);
        })
    })
}
