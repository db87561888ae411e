//! One experiment from its plan to its run folder: train, evaluate, record; finished stages are not run again.

use super::evaluate::{self, evaluate};
use super::event::{Event, Subject};
use super::generate::Generator;
use super::loaded::{LoadedModel, Models};
use super::train::{Progress, Task, Trainer};
use crate::data::encode::{EncodedRow, encode_prompts, encode_split};
use crate::data::metric::Metric;
use crate::data::read;
use crate::data::source::select;
use crate::data::split::Split;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::digest;
use crate::intervention::units::Interventions;
use crate::intervention::{engine_failed, save};
use crate::model::config::ModelSource;
use crate::model::device;
use crate::plan::{Eval, Experiment, When};
use crate::store::atomic;
use crate::store::environment::Environment;
use crate::store::metrics::MetricsLog;
use crate::store::result::{EvalRecord, RunResult, TrainingRecord};
use crate::store::run_folder::{RunFolder, WhenLocked};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

/// Optimizer steps between checkpoints that guard against a killed process.
const CHECKPOINT_STEPS: usize = 100;

/// What to run, where, and how to be told about it.
pub struct Run<'a> {
    pub experiment: &'a Experiment,
    /// The spec's text, which the run folder keeps.
    pub spec: &'a str,
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
    let Run { experiment, spec, runs, force, models, interrupt, emit } = run;
    let mut folder = RunFolder::open(runs, &experiment.name, &experiment.hashes.training, WhenLocked::Refuse)?;
    if force {
        folder.discard_training()?;
    }
    let device = device::kind(models.device());
    let environment = Environment::capture(runs, &device::name(models.device()), rayon::current_num_threads());
    folder.describe(spec, &format!("{}\n", digest::json(&absolute(experiment))), &environment)?;
    let names: Vec<&str> = experiment.evals.iter().map(|eval| eval.name.as_str()).collect();
    let mut stages = Stages { experiment, folder, device, models, interrupt, emit, model: None };
    let up_to_date = stages.is_up_to_date();
    let interrupted = !up_to_date && stages.all()? == Progress::Interrupted;
    if !interrupted {
        stages.folder.finish(&names)?;
    }
    let (folder, result) = (stages.folder.path().to_path_buf(), stages.folder.result().clone());
    Ok(Outcome { folder, result, interrupted, up_to_date })
}

/// The plan and the interventions of an earlier run.
///
/// # Errors
/// E0504 where the folder holds no finished training, E0506 and E0508 where what it holds cannot be used.
pub fn reopen(folder: &Path, models: &Models) -> Result<(Experiment, Interventions)> {
    let not_a_run = |message: String| {
        let help = "name a run that has finished its training, or run the spec again";
        Box::new(Diagnostic::new(Code::RunNotFound, message).in_file(folder, None).help(help))
    };
    let plan = std::fs::read_to_string(folder.join("plan.json")).ok();
    let plan: Option<Experiment> = plan.and_then(|text| serde_json::from_str(&text).ok());
    let Some(experiment) = plan else {
        return Err(not_a_run(format!("`{}` has no plan that this reftc can read", folder.display())));
    };
    let saved = folder.join("intervention");
    if !saved.is_dir() {
        return Err(not_a_run(format!("the training of `{}` is not finished", folder.display())));
    }
    let hidden = experiment.model.config.hidden_size;
    let interventions = save::load_as(&saved, &experiment.interventions, hidden, models.device())?;
    Ok((experiment, interventions))
}

/// Runs the evaluations of an earlier run again, all or the one of that name.
///
/// # Errors
/// Those of [`reopen`]; E0504 where the run has no evaluation of that name.
pub fn measure_again(
    path: &Path,
    only: Option<&str>,
    models: &mut Models,
    interrupt: &AtomicBool,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let (experiment, interventions) = reopen(path, models)?;
    let names: Vec<&str> = experiment.evals.iter().map(|eval| eval.name.as_str()).collect();
    if let Some(name) = only.filter(|name| !names.contains(name)) {
        let diagnostic = Diagnostic::new(Code::RunNotFound, format!("the run has no evaluation named `{name}`"));
        return Err(Box::new(diagnostic.help(format!("it has {}", suggest::list(&names)))));
    }
    let folder = RunFolder::reopen(path, WhenLocked::Refuse)?;
    let device = device::kind(models.device());
    let mut stages = Stages { experiment: &experiment, folder, device, models, interrupt, emit, model: None };
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
    let result = stages.folder.result().clone();
    Ok(Outcome { folder: path.to_path_buf(), result, interrupted, up_to_date: false })
}

