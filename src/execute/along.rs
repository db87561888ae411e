//! Evaluations along the way of a training.

use super::batch::Steps;
use super::engine::Engine;
use super::evaluate::{Task, evaluate};
use super::event::{Event, Subject};
use super::generate::Generator;
use super::loaded::LoadedModel;
use super::rows::eval_rows;
use super::train::Trainer;
use crate::data::encode::EncodedRow;
use crate::diag::Result;
use crate::plan::{Eval, Experiment, When};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

/// The evaluations of an experiment that are due before its training ends.
pub struct Along<'a> {
    evals: Vec<(&'a Eval, Vec<EncodedRow>)>,
    model: &'a LoadedModel,
    engine: &'a Engine<'a>,
    /// Optimizer steps of an epoch.
    per_epoch: usize,
}

impl<'a> Along<'a> {
    /// Reads the rows of these evaluations.
    pub fn new(
        experiment: &'a Experiment,
        model: &'a LoadedModel,
        engine: &'a Engine<'a>,
        steps: Steps,
    ) -> Result<Self> {
        let along = experiment.evals.iter().filter(|eval| eval.when != When::End);
        let evals: Result<Vec<_>> = along.map(|eval| Ok((eval, eval_rows(experiment, eval, model)?))).collect();
        Ok(Self { evals: evals?, model, engine, per_epoch: steps.per_epoch().max(1) })
    }

    /// Measures what is due after the steps taken so far, but for what is `measured`; stops early where `interrupt` is
    /// set. What is due at the last step is left: the evaluation that follows the training measures the same.
    pub fn measure(
        &self,
        trainer: &Trainer<'_>,
        measured: &BTreeSet<String>,
        interrupt: &AtomicBool,
        emit: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let step = trainer.step();
        let is_due = |eval: &Eval| match eval.when {
            When::Epoch => step.is_multiple_of(self.per_epoch),
            When::Steps(count) => step.is_multiple_of(count),
            When::End => false,
        };
        if step == 0 || step >= trainer.steps() {
            return Ok(());
        }
        for (eval, rows) in self.evals.iter().filter(|(eval, _)| is_due(eval) && !measured.contains(&eval.name)) {
            let generator = Generator::new(self.engine, Some(trainer.interventions()))?;
            let task = Task { eval, rows, tokenizer: &self.model.tokenizer, subject: Subject::Tuned };
            if evaluate(task, &generator, interrupt, emit)?.is_none() {
                break;
            }
        }
        Ok(())
    }
}
