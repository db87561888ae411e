//! What of a row must be computed in every step, what once, and what never.
//!
//! For one row, take the grid of states that enter and leave each layer at each token. What an edit reaches moves while the
//! edits are trained, all else is constant; what no loss sees is dead. [`Work`] is what is left: reached and live.

mod choice;
mod hoist;
mod live;
mod reach;
mod shape;
mod sites;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod work;

pub use crate::data::token_set::Tokens;
pub use hoist::{ConstantPass, Depth};
pub use live::Live;
pub use reach::Reached;
pub use sites::{places, sites};
pub use work::work;

use crate::intervention::At;
use serde::{Deserialize, Serialize};

/// The passes that are on. Each changes what is computed and when, and results by rounding only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passes {
    /// Constant states get a forward pass without gradient, by themselves.
    pub reach: bool,
    /// Dead states are not computed, and the head runs on supervised tokens only.
    pub live: bool,
    /// Constant states are kept for later steps; needs `reach`.
    pub hoist: bool,
    /// The rows of a step are packed into forward passes together.
    pub pack: bool,
    /// Rows of a forward pass that begin alike, tokens and edits, share that beginning; needs `pack`.
    pub share: bool,
}

/// The parts of a decoder's shape that decide who sees whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub layers: usize,
    /// A token sees itself and at most `window − 1` tokens before it.
    pub window: Option<usize>,
}

/// A place where something trainable acts on one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    pub layer: usize,
    pub at: At,
    pub tokens: Tokens,
}

/// Who reads the states of one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Readers {
    /// Tokens of the row that are inputs.
    pub inputs: usize,
    /// Tokens whose last state the head reads.
    pub head: Tokens,
    /// Keys and values of every token (within the window of the first new one) at every layer are read later, by decoding.
    pub decoding: bool,
}

/// What every step computes of one row.
///
/// Point p is the residual stream that enters block p; the last point, p = layers, is what the head reads. An edit of the output of
/// block ℓ and one of the input of block ℓ + 1 both act at point ℓ + 1, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// One for each layer.
    pub blocks: Vec<BlockWork>,
    /// At each point, the constant states that join the stream there, before the edits at the point: `layers + 1` sets. Those of
    /// point 0 are embeddings.
    pub joining: Vec<Tokens>,
}

/// What every step computes in one block of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockWork {
    /// Tokens that enter the block: their keys and values are computed.
    pub input: Tokens,
    /// Tokens that ask, mix and leave the block; a part of `input`.
    pub output: Tokens,
    /// Tokens outside `input` whose keys and values, constants, are seen by `output` or kept for decoding.
    pub constant_keys: Tokens,
}

/// What is kept of one row's constants: whole layers of whole segments (prompt or target), so that it does not depend on where
/// exactly the edits are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kept {
    /// Blocks whose keys and values are kept, ascending.
    pub keys: Vec<usize>,
    /// Points whose states are kept, ascending; never point 0.
    pub states: Vec<usize>,
}
