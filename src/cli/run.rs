//! `reftc run`

use super::args::RunArgs;
use super::events::Events;
use super::lock;
use super::output::Output;
use super::plan::select;
use super::progress::{Download, Progress};
use super::report::Extras;
use super::session::{Session, interruptible};
use super::watch::watch;
use crate::compile::{Compiled, compile, expectations};
use crate::diag::{Code, Diagnostic};
use crate::digest;
use crate::execute::event::Event;
use crate::execute::experiment::{self, Outcome, Run};
use crate::execute::loaded::Models;
use crate::plan::passes::Passes;
use crate::plan::{Experiment, Plan, PointValue};
use crate::report::shell::quoted;
use crate::report::{sweep, table, units};
use crate::store::frozen::Budget;
use crate::store::result::RunResult;
use crate::store::run_folder::WhenLocked;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Trains and evaluates what a spec says.
pub fn run(arguments: &RunArgs, session: &Session, output: &Output) -> ExitCode {
    let mut models = match session.models(&arguments.device, Some(&arguments.cache), output) {
        Ok(models) => models,
        Err(code) => return code,
    };
    if arguments.is_watching() {
        return watch(arguments, session, &mut models, output);
    }
    match ready(arguments, session, &mut models, output) {
        Ok(ready) => all(&ready, arguments, &mut models, &|| false, output),
        Err(code) => code,
    }
}

/// A spec without errors, and what of it is to run.
pub struct Ready {
    pub compiled: Compiled,
    pub plan: Plan,
}

/// What `--json` prints for one experiment.
#[derive(Serialize)]
struct Report<'a> {
    experiment: &'a str,
    /// The values of its sweep.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    point: &'a [PointValue],
    folder: &'a Path,
    result: &'a RunResult,
}

/// Compiles the spec and fetches what it needs; findings are shown.
pub fn ready(arguments: &RunArgs, session: &Session, models: &mut Models, output: &Output) -> Result<Ready, ExitCode> {
    let compiled = compile(&arguments.spec, &arguments.settings, &session.world);
    let plan = select(&compiled, arguments.experiment.as_deref(), arguments.means.means(), output)?;
    if !plan.experiments.iter().any(|experiment| experiment.hashes.provisional) {
        lock::keep(arguments, &compiled, session, output)?;
        return Ok(Ready { compiled, plan });
    }
    if arguments.locked {
        lock::refuse_drift(&arguments.spec, &compiled, session, output)?;
    }
    // The weights are fetched first: the hash that names the run's folder is over their content.
    let mut download = Download::new(*output);
    for experiment in &plan.experiments {
        let fetched = models.fetch(&experiment.model.source, &mut |progress| download.show(progress));
        download.end();
        if let Err(diagnostic) = fetched {
            output.failure(&at_its_line(*diagnostic, &compiled, &experiment.name), &compiled.sources);
            return Err(ExitCode::from(3));
        }
    }
    let shown = compiled.diagnostics;
    let mut compiled = compile(&arguments.spec, &arguments.settings, &session.world);
    compiled.diagnostics.retain(|diagnostic| !shown.contains(diagnostic));
    let plan = select(&compiled, arguments.experiment.as_deref(), arguments.means.means(), output)?;
    lock::keep(arguments, &compiled, session, output)?;
    Ok(Ready { compiled, plan })
}

/// Runs every experiment, until one is interrupted or `is_left` for another spec.
pub fn all(
    ready: &Ready,
    arguments: &RunArgs,
    models: &mut Models,
    is_left: &dyn Fn() -> bool,
    output: &Output,
) -> ExitCode {
    let Ready { compiled, plan } = ready;
    let library = compiled.library();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    for (number, experiment) in plan.experiments.iter().enumerate() {
        if is_left() {
            return ExitCode::SUCCESS;
        }
        let events = arguments.events(output).about(experiment);
        output.note(&heading(experiment));
        events.started(experiment);
        let mut progress = Progress::new(output);
        let mut extras = Extras::new(arguments, experiment);
        let outcome = interruptible(|interrupt| {
            experiment::run(Run {
                experiment,
                path: &arguments.spec,
                spec: compiled.text(),
                library: &library,
                runs: &arguments.runs,
                force: arguments.force,
                when_locked: if arguments.wait { WhenLocked::Wait } else { WhenLocked::Refuse },
                models,
                interrupt,
                emit: &mut |event| {
                    events.tell(&event);
                    progress.show(&event);
                    extras.take(&event);
                },
            })
        });
        progress.end();
        if let Some(warning) = models.frozen().take_warning() {
            output.findings(&[*warning], &compiled.sources);
        }
        match outcome {
            Ok(outcome) => {
                let next = plan.experiments.get(number + 1);
                let pages = extras.end(&outcome, next.is_none_or(|next| next.name != experiment.name), output);
                pages.into_iter().for_each(|path| events.tell(&Event::Artefact { path }));
                events.ended(&outcome);
                show(&outcome, experiment, arguments, output);
                if outcome.interrupted && is_left() {
                    output.note(&format!("left {}, to go on if the spec is put back", progress.under_way()));
                    return ExitCode::SUCCESS;
                }
                if outcome.interrupted {
                    let again = again(arguments);
                    output.note(&format!("interrupted {}; `{again}` goes on from there", progress.under_way()));
                    return ExitCode::from(130);
                }
                outcomes.push(Some(outcome));
            }
            Err(diagnostic) => {
                let diagnostic = at_its_line(*diagnostic, compiled, &experiment.name);
                events.failed(&diagnostic);
                output.failure(&diagnostic, &compiled.sources);
                if arguments.fail_fast || experiment.point.is_empty() {
                    return ExitCode::from(3);
                }
                outcomes.push(None);
            }
        }
        show_sweep(plan, number, &outcomes, arguments, output);
    }
    if arguments.json {
        output.data(&format!("{}\n", reports(plan, &outcomes)));
    }
    if outcomes.iter().any(Option::is_none) {
        return ExitCode::from(3);
    }
    // The plan may be of one experiment alone.
    let planned = |name: &str| plan.experiments.iter().any(|experiment| experiment.name == name);
    let checked = compiled.spec.experiments.iter().filter(|checked| planned(&checked.name));
    let results: Vec<_> = checked.zip(outcomes.iter().flatten().map(|outcome| &outcome.result)).collect();
    let judged = expectations::judged(&results, &compiled.spec.sweeps);
    if !judged.is_empty() && !arguments.is_for_programs() {
        output.data(&expectations::table(&judged).text(output.style()));
    }
    if judged.iter().all(|judged| judged.held) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

impl RunArgs {
    /// Where what happens is written as lines of JSON, if it is.
    pub fn events<'a>(&self, output: &'a Output) -> Events<'a> {
        Events::new(self.format.is_json(), output)
    }

    /// Whether stdout is read by programs.
    fn is_for_programs(&self) -> bool {
        self.json || self.format.is_json()
    }
}

