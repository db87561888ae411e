//! The training loop: frozen model, trainable interventions.

use super::batch::{LossBatch, Steps, forward_passes};
use super::checkpoint::{self, Position};
use super::event::{EpochDone, Event, StepDone};
use super::optimizer::{AdamW, Gradients};
use crate::data::encode::EncodedRow;
use crate::diag::{Code, Diagnostic, Result};
use crate::intervention::edits::{BatchEdits, Dropout};
use crate::intervention::engine_failed;
use crate::intervention::formula::Edit;
use crate::intervention::units::Interventions;
use crate::model::config::ModelConfig;
use crate::model::decoder::Decoder;
use crate::plan::Train;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What is trained, and on what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub decoder: &'a Decoder,
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
    /// Tokens of one forward pass, see [`Trainer::limit_pass`].
    pass_tokens: usize,
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
pub type Between<'a> = dyn FnMut(&Trainer<'_>, bool, &mut dyn FnMut(Event)) -> Result<()> + 'a;

/// Gradients of one optimizer step.
struct StepGradients {
    gradients: Gradients,
    loss: f64,
    tokens: usize,
}

impl<'a> Trainer<'a> {
    /// A training that begins with these interventions.
    pub fn new(task: Task<'a>, interventions: Interventions) -> Result<Self> {
        let optimizer = AdamW::new(interventions.parameters(), task.plan.optimizer).map_err(engine_failed)?;
        let steps = Steps::of(task.plan, task.rows.len());
        let pass_tokens = pass_tokens(task.decoder.config());
        Ok(Self { task, steps, interventions, optimizer, pass_tokens })
    }

