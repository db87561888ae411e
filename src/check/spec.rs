//! What a file says, after every check: names resolved, types and facts proved, places kept for blame.

use crate::data::answer::Extractor;
use crate::data::choices::Choices;
use crate::data::metric::Metric;
use crate::data::report::{Count, RowShape};
use crate::data::split::Split;
use crate::data::template::Template;
use crate::intervention::Intervention;
use crate::intervention::saved::Start;
use crate::model::config::{ModelConfig, ModelSource, Precision};
use crate::model::known::ModelDigests;
use crate::source::Span;
use serde::{Deserialize, Serialize};

/// The checked experiments of a file, in written order. One with errors is left out.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub experiments: Vec<Experiment>,
    /// The sweeps, in written order.
    pub sweeps: Vec<Sweep>,
}

/// One checked experiment.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    pub doc: String,
    pub span: Span,
    pub seed: u64,
    pub model: Model,
    pub interventions: Vec<Intervention>,
    /// The saved blocks that some of them start from, in their order.
    pub starts: Vec<Start>,
    pub train: Train,
    pub evals: Vec<Eval>,
    /// The values of its sweep; empty where there is none.
    pub point: Vec<PointValue>,
    pub expectations: Vec<Expectation>,
    /// Where each field was set, in the order of the tables.
    pub origins: Vec<FieldOrigin>,
}

/// A field, its value as it is written there, and where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOrigin {
    /// `train.lr`, `intervene.edit.rank`, `data.reviews.prompt`
    pub path: String,
    pub value: String,
    /// `None` for a default.
    pub place: Option<Span>,
}

/// A value at a point of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointValue {
    /// `train.lr`
    pub path: String,
    /// As written, or as computed.
    pub value: String,
}

/// A point for messages: `` `train.lr = 1e-3`, `seed = 42` ``.
pub fn point_text(values: &[PointValue]) -> String {
    let values = values.iter().map(|value| format!("`{} = {}`", value.path, value.value));
    values.collect::<Vec<_>>().join(", ")
}

/// Experiments of one name, a point each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    pub experiment: String,
    /// How the best point is chosen.
    pub select: Option<Selection>,
}

/// `max(eval.dev.exact_match)`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    pub eval: String,
    pub metric: Metric,
    /// The highest mean over seeds is best, not the lowest.
    pub highest: bool,
}

/// A comparison that an experiment promises to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub promised: Promised,
    /// The left side, `eval.test.exact_match`.
    pub name: String,
    pub comparison: Comparison,
    pub value: f64,
    /// The right side as it is written.
    pub written: String,
    pub span: Span,
}

/// What a comparison is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promised {
    /// Known before a run.
    Planned(Quantity),
    /// The score of the eval of that number.
    Measured(usize),
    /// The loss of the last step.
    Loss,
}

/// A number of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Interventions,
    Model,
    Share,
    Weights,
    Training,
    Cache,
    Written,
    Planned,
    Constant,
    Steps,
}

impl Quantity {
    /// Every quantity.
    pub const ALL: &'static [Self] = &[
        Self::Interventions,
        Self::Model,
        Self::Share,
        Self::Weights,
        Self::Training,
        Self::Cache,
        Self::Written,
        Self::Planned,
        Self::Constant,
        Self::Steps,
    ];

    /// As it is written in `expect`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interventions => "params.interventions",
            Self::Model => "params.model",
            Self::Share => "params.share",
            Self::Weights => "memory.weights",
            Self::Training => "memory.training",
            Self::Cache => "memory.cache",
            Self::Written => "flops.written",
            Self::Planned => "flops.planned",
            Self::Constant => "flops.constant",
            Self::Steps => "train.steps",
        }
    }

    /// Whether it is counted in bytes.
    pub const fn is_size(self) -> bool {
        matches!(self, Self::Weights | Self::Training | Self::Cache)
    }
}

