//! One `intervene` block as plain data.

use super::Kind;
use super::registry::unit_count;
use crate::data::positions::Segment;
use crate::model::place::At;
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
