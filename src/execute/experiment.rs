//! One experiment from its plan to its run folder: train, evaluate, record; finished stages are not run again.

use super::along::Along;
use super::batch::Steps;
use super::engine::Engine;
use super::evaluate::{self, evaluate};
use super::event::{Event, Record, Subject};
use super::generate::Generator;
use super::loaded::{LoadedModel, Models};
use super::record::{self, TrainingLog};
use super::rows::{eval_rows, train_rows};
use super::train::{Progress, Task, Trainer};
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::intervention::units::Interventions;
use crate::intervention::{engine_failed, save};
use crate::lock::{Drift, Inputs, Kind, Library, Lock};
use crate::model::config::ModelSource;
use crate::model::device;
use crate::plan::passes::Passes;
use crate::plan::{Eval, Experiment};
use crate::store::atomic;
use crate::store::environment::{Environment, GraphicsCard};
use crate::store::result::{EvalRecord, RunResult, TrainingRecord};
use crate::store::run_folder::{self, RunFolder, WhenLocked};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Checkpoints guard against a killed process: one comes after so many optimizer steps, or after so long.
const CHECKPOINT_STEPS: usize = 100;
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(60);

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
    /// Stopped by the interrupt flag; what was done is kept, and the same command goes on.
    pub interrupted: bool,
    /// Every stage had been finished before.
    pub up_to_date: bool,
}

/// Runs an experiment's unfinished stages.
///
/// # Errors
/// E0501 and E0502 of the run folder; those of the model, the data and the training. What was finished stays recorded.
pub fn run(run: Run<'_>) -> Result<Outcome> {
    let Run { experiment, path, spec, library, runs, force, models, interrupt, emit } = run;
    let mut folder = RunFolder::open(runs, &experiment.name, &experiment.hashes.training, WhenLocked::Refuse)?;
    if force {
        folder.discard_training()?;
    }
    let plan = absolute(experiment);
    folder.describe(spec, &format!("{}\n", digest::json(&plan)))?;
    let inputs = Inputs { library: library.clone(), ..Inputs::of(&plan, Path::new("")) };
    Lock::of(&inputs, models.locator())?.write(&folder.path().join("lock.json"))?;
    let names: Vec<&str> = experiment.evals.iter().map(|eval| eval.name.as_str()).collect();
    let mut stages = Stages::new(experiment, folder, models, interrupt, emit);
    let up_to_date = stages.is_up_to_date();
    let interrupted = !up_to_date && stages.all_of(path)? == Progress::Interrupted;
    if !interrupted {
        stages.folder.finish(&names)?;
    }
    Ok(stages.outcome(interrupted, up_to_date))
}

/// The plan of an earlier run.
///
/// # Errors
/// E0504 where the folder holds none, E0512 where it cannot be read.
pub fn planned(folder: &Path) -> Result<Experiment> {
    match run_folder::read_record(&folder.join("plan.json"))? {
        Some(experiment) => Ok(experiment),
        None => Err(not_a_run(folder, &format!("`{}` has no plan", folder.display()))),
    }
}

fn not_a_run(folder: &Path, message: &str) -> Box<Diagnostic> {
    let help = "name a run that has finished its training, or run the spec again";
    Box::new(Diagnostic::new(Code::RunNotFound, message).in_file(folder, None).help(help))
}

/// The plan and the interventions of an earlier run.
///
/// # Errors
/// E0504 where the folder holds no finished training, E0506, E0508 and E0512 where what it holds cannot be used.
pub fn reopen(folder: &Path, models: &Models) -> Result<(Experiment, Interventions)> {
    let experiment = planned(folder)?;
    let saved = folder.join("intervention");
    if !saved.is_dir() {
        return Err(not_a_run(folder, &format!("the training of `{}` is not finished", folder.display())));
    }
    let interventions = save::load(&saved, models.device())?;
    Ok((experiment, interventions))
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
    let mut stages = Stages::new(&experiment, folder, models, interrupt, emit);
    stages.changed = changed;
    let mut interrupted = false;
    for eval in experiment.evals.iter().filter(|eval| only.is_none_or(|name| name == eval.name)) {
        interrupted = stages.evaluate(eval, &interventions)?.is_none();
        if interrupted {
            break;
        }
    }
    if !interrupted && experiment.evals.iter().all(|eval| stages.is_evaluated(eval)) {
        stages.folder.finish(&names)?;
    }
    Ok(stages.outcome(interrupted, false))
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

struct Stages<'a> {
    experiment: &'a Experiment,
    folder: RunFolder,
    device: &'static str,
    models: &'a mut Models,
    interrupt: &'a AtomicBool,
    emit: &'a mut dyn FnMut(Event),
    model: Option<Rc<LoadedModel>>,
    /// What has changed since the run; what is measured with it is not recorded, but kept here.
    changed: &'a [Drift],
    unrecorded: Vec<EvalRecord>,
}

