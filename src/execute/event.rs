//! What the engine tells while it works. Progress bars, `metrics.jsonl` and tables are made of these.

use crate::data::metric::{Majority, Metric};
use crate::store::stages::Stage;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// How far a stage is before anything is done.
    Stage(Stage),
    /// Training begins, or goes on after `step` steps.
    TrainingStarted {
        step: usize,
        steps: usize,
        epochs: usize,
        rows: usize,
    },
    StepDone(StepDone),
    EpochDone(EpochDone),
    /// `keep = best(…)` has a better measurement than all before.
    Improved {
        eval: String,
        metric: Metric,
        value: f64,
        /// Optimizer steps taken so far.
        step: usize,
    },
    /// All steps are taken, or no more are needed; seconds of this process.
    TrainingDone {
        steps: usize,
        seconds: f64,
        /// The step whose parameters are kept, where the best measurement decides.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<usize>,
    },
    EvalStarted {
        eval: String,
        subject: Subject,
        rows: usize,
        /// The outputs are those of an earlier evaluation.
        reused: bool,
    },
    EvalRow {
        eval: String,
        subject: Subject,
        record: Record,
    },
    EvalDone {
        eval: String,
        subject: Subject,
        score: Score,
    },
    /// A file or folder of the run is complete.
    Artefact {
        path: PathBuf,
    },
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepDone {
    /// From 1.
    pub step: usize,
    pub steps: usize,
    /// From 1.
    pub epoch: usize,
    /// The mean of the losses of the step's batches, each the mean over its target tokens, before the step.
    pub loss: f64,
    /// The rate that the step was taken with.
    pub learning_rate: f64,
    /// Before clipping.
    pub gradient_norm: f64,
    /// Input tokens of the step's rows.
    pub tokens: usize,
    /// Rows of the step that have constant states, and those of them whose constants were taken from the cache.
    pub constant_rows: usize,
    pub reused_rows: usize,
    pub seconds: f64,
}

/// One pass over the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochDone {
    /// From 1.
    pub epoch: usize,
    pub epochs: usize,
    /// Optimizer steps taken so far.
    pub step: usize,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The untouched model.
    Baseline,
    /// The model with the intervention.
    Tuned,
}

/// One row of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The number of the row in its split.
    pub row: usize,
    pub prompt: String,
    /// The new text, or the choice that is taken; empty where there is neither.
    pub output: String,
    /// `None` where the extractor found none.
    pub answer: Option<String>,
    pub gold: String,
    pub correct: bool,
    /// The summed loss of the target's tokens, and their number, where the metric is taken from losses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<TargetLoss>,
    /// Every choice, in written order, where choices are scored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ChoiceScore>,
}

/// How likely a choice is after the prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceScore {
    pub choice: String,
    /// The sum or the mean of the log-likelihoods (natural logarithms) of its tokens.
    pub score: f64,
    pub tokens: usize,
}

/// The loss of a target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TargetLoss {
    pub sum: f64,
    pub tokens: usize,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub metric: Metric,
    /// A share from 0 to 1, or the perplexity.
    pub value: f64,
    pub rows: usize,
    pub correct: usize,
    /// What always giving the commonest gold would score.
    pub majority: Option<Majority>,
    /// Tokens generated, or tokens of targets or choices whose loss was taken.
    pub tokens: usize,
    pub seconds: f64,
}
