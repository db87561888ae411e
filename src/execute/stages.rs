//! The stages of one experiment at work in its run folder: training, then every evaluation.

use super::along::Along;
use super::batch::Steps;
use super::continuing;
use super::engine::Engine;
use super::evaluate::{self, Answers, evaluate};
use super::event::{Event, Record, Score, Subject};
use super::experiment::Outcome;
use super::generate::Generator;
use super::interruption::or_interrupted;
use super::loaded::{LoadedModel, Models};
use super::record::{self, TrainingLog};
use super::reuse;
use super::rows::{eval_rows, train_rows};
use super::train::{Progress, Task, Trainer};
use crate::data::encode::EncodedRow;
use crate::diag::Result;
use crate::digest;
use crate::intervention::units::Interventions;
use crate::intervention::{engine_failed, save};
use crate::lock::{Drift, Inputs};
use crate::model::device;
use crate::plan::{Eval, Experiment};
use crate::store::atomic::{self, AtomicFile};
use crate::store::environment::{Environment, GraphicsCard};
use crate::store::result::{EvalRecord, TrainingRecord, eval_path};
use crate::store::run_folder::RunFolder;
use crate::store::stages::{History, Stage};
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Checkpoints guard against a killed process: one comes after so many optimizer steps, or after so long.
const CHECKPOINT_STEPS: usize = 100;
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(60);

/// An experiment, the folder of its run, and what is needed to work on it.
pub struct Stages<'a> {
    experiment: &'a Experiment,
    folder: RunFolder,
    device: &'static str,
    models: &'a mut Models,
    interrupt: &'a AtomicBool,
    emit: &'a mut dyn FnMut(Event),
    model: Option<Rc<LoadedModel>>,
    /// Earlier runs, whose work may be taken over.
    history: Option<History>,
    /// What is no longer as it was when the run was made; what is measured with it is not recorded, but kept here.
    changed: &'a [Drift],
    unrecorded: Vec<EvalRecord>,
}

impl<'a> Stages<'a> {
    /// Nothing is done yet, and nothing is taken over from earlier runs.
    pub fn new(
        experiment: &'a Experiment,
        folder: RunFolder,
        models: &'a mut Models,
        interrupt: &'a AtomicBool,
        emit: &'a mut dyn FnMut(Event),
    ) -> Self {
        let device = device::kind(models.device());
        let (changed, unrecorded) = (&[][..], Vec::new());
        Self { experiment, folder, device, models, interrupt, emit, model: None, history: None, changed, unrecorded }
    }

