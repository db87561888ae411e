//! The stages of a plan as a table: which are fresh, which will run, and why.

use super::sweep;
use super::table::{Align, Style, Table};
use super::units;
use crate::plan::PointValue;
use crate::store::stages::{Stage, State};
use serde::Serialize;
use std::path::Path;

/// The stages of one experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExperimentStages {
    pub experiment: String,
    /// The values of its sweep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub point: Vec<PointValue>,
    pub stages: Vec<Stage>,
}

/// A row for each stage, and in how many there is something to do.
pub fn text(all: &[ExperimentStages], runs: &Path, style: Style) -> String {
    let mut table = Table::new(&["stage", "hash", "state", "why"].map(|title| (title, Align::Left)));
    for one in all {
        let point = if one.point.is_empty() { String::new() } else { format!("  [{}]", sweep::label(&one.point)) };
        for (number, stage) in one.stages.iter().enumerate() {
            let experiment = if all.len() > 1 { format!("{}{point}: ", one.experiment) } else { String::new() };
            // The name stands with the first stage only.
            let indented = if number == 0 || experiment.is_empty() { experiment } else { "  ".to_owned() };
            let name = format!("{indented}{}", stage.name);
            let hash = units::short_hash(&stage.hash).to_owned();
            table.push([name, hash, state(stage), stage.reasons.join("; ")]);
        }
    }
    let stages = || all.iter().flat_map(|one| &one.stages);
    let fresh = stages().filter(|stage| stage.state == State::Finished).count();
    let count = units::counted(stages().count(), "stage");
    format!("{}{fresh} of {count} fresh in {}\n", table.text(style), runs.display())
}

fn state(stage: &Stage) -> String {
    match &stage.state {
        State::Finished => "fresh".to_owned(),
        State::Resumes { step, steps } => format!("goes on after step {step} of {steps}"),
        State::Continues { run, step } => format!("goes on after step {step} of {run}"),
        State::Rescores => "scores kept outputs anew".to_owned(),
        State::Runs => "will run".to_owned(),
    }
}
