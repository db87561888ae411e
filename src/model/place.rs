//! Places in a decoder where the stream of values may be changed.

use serde::{Deserialize, Serialize};

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
