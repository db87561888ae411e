//! The plan: plain data that says all that a run will do, and the only thing that `execute` reads.
//!
//! Equal plans have equal bytes. Paths say where a file is on this machine; hashes are over contents, never over paths.

use crate::data::answer::Extractor;
use crate::data::metric::Metric;
use crate::data::positions::Segment;
use crate::data::source::Source;
use crate::data::template::Template;
use crate::intervention::Kind;
use crate::model::config::{ModelConfig, ModelSource, Precision};
use serde::{Deserialize, Serialize};

/// Everything that one spec file runs, in written order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub experiments: Vec<Experiment>,
}

/// One experiment, every default written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub name: String,
    pub doc: String,
    pub seed: u64,
    pub model: Model,
    pub interventions: Vec<Intervention>,
    pub train: Train,
    pub evals: Vec<Eval>,
    pub parameters: Parameters,
    pub cost: Cost,
    pub hashes: Hashes,
}

/// The frozen model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub source: ModelSource,
    pub precision: Precision,
    pub config: ModelConfig,
}

/// One `intervene` block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervention {
    pub name: String,
    pub kind: Kind,
    /// Ascending, without repeats.
    pub layers: Vec<usize>,
    pub segments: Vec<Segment>,
    /// All segments share one set of parameters.
    pub tied: bool,
    pub rank: usize,
    /// The share of coordinates of the edited state that is dropped in training.
    pub dropout: f64,
    pub activation: Activation,
    /// The projection of `noreft` and `nodireft` has a bias.
    pub bias: bool,
}

/// The function applied to the learned source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Linear,
    Relu,
    Gelu,
    Silu,
    Tanh,
}

/// Rows, and how they become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    pub source: Source,
    pub prompt: Template,
    pub target: Template,
    /// The model's end token is appended to the target.
    pub eos: bool,
    pub overlong: Overlong,
    /// Tokens; prompt and target together are cut to this many.
    pub max_length: usize,
}

/// What becomes of a row that is longer than `max_length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    CutRight,
    CutLeft,
    Drop,
}

/// The training stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    pub split: Split,
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
    /// Optimizer steps of the whole training.
    pub steps: usize,
    /// Rows after slices; rows without a target are not yet taken out.
    pub rows: usize,
}

/// How the learning rate moves over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub shape: ScheduleShape,
    /// Optimizer steps over which the rate rises from 0.
    pub warmup: usize,
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

/// One evaluation stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    pub name: String,
    pub split: Split,
    pub when: When,
    /// Greedy decoding stops after this many new tokens; 0 where nothing is generated (perplexity).
    pub max_tokens: usize,
    pub answer: Extractor,
    pub metric: Metric,
    /// The untouched model is measured too.
    pub baseline: bool,
    /// Rows of one forward pass.
    pub batch: usize,
    pub rows: usize,
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

/// Parameter counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    pub interventions: u64,
    pub model: u64,
    /// interventions / model
    pub share: f64,
}

/// Estimates, from the lengths of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Floating-point operations of the whole training.
    pub train_flops: f64,
    /// Bytes of frozen weights in memory.
    pub weight_bytes: u64,
    /// Bytes of saved activations, gradients and optimizer state at the largest step.
    pub training_bytes: u64,
    /// Mean and longest prompt + target, in tokens.
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
    /// One for each eval, by name.
    pub evals: std::collections::BTreeMap<String, String>,
    /// The weights were not at hand: the hashes stand for the name of the model, not its content.
    pub provisional: bool,
}
