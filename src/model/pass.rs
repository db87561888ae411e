//! What one forward pass computes, block by block: which tokens enter, who asks whom, which constants join.
//!
//! Tokens are packed without padding, `[tokens, width]`; which tokens those are may differ from block to block. Point p is the
//! residual stream that enters block p; the last point is what the head reads.

use super::ops::attention::Rows;
use super::ops::rope::Angles;
use super::ops::rows::Selection;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// One forward pass of a decoder.
pub struct Pass {
    /// What each block does; `None` where no token enters.
    pub stages: Vec<Option<Arc<Stage>>>,
    /// How the stream at each point is put together, one more than blocks; `None` where what leaves a block goes on as it is.
    pub joins: Vec<Option<Join>>,
    /// For each block the keys and values that were worked out earlier, `[lines, 2 · key_value_heads · head_dim]`: keys, then
    /// values.
    pub past: Vec<Option<Tensor>>,
    /// The backward pass works out again what the blocks would keep for it.
    pub recompute: bool,
}

/// What one block does.
pub struct Stage {
    pub rows: Rows,
    /// Of the tokens that enter.
    pub angles: Angles,
    pub leaving: Leaving,
    /// Tokens of rows that are multiplied with the weights row by row, each product of the shape that it has alone; empty where all
    /// go together. Either way layer after layer, so that a weight is read from memory once.
    pub apart: Vec<usize>,
}

/// The tokens that leave a block, in the order in which they ask. All that enter are keys and values for others, but behind
/// attention a token is alone.
pub enum Leaving {
    All,
    /// Packed indices of those that enter, ascending within each branch, each once.
    Only(Selection),
    /// Keys and values are all that is wanted.
    Nobody,
}

/// How the stream at a point is put together.
pub struct Join {
    /// States that join, behind those that leave the block before.
    pub constants: Option<Constants>,
    /// Indices into both, one for each token of the point; `None` takes all in their order.
    pub order: Option<Selection>,
}

/// States that do not depend on any edit.
pub enum Constants {
    /// Token ids, `[tokens]`.
    Embeddings(Tensor),
    /// `[tokens, hidden]`
    States(Tensor),
}

impl Leaving {
    /// The rows of `[entering, width]` that leave.
    pub fn pick(&self, values: &Tensor) -> Result<Tensor> {
        match self {
            Leaving::All => Ok(values.clone()),
            Leaving::Only(tokens) => tokens.take(values),
            Leaving::Nobody => values.narrow(0, 0, 0),
        }
    }

    /// Adds rows that leave to their places among those that enter.
    pub fn add_to(&self, entering: Tensor, leaving: &Tensor) -> Result<Tensor> {
        match self {
            Leaving::All => super::ops::residual::add(entering, leaving),
            Leaving::Only(tokens) => tokens.add(&entering, leaving),
            Leaving::Nobody => Ok(entering),
        }
    }
}
