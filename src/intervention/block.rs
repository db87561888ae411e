//! One `intervene` block as plain data.

use super::Kind;
use super::registry::unit_count;
use crate::data::positions::Segment;
use serde::{Deserialize, Serialize};

/// One `intervene` block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervention {
    pub name: String,
    pub kind: Kind,
    /// Where in each layer.
    #[serde(default)]
    pub at: At,
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

impl Intervention {
    /// The number of trainable parameters, for states of `hidden` coordinates.
    pub fn parameter_count(&self, hidden: usize) -> u64 {
        let units = unit_count(self.layers.len(), self.segments.len(), self.tied) as u64;
        units * self.kind.entry().parameter_count(hidden, self.rank, self.bias)
    }
}

/// Where in a layer an edit acts, in the order in which a layer computes. The words are those of the field `at`, which are the
/// names of pyvene's components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The residual stream that enters the block.
    BlockInput,
    /// What attention adds to the residual stream, before it is added.
    AttentionOutput,
    /// What the MLP adds to the residual stream, before it is added.
    MlpOutput,
    /// The residual stream that leaves the block.
    #[default]
    BlockOutput,
}

impl At {
    /// Every place of a layer, in its order.
    pub const ALL: [Self; 4] = [Self::BlockInput, Self::AttentionOutput, Self::MlpOutput, Self::BlockOutput];

    /// The word for it in the language: `attention_output`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockInput => "block_input",
            Self::AttentionOutput => "attention_output",
            Self::MlpOutput => "mlp_output",
            Self::BlockOutput => "block_output",
        }
    }

    /// The place of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|at| at.name() == name)
    }
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
