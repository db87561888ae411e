//! `--format json`: what happens as lines of JSON on stdout, for other programs. `docs/events.md` describes them.

use super::output::Output;
use crate::diag::Diagnostic;
use crate::digest;
use crate::execute::event::Event;
use crate::execute::experiment::Outcome;
use crate::plan::{Experiment, PointValue};
use crate::store::result::{RunResult, Timings};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The version of the lines. It moves where a line loses something or means something else, not where it gains something.
pub const VERSION: u32 = 1;

/// Writes events as lines, or nothing where people are reading.
#[derive(Clone, Copy)]
pub struct Events<'a> {
    output: &'a Output,
    is_on: bool,
    experiment: &'a str,
    point: &'a [PointValue],
}

/// What happens around the stages of an experiment.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Around<'a> {
    /// An experiment begins.
    RunStarted { training_hash: &'a str, parameters: u64, seed: u64 },
    /// It has ended, by itself or by an interrupt.
    RunDone { folder: &'a Path, interrupted: bool, up_to_date: bool, result: &'a RunResult, timings: &'a Timings },
    /// It could not go on.
    RunFailed { code: &'a str, message: &'a str, help: &'a [String] },
    /// Watched files were saved; whether what the spec denotes is another now, and whether the run under way was left for it.
    Saved { files: &'a [PathBuf], changed: bool, left: bool },
    /// The spec, or its lock, has errors, which are told as findings; nothing new is run.
    SpecBroken,
    /// Nothing is under way until a file is saved.
    Watching { files: usize },
}

/// What every line has.
#[derive(Serialize)]
struct Line<'a, T> {
    version: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    experiment: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    point: &'a [PointValue],
    #[serde(flatten)]
    event: &'a T,
}

impl<'a> Events<'a> {
    /// A stream that is of no experiment yet.
    pub fn new(is_on: bool, output: &'a Output) -> Self {
        Self { output, is_on, experiment: "", point: &[] }
    }

    /// The same stream, about this experiment.
    #[must_use]
    pub fn about(self, experiment: &'a Experiment) -> Self {
        Self { experiment: &experiment.name, point: &experiment.point, ..self }
    }

    /// Writes an event of the engine.
    pub fn tell(&self, event: &Event) {
        self.line(event);
    }

    /// Writes what happens around the stages.
    pub fn around(&self, event: &Around<'_>) {
        self.line(event);
    }

    /// That an experiment begins.
    pub fn started(&self, experiment: &Experiment) {
        let (parameters, seed) = (experiment.parameters.interventions, experiment.seed);
        self.line(&Around::RunStarted { training_hash: &experiment.hashes.training, parameters, seed });
    }

    /// How an experiment has ended.
    pub fn ended(&self, outcome: &Outcome) {
        let Outcome { folder, result, timings, interrupted, up_to_date } = outcome;
        let (interrupted, up_to_date) = (*interrupted, *up_to_date);
        self.line(&Around::RunDone { folder, interrupted, up_to_date, result, timings });
    }

    /// That it could not go on.
    pub fn failed(&self, diagnostic: &Diagnostic) {
        let Diagnostic { message, help, .. } = diagnostic;
        self.line(&Around::RunFailed { code: diagnostic.code.as_str(), message, help });
    }

    fn line(&self, event: &impl Serialize) {
        if self.is_on {
            let line = Line { version: VERSION, experiment: self.experiment, point: self.point, event };
            self.output.data(&format!("{}\n", digest::json(&line)));
        }
    }
}