    /// Takes over what earlier runs have done.
    #[must_use]
    pub fn reusing(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// Records nothing that is measured with what has changed since the run.
    #[must_use]
    pub fn with_changed(self, changed: &'a [Drift]) -> Self {
        Self { changed, ..self }
    }

    /// Tells how far each stage is.
    pub fn tell(&mut self, stages: Vec<Stage>) {
        stages.into_iter().for_each(|stage| (self.emit)(Event::Stage(stage)));
    }

    /// Runs what is not finished of a spec in the folder `around`, or of an earlier run.
    pub fn run(mut self, around: Option<&Path>) -> Result<Outcome> {
        let up_to_date = self.folder.trained(self.device).is_some()
            && self.experiment.evals.iter().all(|eval| self.is_evaluated(eval));
        let interrupted = !up_to_date && self.logged(around)? == Progress::Interrupted;
        if !interrupted {
            self.finish(!up_to_date)?;
        }
        Ok(self.outcome(interrupted, up_to_date))
    }

    /// Measures anew, all evaluations or the one of that name.
    pub fn measure(mut self, only: Option<&str>, interventions: &Interventions) -> Result<Outcome> {
        let experiment = self.experiment;
        for eval in experiment.evals.iter().filter(|eval| only.is_none_or(|name| name == eval.name)) {
            if or_interrupted(self.evaluate(eval, interventions), self.interrupt)?.flatten().is_none() {
                return Ok(self.outcome(true, false));
            }
        }
        if experiment.evals.iter().all(|eval| self.is_evaluated(eval)) {
            self.finish(true)?;
        }
        Ok(self.outcome(false, false))
    }

    fn finish(&mut self, is_new: bool) -> Result<()> {
        let names: Vec<&str> = self.experiment.evals.iter().map(|eval| eval.name.as_str()).collect();
        self.folder.finish(&names)?;
        if is_new {
            self.artefact("result.json");
        }
        Ok(())
    }

    fn outcome(&self, interrupted: bool, up_to_date: bool) -> Outcome {
        let (folder, mut result) = (self.folder.path().to_path_buf(), self.folder.result().clone());
        self.unrecorded.iter().cloned().for_each(|record| result.put_eval(record));
        Outcome { folder, result, timings: self.folder.timings().clone(), interrupted, up_to_date }
    }

    fn is_evaluated(&self, eval: &Eval) -> bool {
        let hash = self.experiment.hashes.evals.get(&eval.name);
        hash.is_some_and(|hash| self.folder.evaluated(&eval.name, hash, self.device).is_some())
    }

    /// Runs what is not finished, and keeps a log of it.
    fn logged(&mut self, around: Option<&Path>) -> Result<Progress> {
        let (name, threads) = (device::name(self.models.device()), rayon::current_num_threads());
        if let Some(around) = around {
            let card = device::card(self.models.device());
            let card = card.map(|card| GraphicsCard { name: card.name, memory: card.memory });
            self.folder.record_environment(&Environment::capture(around, &name, card, threads))?;
        }
        self.folder.log(&format!("reftc {}, {name}, {threads} threads", env!("CARGO_PKG_VERSION")));
        let progress = or_interrupted(self.all(), self.interrupt).map(|done| done.unwrap_or(Progress::Interrupted));
        match &progress {
            Ok(Progress::Interrupted) => self.folder.log("interrupted"),
            Ok(_) => self.folder.log("finished"),
            Err(diagnostic) => self.folder.log(&format!("failed: {diagnostic}")),
        }
        progress
    }

    fn all(&mut self) -> Result<Progress> {
        if self.folder.trained(self.device).is_none() && !self.train()? {
            return Ok(Progress::Interrupted);
        }
        // Those of the plan, for the hash is the same; but they may have been saved under other names.
        let interventions = save::load(&self.folder.intervention(), self.models.device())?;
        let experiment = self.experiment;
        for eval in &experiment.evals {
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

    fn artefact(&mut self, name: &str) {
        (self.emit)(Event::Artefact { path: self.folder.path().join(name) });
    }

    /// Trains, from a checkpoint if there is one of this training or of a shorter one; false where it was interrupted, which saves one.
    fn train(&mut self) -> Result<bool> {
        let model = self.model()?;
        let rows = train_rows(self.experiment, &model.found)?;
        let mut plan = self.experiment.train.clone();
        plan.count_steps(rows.len());
        let frozen = self.models.frozen();
        let engine = Engine::of(self.experiment, &model, &frozen);
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed: self.experiment.seed };
        let mut trainer = self.trainer(task)?;
        let (checkpoint, best) = (self.folder.checkpoint(), self.folder.best());
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
                emit(Event::Artefact { path: checkpoint.clone() });
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
        // Also at the end: a longer training may go on from there.
        trainer.save_checkpoint(&checkpoint)?;
        (self.emit)(Event::Artefact { path: checkpoint });
        if progress == Progress::Interrupted {
            return Ok(false);
        }
        match trainer.best() {
            Some(_) => save::save(&self.folder.intervention(), &save::load(&best, self.models.device())?)?,
            None => save::save(&self.folder.intervention(), trainer.interventions())?,
        }
        let kept = trainer.best().map(|best| best.step);
        let record = TrainingRecord { kept, ..log.record(self.device) };
        self.folder.record_training(record, log.time())?;
        self.artefact("intervention");
        Ok(true)
    }

    /// The training as its checkpoint left it, as a shorter one left it, or at its start.
    fn trainer<'t>(&self, task: Task<'t>) -> Result<Trainer<'t>> {
        let hidden = self.experiment.model.config.hidden_size;
        let fresh = Interventions::new(&self.experiment.interventions, hidden, task.seed, self.models.device());
        let mut fresh = fresh.map_err(engine_failed)?;
        self.experiment.starts.iter().try_for_each(|start| save::start(&mut fresh, start))?;
        let checkpoint = self.folder.checkpoint();
        if checkpoint.is_file() {
            return Trainer::resume(task, fresh, &checkpoint);
        }
        let shorter = self.history.as_ref().and_then(|history| history.shorter(self.experiment, self.device));
        let Some(shorter) = shorter else { return Trainer::new(task, fresh) };
        let steps = Steps::of(task.plan, task.rows.len()).total();
        match continuing::adopt(&shorter, &self.folder, steps, task.plan.epochs)? {
            None => Trainer::new(task, fresh),
            Some(held) => {
                let trainer = Trainer::extend(task, fresh, &held.checkpoint(), shorter.steps)?;
                trainer.save_checkpoint(&checkpoint)?;
                Ok(trainer)
            }
        }
    }