    /// A training that goes on where a checkpoint was saved: the same bits as if it had never stopped.
    ///
    /// # Errors
    /// E0506 where the checkpoint is of another training, E0508 where it cannot be read.
    pub fn resume(task: Task<'a>, interventions: Interventions, path: &Path) -> Result<Self> {
        let mut trainer = Self::new(task, interventions)?;
        let expected = trainer.position();
        checkpoint::read(path, &mut trainer.interventions, &mut trainer.optimizer, &expected)?;
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

    /// Runs rows of one batch in forward passes of at most this many tokens. Every token keeps its weight, so this changes memory
    /// and time, and results by rounding only. The default follows from the model's shape, never from the machine.
    pub fn limit_pass(&mut self, tokens: usize) {
        self.pass_tokens = tokens;
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
                    emit(Event::TrainingDone { steps, seconds: begun.elapsed().as_secs_f64() });
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
        if step >= steps {
            return Ok(Progress::Finished);
        }
        let begun = Instant::now();
        let Some(mut sum) = self.gradients(step, interrupt)? else {
            return Ok(Progress::Interrupted);
        };
        let gradient_norm = sum.gradients.clip(self.task.plan.clip).map_err(engine_failed)?;
        if !gradient_norm.is_finite() {
            return Err(self.not_finite(
                step,
                "gradient",
                gradient_norm,
                &self.steps.batches(step, self.task.seed).concat(),
            ));
        }
        let learning_rate = self.learning_rate(step);
        self.optimizer.update(&sum.gradients, learning_rate).map_err(engine_failed)?;

        let StepGradients { loss, tokens, .. } = sum;
        let (epoch, epochs) = (self.steps.epoch(step) + 1, self.steps.epochs);
        let seconds = begun.elapsed().as_secs_f64();
        let step = step + 1;
        emit(Event::StepDone(StepDone { step, steps, epoch, loss, learning_rate, gradient_norm, tokens, seconds }));
        let epoch_ended = step % self.steps.per_epoch() == 0;
        if epoch_ended {
            emit(Event::EpochDone(EpochDone { epoch, epochs, step }));
        }
        Ok(Progress::Stepped { epoch_ended })
    }

    /// The gradients of one step: the mean over its batches of each batch's mean over target tokens, as the trainer of
    /// Hugging Face accumulates. `None` where it was interrupted.
    fn gradients(&self, step: usize, interrupt: &AtomicBool) -> Result<Option<StepGradients>> {
        let edits = self.interventions.edits().map_err(engine_failed)?;
        let batches = self.steps.batches(step, self.task.seed);
        let mut sum: Option<Gradients> = None;
        let (mut step_loss, mut tokens) = (0.0, 0);
        for batch in &batches {
            let rows = batch.iter().map(|&row| &self.task.rows[row]).filter(|row| row.supervised() > 0);
            let rows: Vec<&EncodedRow> = rows.collect();
            let supervised: usize = rows.iter().map(|row| row.supervised()).sum();
            let mut batch_loss = 0.0;
            for pass in forward_passes(&rows, self.pass_tokens) {
                if interrupt.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let pass = LossBatch::new(&pass);
                let share = pass.targets.len() as f64 / supervised as f64;
                let (loss, gradients) =
                    self.pass(step, &edits, &pass, share / batches.len() as f64).map_err(engine_failed)?;
                batch_loss += loss * share;
                tokens += pass.rows.tokens().len();
                match &mut sum {
                    Some(sum) => sum.add(&gradients).map_err(engine_failed)?,
                    None => sum = Some(gradients),
                }
            }
            if !batch_loss.is_finite() {
                return Err(self.not_finite(step, "loss", batch_loss, batch));
            }
            step_loss += batch_loss / batches.len() as f64;
        }
        let gradients = match sum {
            Some(sum) => sum,
            None => Gradients::zeros(self.optimizer.parameters()).map_err(engine_failed)?,
        };
        Ok(Some(StepGradients { gradients, loss: step_loss, tokens }))
    }

    /// One forward and backward pass: the mean loss of its target tokens, and the gradients of that times `weight`.
    fn pass(
        &self,
        step: usize,
        edits: &[Edit],
        pass: &LossBatch,
        weight: f64,
    ) -> candle_core::Result<(f64, Gradients)> {
        let dropout = Dropout { seed: self.task.seed, epoch: self.steps.epoch(step) };
        let edits = BatchEdits::new(&self.interventions, edits, &pass.prompts, Some(dropout))?;
        let loss = pass.losses(self.task.decoder, &edits)?.mean_all()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        Ok((value, Gradients::of(&(loss * weight)?, self.optimizer.parameters())?))
    }

    fn learning_rate(&self, step: usize) -> f64 {
        self.task.plan.learning_rate * self.task.plan.schedule.factor(step, self.steps.total())
    }

    fn position(&self) -> Position {
        Position {
            step: self.optimizer.step,
            steps: self.steps.total(),
            rows: self.task.rows.len(),
            seed: self.task.seed,
        }
    }

    fn not_finite(&self, step: usize, what: &str, value: f64, rows: &[usize]) -> Box<Diagnostic> {
        let rate = self.learning_rate(step);
        let numbers: Vec<String> = rows.iter().map(|&row| self.task.rows[row].row.to_string()).collect();
        let message = format!("the {what} is {value} at step {} of {}", step + 1, self.steps.total());
        let note = format!("learning rate {rate:e}; rows {} of the training split (from 0)", numbers.join(", "));
        let help = format!("set a lower rate: `lr = {:.0e}`", self.task.plan.learning_rate / 3.0);
        Box::new(Diagnostic::new(Code::LossNotFinite, message).note(note).help(help))
    }
}

/// Bytes of what a forward pass keeps for its backward pass.
const PASS_BYTES: usize = 2 << 30;

/// Tokens of one forward pass. For each layer a token keeps the inputs of both halves of the block, queries, keys and values, gate and
/// up, and the states that an edit copies.
fn pass_tokens(config: &ModelConfig) -> usize {
    let attention = (config.heads + 2 * config.key_value_heads) * config.head_dim;
    let floats = 4 * config.hidden_size + attention + 2 * config.intermediate_size;
    (PASS_BYTES / (4 * floats * config.layers).max(1)).max(512)
}