impl<'a> Stages<'a> {
    fn new(
        experiment: &'a Experiment,
        folder: RunFolder,
        models: &'a mut Models,
        interrupt: &'a AtomicBool,
        emit: &'a mut dyn FnMut(Event),
    ) -> Self {
        let device = device::kind(models.device());
        Self { experiment, folder, device, models, interrupt, emit, model: None, changed: &[], unrecorded: Vec::new() }
    }

    fn outcome(&self, interrupted: bool, up_to_date: bool) -> Outcome {
        let (folder, mut result) = (self.folder.path().to_path_buf(), self.folder.result().clone());
        self.unrecorded.iter().cloned().for_each(|record| result.put_eval(record));
        Outcome { folder, result, interrupted, up_to_date }
    }

    fn is_up_to_date(&self) -> bool {
        self.folder.trained(self.device).is_some() && self.experiment.evals.iter().all(|eval| self.is_evaluated(eval))
    }

    fn is_evaluated(&self, eval: &Eval) -> bool {
        let hash = self.experiment.hashes.evals.get(&eval.name);
        hash.is_some_and(|hash| self.folder.evaluated(&eval.name, hash, self.device).is_some())
    }

    /// Runs what is not finished of the spec at `path`, and keeps a log of it.
    fn all_of(&mut self, path: &Path) -> Result<Progress> {
        let name = device::name(self.models.device());
        // A bare file name has an empty parent, which means the present folder.
        let around = path.parent().unwrap_or(Path::new(""));
        let card = device::card(self.models.device());
        let card = card.map(|card| GraphicsCard { name: card.name, memory: card.memory });
        let environment = Environment::capture(around, &name, card, rayon::current_num_threads());
        self.folder.record_environment(&environment)?;
        self.folder.log(&format!("reftc {}, {name}, {} threads", environment.reftc, environment.threads));
        let progress = self.all();
        match &progress {
            Ok(Progress::Interrupted) => self.folder.log("interrupted"),
            Ok(_) => self.folder.log("finished"),
            Err(diagnostic) => self.folder.log(&format!("failed: {diagnostic}")),
        }
        progress
    }

    fn all(&mut self) -> Result<Progress> {
        let interventions = match self.folder.trained(self.device) {
            Some(_) => self.trained()?,
            None => match self.train()? {
                Some(interventions) => interventions,
                None => return Ok(Progress::Interrupted),
            },
        };
        for eval in &self.experiment.evals {
            if !self.is_evaluated(eval) && self.evaluate(eval, &interventions)?.is_none() {
                return Ok(Progress::Interrupted);
            }
        }
        Ok(Progress::Finished)
    }

