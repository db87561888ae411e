//! The training loop: frozen model, trainable interventions.

use super::batch::{LossBatch, Steps, groups, input};
use super::best::Best;
use super::checkpoint::{self, Position};
use super::engine::{Engine, Reuse};
use super::event::{EpochDone, Event, StepDone};
use super::gradients::Gradients;
use super::interruption::or_interrupted;
use super::optimizer::{AdamW, Report};
use crate::data::encode::EncodedRow;
use crate::data::metric::Metric;
use crate::diag::{Code, Diagnostic, Result};
use crate::intervention::edits::{Dropout, Placement};
use crate::intervention::engine_failed;
use crate::intervention::formula::Edit;
use crate::intervention::units::Interventions;
use crate::model::kernels;
use crate::plan::{Keep, Train};
use candle_core::{DType, Tensor};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What is trained, and on what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub engine: &'a Engine<'a>,
    /// Rows that hold prompt and target.
    pub rows: &'a [EncodedRow],
    pub plan: &'a Train,
    /// Of the experiment.
    pub seed: u64,
}

/// A training under way, between two optimizer steps.
pub struct Trainer<'a> {
    task: Task<'a>,
    steps: Steps,
    interventions: Interventions,
    optimizer: AdamW,
    best: Option<Best>,
    /// The first pass of a step, prepared while the step before was computed.
    ahead: Option<(usize, candle_core::Result<ReadyPass>)>,
}

/// What [`Trainer::advance`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// One optimizer step; `epoch_ended` where it took the last rows of an epoch.
    Stepped { epoch_ended: bool },
    /// The interrupt flag was set: nothing was changed, a checkpoint may be saved.
    Interrupted,
    /// All steps had been taken.
    Finished,
}

/// Called between steps with the training, whether an epoch has just ended, and where events go.
pub type Between<'a> = dyn FnMut(&mut Trainer<'_>, bool, &mut dyn FnMut(Event)) -> Result<()> + 'a;

/// A step on its way: a GPU may still be at it.
struct Launched {
    report: Report,
    /// The rows of each pass, by their numbers in the split.
    rows: Vec<Vec<usize>>,
    tokens: usize,
    reuse: Reuse,
}

/// A forward pass made ready: all of it that does not depend on the parameters.
struct ReadyPass {
    batch: LossBatch,
    placement: Placement,
    /// What each target token weighs in the loss of the step.
    weights: Tensor,
}

/// A row of a step.
struct StepRow<'a> {
    row: &'a EncodedRow,
    /// What each of its target tokens weighs in the loss of the step.
    weight: f64,
}

impl<'a> Trainer<'a> {
    /// A training that begins with these interventions.
    pub fn new(task: Task<'a>, interventions: Interventions) -> Result<Self> {
        let optimizer = AdamW::new(interventions.parameters(), task.plan.optimizer).map_err(engine_failed)?;
        Ok(Self {
            task,
            steps: Steps::of(task.plan, task.rows.len()),
            interventions,
            optimizer,
            best: None,
            ahead: None,
        })
    }

    /// A training that goes on where a checkpoint was saved: the same bits as if it had never stopped.
    ///
    /// # Errors
    /// E0506 where the checkpoint is of another training, E0508 where it cannot be read.
    pub fn resume(task: Task<'a>, interventions: Interventions, path: &Path) -> Result<Self> {
        let steps = Steps::of(task.plan, task.rows.len()).total();
        Self::extend(task, interventions, path, steps)
    }

    /// A training that goes on where one of `steps` steps ended that took the same steps so far.
    ///
    /// # Errors
    /// As [`Trainer::resume`].
    pub fn extend(task: Task<'a>, interventions: Interventions, path: &Path, steps: usize) -> Result<Self> {
        let mut trainer = Self::new(task, interventions)?;
        let expected = Position { steps, ..trainer.position() };
        let (optimizer, position) = checkpoint::read(path, &mut trainer.interventions, task.plan.optimizer, &expected)?;
        (trainer.optimizer, trainer.best) = (optimizer, position.best);
        Ok(trainer)
    }

    /// Saves all that the rest of the training depends on.
    pub fn save_checkpoint(&self, path: &Path) -> Result<()> {
        checkpoint::write(path, &self.interventions, &self.optimizer, &self.position())
    }

    /// The interventions as they are after the steps so far.
    pub fn interventions(&self) -> &Interventions {
        &self.interventions
    }

    /// Optimizer steps taken so far.
    pub fn step(&self) -> usize {
        self.optimizer.step
    }

    /// Optimizer steps of the whole training.
    pub fn steps(&self) -> usize {
        self.steps.total()
    }

    /// What `keep = best(…)` has found so far.
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// Takes a measurement of the parameters as they are now into account; whether it is the best so far.
    pub fn measured(&mut self, value: f64, metric: Metric) -> bool {
        let best = Best::after(self.best, self.step(), value, metric);
        self.best = Some(best);
        best.is_last()
    }