/// `name  [train.lr = 1e-3]  (4 112 parameters, 0.456 % of the model)`
fn heading(experiment: &Experiment) -> String {
    let point = match experiment.point.as_slice() {
        [] => String::new(),
        point => format!("[{}]  ", sweep::label(point)),
    };
    format!(
        "{}  {point}({} parameters, {} of the model)",
        experiment.name,
        units::count(experiment.parameters.interventions),
        units::small_percent(experiment.parameters.share)
    )
}

/// After the last point of a sweep, the table of all.
fn show_sweep(plan: &Plan, number: usize, outcomes: &[Option<Outcome>], arguments: &RunArgs, output: &Output) {
    let Some(experiment) = plan.experiments.get(number) else { return };
    let last = plan.experiments.get(number + 1).is_none_or(|next| next.name != experiment.name);
    let Some(swept) = plan.sweeps.iter().find(|sweep| last && sweep.experiment == experiment.name) else { return };
    let points = plan.experiments.iter().zip(outcomes).filter(|(point, _)| point.name == experiment.name);
    let points: Vec<_> = points
        .map(|(point, outcome)| (point.point.as_slice(), outcome.as_ref().map(|outcome| &outcome.result)))
        .collect();
    if arguments.is_for_programs() {
        return;
    }
    output.data(&sweep::results(swept, &points).text(output.style()));
    if let Some(select) = &swept.select {
        let extreme = if select.highest { "highest" } else { "lowest" };
        let metric = select.metric.name();
        output.note(&format!("* the {extreme} mean of eval.{}.{metric} over seeds", select.eval));
    }
}

/// The command that goes on with an interrupted run.
fn again(arguments: &RunArgs) -> String {
    let mut command = format!("reftc run {}", quoted(&arguments.spec.to_string_lossy()));
    if let Some(name) = &arguments.experiment {
        command.push_str(&format!(" --experiment {}", quoted(name)));
    }
    for setting in &arguments.settings {
        command.push_str(&format!(" --set {}", quoted(setting)));
    }
    if arguments.locked {
        command.push_str(" --locked");
    }
    if arguments.means.passes != Passes::ALL {
        command.push_str(&format!(" --passes {}", arguments.means.passes));
    }
    if let Some(bytes) = arguments.means.memory_budget {
        command.push_str(&format!(" --memory-budget {bytes}"));
    }
    if arguments.runs != Path::new("runs") {
        command.push_str(&format!(" --runs {}", quoted(&arguments.runs.to_string_lossy())));
    }
    if arguments.device.device != "auto" {
        command.push_str(&format!(" --device {}", quoted(&arguments.device.device)));
    }
    if let Some(folder) = &arguments.cache.cache_dir {
        command.push_str(&format!(" --cache-dir {}", quoted(&folder.to_string_lossy())));
    }
    if let Budget::Bytes(bytes) = arguments.cache.cache_budget {
        command.push_str(&format!(" --cache-budget {bytes}"));
    }
    command
}

fn reports(plan: &Plan, outcomes: &[Option<Outcome>]) -> String {
    let reports = plan.experiments.iter().zip(outcomes).filter_map(|(experiment, outcome)| {
        let Outcome { folder, result, .. } = outcome.as_ref()?;
        Some(Report { experiment: &experiment.name, point: &experiment.point, folder, result })
    });
    digest::json(&reports.collect::<Vec<_>>())
}

fn show(outcome: &Outcome, experiment: &Experiment, arguments: &RunArgs, output: &Output) {
    if outcome.up_to_date {
        output.note("up to date: every stage was finished before (`--force` runs them again)");
    }
    let alone = experiment.point.is_empty();
    if alone && !arguments.is_for_programs() && !outcome.result.evals.is_empty() && !outcome.interrupted {
        output.data(&table::results(&outcome.result.evals).text(output.style()));
    }
    output.note(&format!("run folder: {}", outcome.folder.display()));
}

/// A failure of the run points at the block of the spec that it comes from.
fn at_its_line(diagnostic: Diagnostic, compiled: &Compiled, name: &str) -> Diagnostic {
    let Some(experiment) = compiled.spec.experiments.iter().find(|experiment| experiment.name == name) else {
        return diagnostic;
    };
    match diagnostic.code {
        Code::LossNotFinite | Code::EngineFailed => {
            diagnostic.primary(experiment.train.span, "trained as this block says")
        }
        Code::RunUnwritable | Code::RunLocked | Code::DeviceUnavailable => diagnostic,
        _ => diagnostic.primary(experiment.span, "in this experiment"),
    }
}
