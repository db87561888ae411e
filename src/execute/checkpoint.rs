//! Checkpoints: a training between two optimizer steps, in one file.
//!
//! Rows, masks and the rate follow from the step and the seed, so beside the parameters only Adam's moments are kept.

use super::best::Best;
use super::optimizer::{AdamW, Moments};
use crate::diag::{Code, Diagnostic, Result};
use crate::intervention::units::Interventions;
use crate::intervention::{engine_failed, save, tensor_file};
use crate::plan::Optimizer;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How far a training is, and facts that must be the same to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Optimizer steps taken.
    pub step: usize,
    pub steps: usize,
    pub rows: usize,
    pub seed: u64,
    /// What `keep = best(…)` has found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// Writes a checkpoint beside its place and renames it.
pub fn write(path: &Path, interventions: &Interventions, optimizer: &AdamW, position: &Position) -> Result<()> {
    let mut tensors = save::tensors(interventions).map_err(engine_failed)?;
    for (parameter, moments) in optimizer.parameters().iter().zip(&optimizer.moments) {
        tensors.insert(first(&parameter.name), moments.first.clone());
        tensors.insert(second(&parameter.name), moments.second.clone());
    }
    tensor_file::write(path, &tensors, position)
}

/// Puts a checkpoint into interventions, and gives the optimizer that they had and how far they were; `expected` is the
/// position of a fresh start.
///
/// # Errors
/// E0506 where the checkpoint is of another training, E0508 where it cannot be read.
pub fn read(
    path: &Path,
    interventions: &mut Interventions,
    settings: Optimizer,
    expected: &Position,
) -> Result<(AdamW, Position)> {
    let (mut tensors, position) = tensor_file::read::<Position>(path)?;
    if position != (Position { step: position.step, best: position.best, ..expected.clone() }) {
        let message = format!("the checkpoint `{}` is of another training", path.display());
        let note = format!(
            "it has {} steps over {} rows with seed {}, the spec {} steps over {} rows with seed {}",
            position.steps, position.rows, position.seed, expected.steps, expected.rows, expected.seed
        );
        let help = "put the spec back as it was, or delete the run's folder to train from the start";
        return Err(Box::new(Diagnostic::new(Code::InterventionMismatch, message).note(note).help(help)));
    }
    let mut moments = Vec::new();
    for parameter in interventions.parameters() {
        let mut moment = |name: String| {
            let value = save::find(&tensors, &name, parameter.variable.dims(), path)?;
            tensors.remove(&name);
            value.to_device(parameter.variable.device()).map_err(engine_failed)
        };
        moments.push(Moments { first: moment(first(&parameter.name))?, second: moment(second(&parameter.name))? });
    }
    save::restore(interventions, &tensors, path)?;
    // Parameters know where their rotations start, which they do from now on.
    Ok((AdamW::resumed(interventions.parameters(), settings, moments, position.step), position))
}

fn first(name: &str) -> String {
    format!("{name}.first_moment")
}

fn second(name: &str) -> String {
    format!("{name}.second_moment")
}