    /// Measures; `None` where it was interrupted.
    fn evaluate(&mut self, eval: &Eval, interventions: &Interventions) -> Result<Option<()>> {
        let found = self.models.locate(&self.experiment.model)?;
        let rows = eval_rows(self.experiment, eval, &found)?;
        let read = Inputs::of_eval(&self.experiment.model.source, eval, Path::new(""));
        let is_recorded = !self.changed.iter().any(|drift| read.has(drift));
        let mut file = is_recorded.then(|| self.folder.eval_rows(&eval.name)).transpose()?;
        let baseline = match eval.baseline {
            true => match self.score(eval, Subject::Baseline, &rows, interventions, &mut file)? {
                Some(score) => Some(score),
                None => return Ok(None),
            },
            false => None,
        };
        let Some(tuned) = self.score(eval, Subject::Tuned, &rows, interventions, &mut file)? else { return Ok(None) };
        let record = EvalRecord {
            name: eval.name.clone(),
            hash: self.experiment.hashes.evals.get(&eval.name).cloned().unwrap_or_default(),
            outputs: self.experiment.hashes.outputs.get(&eval.name).cloned(),
            device: self.device.to_owned(),
            metric: eval.metric,
            tuned: tuned.value,
            baseline: baseline.map(|score| score.value),
            majority: tuned.majority.map(|majority| majority.share),
            rows: tuned.rows,
        };
        let Some(file) = file else {
            self.unrecorded.push(record);
            return Ok(Some(()));
        };
        // A record of other rows than those in the file would be a lie.
        self.folder.forget_eval(&eval.name)?;
        file.finish()?;
        self.folder.record_eval(record, tuned.seconds)?;
        let path = eval_path(self.folder.path(), &eval.name);
        (self.emit)(Event::Artefact { path });
        Ok(Some(()))
    }

    /// Measures one subject and writes its rows to the file; `None` where it was interrupted.
    fn score(
        &mut self,
        eval: &Eval,
        subject: Subject,
        rows: &[EncodedRow],
        interventions: &Interventions,
        file: &mut Option<AtomicFile>,
    ) -> Result<Option<Score>> {
        if let Some(outputs) = self.known(eval, subject, rows) {
            return self.told(evaluate::Task { eval, rows, answers: Answers::Known(&outputs), subject }, file);
        }
        let (model, frozen) = (self.model()?, self.models.frozen());
        let engine = Engine::of(self.experiment, &model, &frozen);
        let generator = Generator::new(&engine, (subject == Subject::Tuned).then_some(interventions))?;
        let answers = Answers::Given { generator: &generator, tokenizer: &model.tokenizer };
        self.told(evaluate::Task { eval, rows, answers, subject }, file)
    }

    /// What the subject gave out for these rows in an earlier evaluation.
    fn known(&self, eval: &Eval, subject: Subject, rows: &[EncodedRow]) -> Option<Vec<String>> {
        let wanted = self.experiment.hashes.outputs.get(&eval.name)?;
        let own = (self.folder.path(), self.folder.result());
        reuse::outputs(subject, wanted, rows, own, self.history.as_ref()?, self.device)
    }

    /// Evaluates, tells of it, and writes the rows to the file.
    fn told(&mut self, task: evaluate::Task<'_>, file: &mut Option<AtomicFile>) -> Result<Option<Score>> {
        let path = eval_path(self.folder.path(), &task.eval.name);
        let mut failed = None;
        let mut tell = |event: Event| {
            if let (Event::EvalRow { subject, record, .. }, Some(file)) = (&event, &mut *file) {
                let line = digest::json(&(RowLine { subject: *subject, record }));
                if let Err(cause) = writeln!(file, "{line}") {
                    failed.get_or_insert(atomic::unwritable(&path, &cause));
                }
            }
            record::line(&event).iter().for_each(|line| self.folder.log(line));
            (self.emit)(event);
        };
        let score = evaluate(task, self.interrupt, &mut tell)?;
        failed.map_or(Ok(score), Err)
    }
}

/// A line of `eval/NAME.jsonl`.
#[derive(serde::Serialize)]
struct RowLine<'a> {
    subject: Subject,
    #[serde(flatten)]
    record: &'a Record,
}