    fn model(&mut self) -> Result<Rc<LoadedModel>> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let model = self.models.load(&self.experiment.model)?;
        self.model = Some(model.clone());
        Ok(model)
    }

    /// The interventions of a finished training. They are those of the plan, for the hash is the same, but may have
    /// been saved under other names.
    fn trained(&self) -> Result<Interventions> {
        save::load(&self.folder.intervention(), self.models.device())
    }

    /// Trains, from a checkpoint if there is one; `None` where it was interrupted, which saves one.
    fn train(&mut self) -> Result<Option<Interventions>> {
        let model = self.model()?;
        let rows = train_rows(self.experiment, &model)?;
        let mut plan = self.experiment.train.clone();
        plan.count_steps(rows.len());
        let frozen = self.models.frozen();
        let engine = Engine::of(self.experiment, &model, &frozen);
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: self.experiment.seed };
        let hidden = self.experiment.model.config.hidden_size;
        let fresh = Interventions::new(&self.experiment.interventions, hidden, task.seed, self.models.device());
        let mut fresh = fresh.map_err(engine_failed)?;
        self.experiment.starts.iter().try_for_each(|start| save::start(&mut fresh, start))?;
        let checkpoint = self.folder.checkpoints().join("last.safetensors");
        let best = self.folder.checkpoints().join("best");
        let mut trainer = match checkpoint.is_file() {
            true => Trainer::resume(task, fresh, &checkpoint)?,
            false => Trainer::new(task, fresh)?,
        };
        let along = Along::new(self.experiment, &model, &engine, Steps::of(&plan, rows.len()), best.clone())?;
        let log = RefCell::new(TrainingLog::open(&self.folder, trainer.step())?);
        let (interrupt, folder, emit) = (self.interrupt, &self.folder, &mut *self.emit);
        let mut tell = |event: Event| {
            log.borrow_mut().take(&event);
            record::line(&event).iter().for_each(|line| folder.log(line));
            emit(event);
        };
        let mut saved = Instant::now();
        let mut between = |trainer: &mut Trainer<'_>, _: bool, emit: &mut dyn FnMut(Event)| {
            log.borrow_mut().check()?;
            let is_due = trainer.step().is_multiple_of(CHECKPOINT_STEPS) || saved.elapsed() >= CHECKPOINT_PAUSE;
            if is_due && trainer.step() < trainer.steps() {
                trainer.save_checkpoint(&checkpoint)?;
                saved = Instant::now();
            }
            let chosen = trainer.best();
            along.measure(trainer, &Default::default(), interrupt, emit)?;
            if trainer.best() != chosen {
                trainer.save_checkpoint(&checkpoint)?;
            }
            Ok(())
        };
        // An earlier process may have ended between a step and what is measured after it.
        let measured = log.borrow().measured().clone();
        along.measure(&mut trainer, &measured, interrupt, &mut tell)?;
        let progress = trainer.run(interrupt, &mut tell, &mut between)?;
        let mut log = log.into_inner();
        log.check()?;
        if progress == Progress::Interrupted {
            trainer.save_checkpoint(&checkpoint)?;
            return Ok(None);
        }
        match trainer.best() {
            Some(_) => save::save(&self.folder.intervention(), &save::load(&best, self.models.device())?)?,
            None => save::save(&self.folder.intervention(), trainer.interventions())?,
        }
        let kept = trainer.best().map(|best| best.step);
        self.folder.record_training(TrainingRecord { kept, ..log.record(self.device) })?;
        let _ = std::fs::remove_dir_all(self.folder.checkpoints());
        self.trained().map(Some)
    }

    /// Measures; `None` where it was interrupted.
    fn evaluate(&mut self, eval: &Eval, interventions: &Interventions) -> Result<Option<()>> {
        let model = self.model()?;
        let rows = eval_rows(self.experiment, eval, &model)?;
        let path = self.folder.path().join("eval");
        let folder = &self.folder;
        let read = Inputs::of_eval(&self.experiment.model.source, eval, Path::new(""));
        let is_recorded = !self.changed.iter().any(|drift| read.has(drift));
        let mut file = is_recorded.then(|| folder.eval_rows(&eval.name)).transpose()?;
        let mut scores = Vec::new();
        let frozen = self.models.frozen();
        let engine = Engine::of(self.experiment, &model, &frozen);
        let subjects = [(Subject::Baseline, eval.baseline), (Subject::Tuned, true)];
        for (subject, _) in subjects.into_iter().filter(|(_, wanted)| *wanted) {
            let tuned = (subject == Subject::Tuned).then_some(interventions);
            let generator = Generator::new(&engine, tuned)?;
            let task = evaluate::Task { eval, rows: &rows, tokenizer: &model.tokenizer, subject };
            let mut failed = None;
            let mut tell = |event: Event| {
                if let (Event::EvalRow { subject, record, .. }, Some(file)) = (&event, &mut file) {
                    let line = digest::json(&(RowLine { subject: *subject, record }));
                    if let Err(cause) = writeln!(file, "{line}") {
                        failed.get_or_insert(atomic::unwritable(&path, &cause));
                    }
                }
                record::line(&event).iter().for_each(|line| folder.log(line));
                (self.emit)(event);
            };
            let score = evaluate(task, &generator, self.interrupt, &mut tell)?;
            if let Some(diagnostic) = failed {
                return Err(diagnostic);
            }
            let Some(score) = score else { return Ok(None) };
            scores.push(score);
        }
        let Some(tuned) = scores.pop() else { return Ok(None) };
        let record = EvalRecord {
            name: eval.name.clone(),
            hash: self.experiment.hashes.evals.get(&eval.name).cloned().unwrap_or_default(),
            device: self.device.to_owned(),
            metric: eval.metric,
            tuned: tuned.value,
            baseline: scores.pop().map(|score| score.value),
            majority: tuned.majority.map(|majority| majority.share),
            rows: tuned.rows,
            seconds: tuned.seconds,
        };
        match file {
            Some(file) => {
                file.finish()?;
                self.folder.record_eval(record)?;
            }
            None => self.unrecorded.push(record),
        }
        Ok(Some(()))
    }
}

/// A line of `eval/NAME.jsonl`.
#[derive(serde::Serialize)]
struct RowLine<'a> {
    subject: Subject,
    #[serde(flatten)]
    record: &'a Record,
}
