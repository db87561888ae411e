//! One experiment from its plan to its run folder: train, evaluate, record; finished stages are not run again.

use super::event::Event;
use super::loaded::Models;
use super::stages::Stages;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::intervention::save;
use crate::intervention::units::Interventions;
use crate::lock::{Drift, Inputs, Kind, Library, Lock};
use crate::model::config::ModelSource;
use crate::model::device;
use crate::plan::Experiment;
use crate::plan::passes::Passes;
use crate::store::result::{RunResult, Timings};
use crate::store::run_folder::{self, RunFolder, WhenLocked};
use crate::store::stages::History;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What to run, where, and how to be told about it.
pub struct Run<'a> {
    pub experiment: &'a Experiment,
    /// The spec's file, and its text, which the run folder keeps.
    pub path: &'a Path,
    pub spec: &'a str,
    /// The library files that it uses.
    pub library: &'a Library,
    /// The folder of runs.
    pub runs: &'a Path,
    /// Finished stages are run again.
    pub force: bool,
    /// What to do where another process works on the run.
    pub when_locked: WhenLocked,
    pub models: &'a mut Models,
    /// Set by Ctrl-C.
    pub interrupt: &'a AtomicBool,
    pub emit: &'a mut dyn FnMut(Event),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub folder: PathBuf,
    pub result: RunResult,
    pub timings: Timings,
    /// Stopped by the interrupt flag; what was done is kept, and the same command goes on.
    pub interrupted: bool,
    /// Every stage had been finished before.
    pub up_to_date: bool,
}

/// Runs an experiment's unfinished stages.
///
/// # Errors
/// E0501, E0502 and E0509 of the run folder; those of the model, the data and the training. What was finished stays recorded.
pub fn run(run: Run<'_>) -> Result<Outcome> {
    let Run { experiment, path, spec, library, runs, force, when_locked, models, interrupt, emit } = run;
    let mut folder = RunFolder::open(runs, &experiment.name, &experiment.hashes.training, when_locked)?;
    if force {
        folder.discard_training()?;
    }
    // Before the plan in the folder is replaced by this one: the reasons are what differs.
    let history = History::read(runs, &experiment.name);
    let plan = history.stages(experiment, device::kind(models.device()));
    let absolute = absolute(experiment);
    folder.describe(spec, &format!("{}\n", digest::json(&absolute)))?;
    let inputs = Inputs { library: library.clone(), ..Inputs::of(&absolute, Path::new("")) };
    Lock::of(&inputs, models.locator())?.write(&folder.path().join("lock.json"))?;
    let mut stages = Stages::new(experiment, folder, models, interrupt, emit).reusing(history);
    stages.tell(plan);
    // A bare file name has an empty parent, which means the present folder.
    stages.run(Some(path.parent().unwrap_or(Path::new(""))))
}

/// Runs the unfinished stages of the run in a folder, as its plan says.
///
/// # Errors
/// Those of [`run`]; E0504 where the folder has no plan.
pub fn resume(
    path: &Path,
    models: &mut Models,
    interrupt: &AtomicBool,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let experiment = plan_of(path)?;
    let folder = RunFolder::reopen(path, WhenLocked::Refuse)?;
    let history = History::around(path, &experiment.name);
    let plan = history.stages(&experiment, device::kind(models.device()));
    let mut stages = Stages::new(&experiment, folder, models, interrupt, emit).reusing(history);
    stages.tell(plan);
    stages.run(None)
}

/// The plan and the interventions of an earlier run.
///
/// # Errors
/// E0504 where the folder holds no finished training, E0506 and E0508 where what it holds cannot be used.
pub fn reopen(folder: &Path, models: &Models) -> Result<(Experiment, Interventions)> {
    let experiment = plan_of(folder)?;
    let saved = folder.join("intervention");
    if !saved.is_dir() {
        return Err(not_a_run(folder, format!("the training of `{}` is not finished", folder.display())));
    }
    let interventions = save::load(&saved, models.device())?;
    Ok((experiment, interventions))
}

/// The plan that a run was made by.
///
/// # Errors
/// E0504 where the folder has none, E0512 where it cannot be read.
pub fn plan_of(folder: &Path) -> Result<Experiment> {
    let plan = run_folder::read_record(&folder.join("plan.json"))?;
    plan.ok_or_else(|| not_a_run(folder, format!("`{}` has no plan", folder.display())))
}

fn not_a_run(folder: &Path, message: String) -> Box<Diagnostic> {
    let help = "name a run that has finished its training, or run the spec again";
    Box::new(Diagnostic::new(Code::RunNotFound, message).in_file(folder, None).help(help))
}

/// Runs the evaluations of an earlier run again, all or the one of that name, with its passes or with these. What is measured with
/// something that has `changed` since the run is told and not recorded.
///
/// # Errors
/// Those of [`reopen`]; E0504 where the run has no evaluation of that name.
pub fn measure_again(
    path: &Path,
    only: Option<&str>,
    passes: Option<Passes>,
    changed: &[Drift],
    models: &mut Models,
    interrupt: &AtomicBool,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let (mut experiment, interventions) = reopen(path, models)?;
    experiment.passes = passes.unwrap_or(experiment.passes);
    if changed.iter().any(|drift| drift.kind == Kind::Model) {
        // Constant states are kept by the digest of the weights, which are no longer those of the plan.
        experiment.model.weights = None;
    }
    let names: Vec<&str> = experiment.evals.iter().map(|eval| eval.name.as_str()).collect();
    if let Some(name) = only.filter(|name| !names.contains(name)) {
        let diagnostic = Diagnostic::new(Code::RunNotFound, format!("the run has no evaluation named `{name}`"));
        return Err(Box::new(diagnostic.help(format!("it has {}", suggest::list(&names)))));
    }
    let folder = RunFolder::reopen(path, WhenLocked::Refuse)?;
    Stages::new(&experiment, folder, models, interrupt, emit).with_changed(changed).measure(only, &interventions)
}

/// The plan with every path made absolute, so that the run can be evaluated from any folder.
fn absolute(experiment: &Experiment) -> Experiment {
    let mut plan = experiment.clone();
    let whole = |path: &mut PathBuf| {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    };
    plan.train.splits.iter_mut().for_each(|part| whole(&mut part.split.source.path));
    plan.starts.iter_mut().for_each(|start| whole(&mut start.folder));
    plan.evals.iter_mut().for_each(|eval| whole(&mut eval.split.source.path));
    if let ModelSource::Folder(path) | ModelSource::Gguf(path) = &mut plan.model.source {
        whole(path);
    }
    plan
}
