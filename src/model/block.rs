//! One decoder block: a frozen function of the residual stream.

use super::ops::attention::{Attention, Rows};
use super::ops::frozen::Frozen;
use super::ops::linear::Linear;
use super::ops::residual;
use super::ops::rms_norm::RmsNorm;
use super::ops::rope::{Angles, Turn};
use super::ops::swiglu;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// middle = x + output(attention(rope(projection(norm(x))))), then middle + down(swiglu(gate_up(norm(middle)))).
pub struct Block {
    pub attention_norm: RmsNorm,
    /// Query, key and value as one product.
    pub projection: Linear,
    pub attention: Attention,
    pub output: Linear,
    pub feed_forward_norm: RmsNorm,
    /// Gate and up as one product.
    pub gate_up: Linear,
    pub down: Linear,
}

/// What the blocks of one forward pass share: the rows and the angles of their positions.
pub struct Pass {
    pub rows: Rows,
    pub angles: Angles,
}

/// The tokens whose output is wanted. All tokens are keys and values for others, but behind attention a token is alone:
/// in the last block of a model, the tokens that nobody reads need no more.
#[derive(Clone)]
pub enum Wanted {
    All,
    /// Packed indices, `[n]`, each once. The output of the other tokens is 0.
    Only(Tensor),
}

/// A block on the rows of one forward pass.
pub struct BlockPass {
    pub block: Arc<Block>,
    pub pass: Arc<Pass>,
    pub wanted: Wanted,
}

/// What the backward pass of a block needs beside its input.
pub struct Saved {
    /// Rotated queries, rotated keys and values of all tokens.
    rotated: Tensor,
    /// The residual stream between attention and feed-forward, of the wanted tokens.
    middle: Tensor,
    /// Gate and up of the wanted tokens.
    gate_up: Tensor,
}

impl Block {
    /// The block for new tokens behind those in `past`: the stream, and lines for the cache.
    pub fn forward_cached(
        &self,
        hidden: &Tensor,
        pass: &Pass,
        past: Option<&Tensor>,
        wanted: &Wanted,
    ) -> Result<(Tensor, Tensor)> {
        let rotated = self.rotated(hidden, pass)?;
        let mixed = self.attention.forward(&rotated, past, &pass.rows)?;
        let (output, ..) = self.behind_attention(hidden, &mixed, wanted)?;
        Ok((output, self.attention.keys_and_values(&rotated)?))
    }

    fn rotated(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        let projected = self.projection.forward(&self.attention_norm.forward(hidden)?)?;
        pass.angles.rotate(&projected, self.rotated_heads(), Turn::Forward)
    }

    /// Queries and keys turn, values do not.
    fn rotated_heads(&self) -> usize {
        self.attention.heads + self.attention.key_value_heads
    }

    /// The output of the block, and of the wanted tokens the stream in its middle, and gate and up.
    fn behind_attention(&self, hidden: &Tensor, mixed: &Tensor, wanted: &Wanted) -> Result<(Tensor, Tensor, Tensor)> {
        let middle = residual::add(self.output.forward(&wanted.pick(mixed)?)?, &wanted.pick(hidden)?)?;
        let gate_up = self.gate_up.forward(&self.feed_forward_norm.forward(&middle)?)?;
        let output = residual::add(self.down.forward(&swiglu::forward(&gate_up)?)?, &middle)?;
        Ok((wanted.spread(output, hidden.dim(0)?)?, middle, gate_up))
    }
}

impl Wanted {
    /// The wanted rows of `[tokens, width]`.
    fn pick(&self, values: &Tensor) -> Result<Tensor> {
        match self {
            Wanted::All => Ok(values.clone()),
            Wanted::Only(tokens) => values.index_select(tokens, 0),
        }
    }

    /// Puts picked rows back to their places among `tokens` rows, with 0 for the rest.
    fn spread(&self, picked: Tensor, tokens: usize) -> Result<Tensor> {
        match self {
            Wanted::All => Ok(picked),
            Wanted::Only(places) => {
                let shape = (tokens, picked.dim(1)?);
                Tensor::zeros(shape, picked.dtype(), picked.device())?.index_add(places, &picked, 0)
            }
        }
    }
}

impl Frozen for BlockPass {
    type Saved = Saved;

    const NAME: &'static str = "block";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.forward_saving(hidden)?.0)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Saved)> {
        let rotated = self.block.rotated(hidden, &self.pass)?;
        let mixed = self.block.attention.forward(&rotated, None, &self.pass.rows)?;
        let (output, middle, gate_up) = self.block.behind_attention(hidden, &mixed, &self.wanted)?;
        Ok((output, Saved { rotated, middle, gate_up }))
    }

    fn backward(&self, hidden: &Tensor, saved: &Saved, gradient: &Tensor) -> Result<Tensor> {
        let (block, tokens) = (&self.block, hidden.dim(0)?);
        let gradient = self.wanted.pick(gradient)?;
        let gate_up = swiglu::backward(&saved.gate_up, &block.down.backward(&gradient)?)?;
        let normal = block.feed_forward_norm.backward(&saved.middle, &block.gate_up.backward(&gate_up)?)?;
        let middle = residual::add(normal, &gradient)?;

        let mixed = self.wanted.spread(block.output.backward(&middle)?, tokens)?;
        let rotated = block.attention.backward(&saved.rotated, None, &self.pass.rows, &mixed)?;
        let projected = self.pass.angles.rotate(&rotated, block.rotated_heads(), Turn::Backward)?;
        let normal = block.attention_norm.backward(hidden, &block.projection.backward(&projected)?)?;
        residual::add(normal, &self.wanted.spread(middle, tokens)?)
    }
}