/// The plan with every path made absolute, so that the run can be evaluated from any folder.
fn absolute(experiment: &Experiment) -> Experiment {
    let mut plan = experiment.clone();
    let whole = |path: &mut PathBuf| {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    };
    whole(&mut plan.train.split.source.path);
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
}

impl Stages<'_> {
    fn is_up_to_date(&self) -> bool {
        self.folder.trained(self.device).is_some() && self.experiment.evals.iter().all(|eval| self.is_evaluated(eval))
    }

    fn is_evaluated(&self, eval: &Eval) -> bool {
        let hash = self.experiment.hashes.evals.get(&eval.name);
        hash.is_some_and(|hash| self.folder.evaluated(&eval.name, hash, self.device).is_some())
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

    /// The interventions of a finished training.
    fn trained(&mut self) -> Result<Interventions> {
        let hidden = self.experiment.model.config.hidden_size;
        save::load_as(&self.folder.intervention(), &self.experiment.interventions, hidden, self.models.device())
    }

    /// Trains, from a checkpoint if there is one; `None` where it was interrupted, which saves one.
    fn train(&mut self) -> Result<Option<Interventions>> {
        let model = self.model()?;
        let rows = encode(&self.experiment.train.split, &model, true)?;
        let mut plan = self.experiment.train.clone();
        plan.count_steps(rows.len());
        let task = Task { decoder: &model.decoder, rows: &rows, plan: &plan, seed: self.experiment.seed };
        let hidden = self.experiment.model.config.hidden_size;
        let fresh = Interventions::new(&self.experiment.interventions, hidden, task.seed, self.models.device());
        let fresh = fresh.map_err(engine_failed)?;
        let checkpoint = self.folder.checkpoints().join("last.safetensors");
        let mut trainer = match checkpoint.is_file() {
            true => Trainer::resume(task, fresh, &checkpoint)?,
            false => Trainer::new(task, fresh)?,
        };
        let along = evals_along_the_way(self.experiment, &model)?;
        let mut metrics = self.folder.metrics(trainer.step())?;
        let mut summary = Summary::default();
        let mut failed = None;
        let emit = &mut *self.emit;
        let mut tell = |event: Event| {
            summary.take(&event);
            if let Err(diagnostic) = log(&mut metrics, &event, summary.step) {
                failed.get_or_insert(diagnostic);
            }
            emit(event);
        };
        let interrupt = self.interrupt;
        let mut between = |trainer: &Trainer<'_>, epoch_ended: bool, emit: &mut dyn FnMut(Event)| {
            if trainer.step().is_multiple_of(CHECKPOINT_STEPS) && trainer.step() < trainer.steps() {
                trainer.save_checkpoint(&checkpoint)?;
            }
            for (eval, rows) in &along {
                let due = match eval.when {
                    When::Epoch => epoch_ended,
                    When::Steps(count) => trainer.step().is_multiple_of(count),
                    When::End => false,
                };
                // The last measurement is the stage of its own that follows the training.
                if due && trainer.step() < trainer.steps() {
                    let generator = Generator::new(&model.decoder, Some(trainer.interventions()))?;
                    let task = evaluate::Task { eval, rows, tokenizer: &model.tokenizer, subject: Subject::Tuned };
                    evaluate(task, &generator, interrupt, emit)?;
                }
            }
            Ok(())
        };
        let progress = trainer.run(self.interrupt, &mut tell, &mut between);
        if let Some(diagnostic) = failed {
            return Err(diagnostic);
        }
        if progress? == Progress::Interrupted {
            trainer.save_checkpoint(&checkpoint)?;
            return Ok(None);
        }
        save::save(&self.folder.intervention(), trainer.interventions())?;
        self.folder.record_training(summary.record(self.device, trainer.steps()))?;
        let _ = std::fs::remove_dir_all(self.folder.checkpoints());
        self.trained().map(Some)
    }

    /// Measures; `None` where it was interrupted.
    fn evaluate(&mut self, eval: &Eval, interventions: &Interventions) -> Result<Option<()>> {
        let model = self.model()?;
        let rows = eval_rows(eval, &model)?;
        let path = self.folder.path().join("eval");
        let mut file = self.folder.eval_rows(&eval.name)?;
        let mut scores = Vec::new();
        let subjects = [(Subject::Baseline, eval.baseline), (Subject::Tuned, true)];
        for (subject, _) in subjects.into_iter().filter(|(_, wanted)| *wanted) {
            let tuned = (subject == Subject::Tuned).then_some(interventions);
            let generator = Generator::new(&model.decoder, tuned)?;
            let task = evaluate::Task { eval, rows: &rows, tokenizer: &model.tokenizer, subject };
            let mut failed = None;
            let mut tell = |event: Event| {
                if let Event::EvalRow { subject, record, .. } = &event {
                    let line = digest::json(&(RowLine { subject: *subject, record }));
                    if let Err(cause) = writeln!(file, "{line}") {
                        failed.get_or_insert(atomic::unwritable(&path, &cause));
                    }
                }
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
        file.finish()?;
        self.folder.record_eval(EvalRecord {
            name: eval.name.clone(),
            hash: self.experiment.hashes.evals.get(&eval.name).cloned().unwrap_or_default(),
            device: self.device.to_owned(),
            metric: eval.metric,
            tuned: tuned.value,
            baseline: scores.pop().map(|score| score.value),
            majority: tuned.majority.map(|majority| majority.share),
            rows: tuned.rows,
            seconds: tuned.seconds,
        })?;
        Ok(Some(()))
    }
}

/// The evaluations that run during the training, with their rows.
fn evals_along_the_way<'a>(
    experiment: &'a Experiment,
    model: &LoadedModel,
) -> Result<Vec<(&'a Eval, Vec<EncodedRow>)>> {
    let along = experiment.evals.iter().filter(|eval| eval.when != When::End);
    along.map(|eval| Ok((eval, eval_rows(eval, model)?))).collect()
}

