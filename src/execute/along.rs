//! Evaluations along the way of a training.

use super::batch::Steps;
use super::engine::Engine;
use super::evaluate::{Answers, Task, evaluate};
use super::event::{Event, Subject};
use super::generate::Generator;
use super::loaded::LoadedModel;
use super::rows::eval_rows;
use super::train::Trainer;
use crate::data::encode::EncodedRow;
use crate::diag::Result;
use crate::intervention::save;
use crate::plan::{Eval, Experiment, Keep, When};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// The evaluations of an experiment that are due before its training ends.
pub struct Along<'a> {
    evals: Vec<(&'a Eval, Vec<EncodedRow>)>,
    model: &'a LoadedModel,
    engine: &'a Engine<'a>,
    /// Optimizer steps of an epoch.
    per_epoch: usize,
    /// The evaluation that `keep = best(…)` chooses by, and the folder for the interventions that it found best.
    chooses: Option<&'a str>,
    best: PathBuf,
}

impl<'a> Along<'a> {
    /// Reads the rows of these evaluations.
    pub fn new(
        experiment: &'a Experiment,
        model: &'a LoadedModel,
        engine: &'a Engine<'a>,
        steps: Steps,
        best: PathBuf,
    ) -> Result<Self> {
        let along = experiment.evals.iter().filter(|eval| eval.when != When::End);
        let evals: Result<Vec<_>> = along.map(|eval| Ok((eval, eval_rows(experiment, eval, &model.found)?))).collect();
        let chooses = match &experiment.train.keep {
            Keep::Best { eval, .. } => Some(eval.as_str()),
            Keep::Last => None,
        };
        Ok(Self { evals: evals?, model, engine, per_epoch: steps.per_epoch().max(1), chooses, best })
    }

    /// Measures what is due after the steps taken so far, but for what is `measured`; stops early where `interrupt` is
    /// set. What is due at the last step is left, as the evaluation that follows the training measures the same; but not
    /// what chooses the parameters that are kept.
    pub fn measure(
        &self,
        trainer: &mut Trainer<'_>,
        measured: &BTreeSet<String>,
        interrupt: &AtomicBool,
        emit: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let step = trainer.step();
        let (is_last, chosen_at) = (step >= trainer.steps(), trainer.best().map(|best| best.last));
        let is_due = |eval: &Eval| {
            let due = match eval.when {
                When::Epoch => step.is_multiple_of(self.per_epoch),
                When::Steps(count) => step.is_multiple_of(count),
                When::End => false,
            };
            let done = match self.chooses(eval) {
                true => chosen_at == Some(step),
                false => is_last || measured.contains(&eval.name),
            };
            due && !done
        };
        if step == 0 {
            return Ok(());
        }
        for (eval, rows) in self.evals.iter().filter(|(eval, _)| is_due(eval)) {
            let generator = Generator::new(self.engine, Some(trainer.interventions()))?;
            let answers = Answers::Given { generator: &generator, tokenizer: &self.model.tokenizer };
            let task = Task { eval, rows, answers, subject: Subject::Tuned };
            let Some(score) = evaluate(task, interrupt, emit)? else { break };
            if self.chooses(eval) && trainer.measured(score.value, score.metric) {
                save::save(&self.best, trainer.interventions())?;
                let (eval, metric, value) = (eval.name.clone(), score.metric, score.value);
                emit(Event::Improved { eval, metric, value, step });
            }
        }
        Ok(())
    }

    fn chooses(&self, eval: &Eval) -> bool {
        self.chooses == Some(eval.name.as_str())
    }
}