    /// Whether nothing is left to do: all steps are taken, or the patience of `keep = best(…)` is at its end.
    fn is_over(&self) -> bool {
        let patience = match self.task.plan.keep {
            Keep::Best { patience, .. } => patience,
            Keep::Last => None,
        };
        let waited = self.best.map_or(0, |best| best.since);
        self.step() >= self.steps.total() || patience.is_some_and(|patience| waited >= patience)
    }

    /// Takes all steps that are left. `between` is called after each step, for evaluations along the way.
    ///
    /// # Errors
    /// Those of [`Trainer::advance`] and of `between`.
    pub fn run(
        &mut self,
        interrupt: &AtomicBool,
        emit: &mut dyn FnMut(Event),
        between: &mut Between<'_>,
    ) -> Result<Progress> {
        let begun = Instant::now();
        let (step, steps, rows) = (self.step(), self.steps(), self.task.rows.len());
        emit(Event::TrainingStarted { step, steps, epochs: self.steps.epochs, rows });
        loop {
            match self.advance(interrupt, emit)? {
                Progress::Stepped { epoch_ended } => between(self, epoch_ended, emit)?,
                Progress::Interrupted => return Ok(Progress::Interrupted),
                Progress::Finished => {
                    let (steps, seconds) = (self.step(), begun.elapsed().as_secs_f64());
                    emit(Event::TrainingDone { steps, seconds, kept: self.best.map(|best| best.step) });
                    return Ok(Progress::Finished);
                }
            }
        }
    }

    /// Takes one optimizer step, unless all are taken or `interrupt` is set before its gradients are complete.
    ///
    /// # Errors
    /// E0503 where the loss or the gradient is not finite, E0507 where the engine fails; no parameter has moved then.
    pub fn advance(&mut self, interrupt: &AtomicBool, emit: &mut dyn FnMut(Event)) -> Result<Progress> {
        let (step, steps) = (self.optimizer.step, self.steps.total());
        if self.is_over() {
            return Ok(Progress::Finished);
        }
        let begun = Instant::now();
        let Some(Launched { report, rows, tokens, reuse }) = self.launch(step, interrupt)? else {
            return Ok(Progress::Interrupted);
        };
        self.prepare_ahead(step + 1, interrupt);
        let told = self.optimizer.finish(&report).map_err(engine_failed)?;
        if let Some((loss, rows)) = told.losses.iter().zip(&rows).find(|(loss, _)| !loss.is_finite()) {
            return Err(self.not_finite(step, "loss", *loss, rows));
        }
        let gradient_norm = told.gradient_norm;
        if !gradient_norm.is_finite() {
            return Err(self.not_finite(step, "gradient", gradient_norm, &self.rows_of(step)));
        }

        let (loss, learning_rate) = (told.losses.iter().fold(0.0, |sum, loss| sum + loss), self.learning_rate(step));
        let (epoch, epochs) = (self.steps.epoch(step) + 1, self.steps.epochs);
        let seconds = begun.elapsed().as_secs_f64();
        let (step, constant_rows, reused_rows) = (step + 1, reuse.rows, reuse.found);
        emit(Event::StepDone(StepDone {
            step,
            steps,
            epoch,
            loss,
            learning_rate,
            gradient_norm,
            tokens,
            constant_rows,
            reused_rows,
            seconds,
        }));
        let epoch_ended = step % self.steps.per_epoch() == 0;
        if epoch_ended {
            emit(Event::EpochDone(EpochDone { epoch, epochs, step }));
        }
        Ok(Progress::Stepped { epoch_ended })
    }

    /// Sets one step going: the gradients of the mean over its batches of each batch's mean over target tokens, as the trainer of
    /// Hugging Face accumulates, and the parameters moved by them. `None` where it was interrupted, and nothing is moved.
    ///
    /// Rows of all batches go into forward passes together: each target token keeps its weight. Nothing here waits for a GPU.
    fn launch(&mut self, step: usize, interrupt: &AtomicBool) -> Result<Option<Launched>> {
        let mut ahead = self.ahead.take().filter(|(of_step, _)| *of_step == step).map(|(_, pass)| pass);
        let edits = self.interventions.edits().map_err(engine_failed)?;
        let (mut sum, mut losses) = (None::<Gradients>, Vec::new());
        let (mut numbers, mut tokens, mut reuse) = (Vec::new(), 0, Reuse::default());
        for rows in self.forward_passes(step) {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let ready = ahead.take().unwrap_or_else(|| self.prepare(step, &rows)).map_err(engine_failed);
            let Some(ready) = or_interrupted(ready, interrupt)? else { return Ok(None) };
            numbers.push(rows.iter().map(|row| row.row.row).collect());
            tokens += rows.iter().map(|row| input(row.row).tokens.len()).sum::<usize>();
            reuse.rows += ready.batch.reuse.rows;
            reuse.found += ready.batch.reuse.found;
            let passed = self.pass(ready, &edits).map_err(engine_failed);
            let Some((loss, gradients)) = or_interrupted(passed, interrupt)? else { return Ok(None) };
            losses.push(loss);
            match &mut sum {
                Some(sum) => sum.add(&gradients).map_err(engine_failed)?,
                None => sum = Some(gradients),
            }
        }
        let gradients = match sum {
            Some(sum) => sum,
            None => Gradients::zeros(self.optimizer.parameters()).map_err(engine_failed)?,
        };
        let learning_rate = self.learning_rate(step);
        let report = self.optimizer.update(&losses, &gradients, self.task.plan.clip, learning_rate);
        Ok(Some(Launched { report: report.map_err(engine_failed)?, rows: numbers, tokens, reuse }))
    }