/// A line of `eval/NAME.jsonl`.
#[derive(serde::Serialize)]
struct RowLine<'a> {
    subject: Subject,
    #[serde(flatten)]
    record: &'a super::event::Record,
}

/// Numbers of a training, gathered from its events.
#[derive(Default)]
struct Summary {
    step: usize,
    seconds: f64,
    tokens: usize,
    loss: f64,
}

impl Summary {
    fn take(&mut self, event: &Event) {
        if let Event::StepDone(done) = event {
            self.step = done.step;
            self.seconds += done.seconds;
            self.tokens += done.tokens;
            self.loss = done.loss;
        }
    }

    fn record(&self, device: &str, steps: usize) -> TrainingRecord {
        TrainingRecord {
            device: device.to_owned(),
            steps,
            seconds: self.seconds,
            final_loss: self.loss,
            tokens_per_second: self.tokens as f64 / self.seconds.max(1e-9),
        }
    }
}

/// Steps and scores go into `metrics.jsonl`; single rows do not. Every line says after which step it was written.
fn log(metrics: &mut MetricsLog, event: &Event, step: usize) -> Result<()> {
    #[derive(serde::Serialize)]
    struct Scored<'a> {
        step: usize,
        #[serde(flatten)]
        event: &'a Event,
    }
    match event {
        Event::StepDone(_) | Event::EpochDone(_) => metrics.append(event),
        Event::EvalDone { .. } => metrics.append(&Scored { step, event }),
        _ => Ok(()),
    }
}

/// The rows of an evaluation as tokens. Where `gold` is written, it stands in the place of the target.
pub fn eval_rows(eval: &Eval, model: &LoadedModel) -> Result<Vec<EncodedRow>> {
    if eval.metric == Metric::Perplexity {
        return encode(&eval.split, model, true);
    }
    let mut split = eval.split.clone();
    if let Some(gold) = &eval.gold {
        split.target = gold.clone();
    }
    encode(&split, model, false)
}

fn encode(split: &Split, model: &LoadedModel, with_target: bool) -> Result<Vec<EncodedRow>> {
    let path = &split.source.path;
    let bytes = std::fs::read(path).map_err(|error| read::cannot_open(path, &error))?;
    let rows = read::read(&bytes, path, &split.source.format)?;
    let rows = rows.pick(&select(rows.len(), &split.source.steps));
    let encode = if with_target { encode_split } else { encode_prompts };
    let encoded = encode(&rows, split, &model.tokenizer, model.chat_template.as_ref())?;
    if encoded.rows.is_empty() {
        let message =
            format!("no row of `{}` keeps a target token within `max_length = {}`", path.display(), split.max_length);
        return Err(Box::new(Diagnostic::new(Code::NoRowsLeft, message).in_file(path, None)));
    }
    Ok(encoded.rows)
}