/// `>=` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Comparison {
    /// As it is written.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// The comparison that is written so.
    pub fn find(sign: &str) -> Option<Self> {
        let all = [Self::Equal, Self::NotEqual, Self::Less, Self::AtMost, Self::More, Self::AtLeast];
        all.into_iter().find(|comparison| comparison.sign() == sign)
    }

    /// Whether it holds; never for what is no number. Equal numbers may differ by what a decimal fraction loses as a float.
    pub fn holds(self, left: f64, right: f64) -> bool {
        let equal = (left - right).abs() <= 1e-9 * left.abs().max(right.abs());
        match self {
            Self::Equal => equal,
            Self::NotEqual => !equal && !left.is_nan(),
            Self::Less => left < right && !equal,
            Self::AtMost => left <= right || equal,
            Self::More => left > right && !equal,
            Self::AtLeast => left >= right || equal,
        }
    }
}

/// A model and its facts.
#[derive(Clone, Debug)]
pub struct Model {
    pub source: ModelSource,
    pub precision: Precision,
    pub config: ModelConfig,
    pub digests: ModelDigests,
}

/// The checked training block.
#[derive(Clone, Debug)]
pub struct Train {
    pub span: Span,
    /// One after the other.
    pub splits: Vec<CheckedSplit>,
    /// What the rows of all splits are like together.
    pub facts: SplitFacts,
    pub epochs: usize,
    pub batch: usize,
    pub accumulate: usize,
    pub learning_rate: f64,
    pub schedule: ScheduleShape,
    /// Share of the steps that rise from 0.
    pub warmup: f64,
    pub optimizer: Optimizer,
    pub clip: Option<f64>,
    /// Activations are computed again in the backward pass.
    pub recompute: bool,
    pub keep: Keep,
}

impl Train {
    /// Optimizer steps of the whole training.
    pub fn steps(&self) -> usize {
        optimizer_steps(self.facts.usable, self.batch, self.accumulate) * self.epochs
    }
}

/// Optimizer steps of an epoch. A last group of fewer rows, or of fewer forward passes, is a step of its own.
pub fn optimizer_steps(rows: usize, batch: usize, accumulate: usize) -> usize {
    rows.div_ceil(batch).div_ceil(accumulate)
}

/// Which parameters a training ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those after the last step.
    #[default]
    Last,
    /// Those that an evaluation along the way measured best, the earliest of equally good ones.
    Best {
        eval: String,
        metric: Metric,
        /// Training stops after so many measurements without a better one.
        patience: Option<usize>,
    },
}

impl Keep {
    /// Whether it is the parameters after the last step.
    pub fn is_last(&self) -> bool {
        *self == Keep::Last
    }
}

/// A split and what was found in its rows.
#[derive(Clone, Debug)]
pub struct CheckedSplit {
    pub split: Split,
    /// SHA-256 of the data's files.
    pub digest: String,
    pub facts: SplitFacts,
}

/// What the rows of a split are like as tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitFacts {
    /// Rows after slices.
    pub rows: usize,
    /// Rows that have a target token after truncation.
    pub usable: usize,
    /// Prompt tokens, mean over the rows.
    pub mean_prompt: f64,
    /// Prompt and target tokens, mean over the rows.
    pub mean_tokens: f64,
    /// Prompt and target tokens of the longest row.
    pub longest_tokens: usize,
    /// The usable rows that were tokenised, by their lengths.
    pub shapes: Vec<RowShape>,
    /// Leading tokens that the prompts of all those rows have in common.
    pub shared_start: usize,
}

/// A checked evaluation.
#[derive(Clone, Debug)]
pub struct Eval {
    pub name: String,
    pub span: Span,
    pub split: CheckedSplit,
    pub when: When,
    pub max_tokens: usize,
    pub answer: Extractor,
    pub gold: Option<Template>,
    pub choices: Option<Choices>,
    pub metric: Metric,
    pub baseline: bool,
    pub batch: usize,
    /// How many of the rows are trained on.
    pub trained_rows: Count,
}

/// The shape of a schedule after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleShape {
    Linear,
    Cosine,
    Constant,
}

/// AdamW with decoupled weight decay; decay never touches rotations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// When an evaluation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    End,
    Epoch,
    /// Every so many optimizer steps.
    Steps(usize),
}