    /// While a GPU is at a step, the host makes the first pass of the next one ready. A failure belongs to that step.
    fn prepare_ahead(&mut self, step: usize, interrupt: &AtomicBool) {
        let device = &self.interventions.device;
        if !kernels::serve(device, DType::F32) || step >= self.steps.total() || interrupt.load(Ordering::Relaxed) {
            return;
        }
        if let Some(rows) = self.forward_passes(step).first() {
            self.ahead = Some((step, self.prepare(step, rows)));
        }
    }

    /// The rows of a step, in groups that go through the model together.
    fn forward_passes(&self, step: usize) -> Vec<Vec<StepRow<'a>>> {
        let batches = self.steps.batches(step, self.task.seed);
        let mut rows = Vec::new();
        for batch in &batches {
            let batch = batch.iter().map(|&row| &self.task.rows[row]).filter(|row| row.supervised() > 0);
            let batch: Vec<&EncodedRow> = batch.collect();
            let supervised: usize = batch.iter().map(|row| row.supervised()).sum();
            let weight = 1.0 / (supervised * batches.len()) as f64;
            rows.extend(batch.into_iter().map(|row| StepRow { row, weight }));
        }
        if !self.task.engine.passes().pack {
            return rows.into_iter().map(|row| vec![row]).collect();
        }
        groups(rows, self.task.plan.fit.pass_tokens, |row| self.task.engine.worked_tokens(input(row.row)))
    }

    /// Packs the rows of one forward pass.
    fn prepare(&self, step: usize, rows: &[StepRow<'_>]) -> candle_core::Result<ReadyPass> {
        let Task { engine, plan, seed, .. } = self.task;
        let mut batch = LossBatch::new(engine, &rows.iter().map(|row| row.row).collect::<Vec<_>>())?;
        batch.packed.pass.recompute = plan.fit.recompute;
        let dropout = Dropout { seed, epoch: self.steps.epoch(step) };
        let placement = Placement::new(&self.interventions, &batch.packed, Some(dropout))?;
        let weights = rows.iter().flat_map(|row| std::iter::repeat_n(row.weight as f32, row.row.supervised()));
        Ok(ReadyPass { batch, placement, weights: Tensor::from_iter(weights, engine.decoder.device())? })
    }

    /// One forward and backward pass: what its target tokens add to the loss of the step, `[]`, and the gradients of that.
    fn pass(&self, ready: ReadyPass, edits: &[Edit]) -> candle_core::Result<(Tensor, Gradients)> {
        let ReadyPass { batch, placement, weights } = ready;
        let losses = batch.losses(self.task.engine.decoder, &placement.with(edits))?;
        let loss = (losses * weights)?.sum_all()?;
        let gradients = Gradients::of(&loss, self.optimizer.parameters())?;
        // Detached: it would keep the graph until the step ends.
        Ok((loss.detach(), gradients))
    }

    fn learning_rate(&self, step: usize) -> f64 {
        self.task.plan.learning_rate * self.task.plan.schedule.factor(step, self.steps.total())
    }

    /// The numbers of a step's rows in their split.
    fn rows_of(&self, step: usize) -> Vec<usize> {
        self.steps.batches(step, self.task.seed).concat().into_iter().map(|row| self.task.rows[row].row).collect()
    }

    fn position(&self) -> Position {
        Position {
            step: self.optimizer.step,
            steps: self.steps.total(),
            rows: self.task.rows.len(),
            seed: self.task.seed,
            best: self.best,
        }
    }

    fn not_finite(&self, step: usize, what: &str, value: f64, rows: &[usize]) -> Box<Diagnostic> {
        let rate = self.learning_rate(step);
        let numbers: Vec<String> = rows.iter().map(ToString::to_string).collect();
        let message = format!("the {what} is {value} at step {} of {}", step + 1, self.steps.total());
        let note = format!("learning rate {rate:e}; rows {} of the training rows (from 0)", numbers.join(", "));
        let help = format!("set a lower rate: `lr = {:.0e}`", self.task.plan.learning_rate / 3.0);
        Box::new(Diagnostic::new(Code::LossNotFinite, message).note(note).help(help))
    }
}
