//! The plan: plain data that says all that a run will do, and the only thing that `execute` reads.
//!
//! Equal plans have equal bytes, but for the places of their fields. Paths say where a file is on this machine; hashes are over contents, never over paths.

pub mod cost;
mod field;
mod hash;
mod lower;
mod memory;
pub mod passes;
mod schedule;

pub use field::{Field, Place};
pub use hash::NUMERICS;
pub use lower::lower;

use crate::data::answer::Extractor;
use crate::data::choices::Choices;
use crate::data::metric::Metric;
use crate::data::positions::RowTokens;
use crate::data::template::Template;
use crate::model::config::{ModelConfig, ModelSource, Precision};
use passes::Passes;
use serde::{Deserialize, Serialize};

pub use crate::check::spec::{Keep, Optimizer, PointValue, ScheduleShape, Selection, Sweep, When, optimizer_steps};
pub use crate::data::split::{Overlong, Split};
pub use crate::intervention::saved::Start;
pub use crate::intervention::{Activation, At, Intervention};

/// Everything that one spec file runs, in written order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub experiments: Vec<Experiment>,
    /// The sweeps that some of them are points of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweeps: Vec<Sweep>,
}

/// One experiment, every default written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub name: String,
    pub doc: String,
    /// The values of its sweep; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub point: Vec<PointValue>,
    pub seed: u64,
    pub model: Model,
    pub interventions: Vec<Intervention>,
    /// The saved blocks that some of them start from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
    pub train: Train,
    pub evals: Vec<Eval>,
    /// What may be left out or moved; in no hash, for results do not depend on it.
    #[serde(default)]
    pub passes: Passes,
    pub parameters: Parameters,
    pub cost: Cost,
    /// A training row of about the mean length, where the tokens that are edited depend on the texts of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<RowTokens>,
    pub hashes: Hashes,
    /// Every field as it was set, and where; in no hash. The compiler fills it in, which knows the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// The frozen model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub source: ModelSource,
    /// The digest of config and weights, where they were at hand.
    #[serde(default)]
    pub weights: Option<String>,
    pub precision: Precision,
    pub config: ModelConfig,
}

/// The training stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// One after the other.
    pub splits: Vec<TrainSplit>,
    pub epochs: usize,
    /// Rows of one forward pass.
    pub batch: usize,
    /// Forward passes of one optimizer step.
    pub accumulate: usize,
    pub learning_rate: f64,
    pub schedule: Schedule,
    pub optimizer: Optimizer,
    /// Gradients are scaled down to this norm; `None` leaves them.
    pub clip: Option<f64>,
    #[serde(default, skip_serializing_if = "Keep::is_last")]
    pub keep: Keep,
    /// How the steps are fitted into memory; it changes no bit of a result.
    pub fit: Fit,
    /// Optimizer steps of the whole training.
    pub steps: usize,
    /// Rows after slices; rows without a target are not yet taken out.
    pub rows: usize,
}

/// Rows that are trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSplit {
    #[serde(flatten)]
    pub split: Split,
    /// Those that have a target token after truncation.
    pub rows: usize,
}

/// How much of a step goes through the model at once, and what is kept of it for the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Tokens of a forward pass at most; but one row is never split.
    pub pass_tokens: usize,
    /// Blocks keep their input only, and work out the rest again.
    pub recompute: bool,
}

/// By what means a plan is run; nothing that results depend on but for rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Means {
    pub passes: Passes,
    /// Bytes that the process may hold in training.
    pub memory_budget: Option<u64>,
}

/// How the learning rate moves over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub shape: ScheduleShape,
    /// Share of the steps over which the rate rises from 0, and those steps.
    pub warmup_share: f64,
    pub warmup: usize,
}

/// One evaluation stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    pub name: String,
    pub split: Split,
    pub when: When,
    /// Greedy decoding stops after this many new tokens; 0 where nothing is generated (perplexity, choices).
    pub max_tokens: usize,
    pub answer: Extractor,
    /// The right answer; without it, what the extractor takes from the rendered target.
    pub gold: Option<Template>,
    /// Scored by likelihood; nothing is generated then. The gold, and without it the rendered target, is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Choices>,
    pub metric: Metric,
    /// The untouched model is measured too.
    pub baseline: bool,
    /// Rows of one forward pass.
    pub batch: usize,
    pub rows: usize,
}

/// Parameter counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    pub interventions: u64,
    pub model: u64,
    /// interventions / model
    pub share: f64,
}

/// What the training costs, counted over the lengths of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Floating-point operations of the whole training as it is written: every token of every row in every epoch.
    pub written_flops: f64,
    /// Those that the passes leave.
    pub planned_flops: f64,
    /// Those of them that make constants.
    pub constant_flops: f64,
    /// Layers times tokens that are worked in every step, over all.
    pub worked_share: f64,
    /// Bytes of the constants that are kept.
    pub cache_bytes: u64,
    /// Bytes of frozen weights in memory.
    pub weight_bytes: u64,
    /// Bytes of saved states, gradients and optimizer state in a training step of mean length.
    pub training_bytes: u64,
    /// Tokens of a training row: its prompt, and prompt and target together; means, and the longest.
    pub mean_prompt: f64,
    pub mean_tokens: f64,
    pub longest_tokens: usize,
}

/// The tree of stage hashes, each 64 hexadecimal digits (SHA-256).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// Tokens of the training split.
    pub tokens: String,
    /// Names the run's folder by its first eight digits.
    pub training: String,
    /// Of all that every step of the training depends on, but for their number and the rate's way over them: two trainings with this
    /// in common take the same steps for as long as their rates are the same.
    #[serde(default)]
    pub course: String,
    /// One for each eval, by name.
    pub evals: std::collections::BTreeMap<String, String>,
    /// One for each eval that generates texts, by name.
    #[serde(default)]
    pub outputs: std::collections::BTreeMap<String, Outputs>,
    /// The weights were not at hand: the hashes stand for the name of the model, not its content.
    pub provisional: bool,
}

/// Hashes of the texts that models give out for the rows of an eval, whatever is then made of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// By the model with the intervention.
    pub tuned: String,
    /// By the untouched model, which no training decides.
    pub untouched: String,
}
