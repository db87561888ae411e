//! Places in a decoder where the stream of values may be changed.

use serde::{Deserialize, Serialize};

/// Where in a layer an edit acts. A sublayer's output is what it adds to the residual stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    BlockInput,
    AttentionOutput,
    MlpOutput,
    #[default]
    BlockOutput,
}
