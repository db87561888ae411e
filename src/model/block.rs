//! One decoder block: frozen functions of the residual stream.
//!
//! A block is one node of the graph; where an edit acts inside it, its two halves are nodes of their own.

use super::interrupt::Interrupt;
use super::ops::attention::Attention;
use super::ops::frozen::Frozen;
use super::ops::linear::Linear;
use super::ops::residual;
use super::ops::rms_norm::RmsNorm;
use super::ops::rope::Turn;
use super::ops::swiglu;
use super::pass::{Leaving, Stage};
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

/// A block on the tokens of one pass.
#[derive(Clone)]
pub struct BlockPass {
    pub block: Arc<Block>,
    pub stage: Arc<Stage>,
    /// Earlier keys and values.
    pub past: Option<Tensor>,
    /// Keep nothing for the backward pass but the input.
    pub recompute: bool,
    pub interrupt: Interrupt,
}

/// The attention of a block, before the residual sum: `[entering, hidden]` to `[leaving, hidden]`.
pub struct AttentionPass(pub BlockPass);

/// The feed-forward of a block, before the residual sum: `[tokens, hidden]` to the same shape.
pub struct FeedForwardPass {
    pub block: Arc<Block>,
    pub recompute: bool,
    pub interrupt: Interrupt,
}

/// What the backward pass of a block needs beside its input.
pub struct Saved {
    /// Rotated queries, rotated keys and values of the tokens that enter.
    rotated: Tensor,
    /// The residual stream between attention and feed-forward, of the tokens that leave.
    middle: Tensor,
    /// Gate and up of the tokens that leave.
    gate_up: Tensor,
}

impl Block {
    /// Queries, keys and values of the tokens that enter, side by side, rotated.
    pub fn rotated(&self, hidden: &Tensor, stage: &Stage) -> Result<Tensor> {
        let projected = self.projection.forward_apart(&self.attention_norm.forward(hidden)?, &stage.apart)?;
        stage.angles.rotate(&projected, self.rotated_heads(), Turn::Forward)
    }

    /// Queries and keys turn, values do not.
    fn rotated_heads(&self) -> usize {
        self.attention.heads + self.attention.key_value_heads
    }

    fn gate_up(&self, middle: &Tensor, apart: &[usize]) -> Result<Tensor> {
        self.gate_up.forward_apart(&self.feed_forward_norm.forward(middle)?, apart)
    }

    /// The gradient of what the norm of the feed-forward gives.
    fn feed_forward_backward(&self, gate_up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        self.gate_up.backward(&swiglu::backward(gate_up, &self.down.backward(gradient)?)?)
    }
}

impl BlockPass {
    /// The rest of the block, behind the queries, keys and values of [`Block::rotated`].
    pub fn finish(&self, hidden: &Tensor, rotated: &Tensor) -> Result<Tensor> {
        Ok(self.finish_saving(hidden, rotated)?.0)
    }

    /// As [`BlockPass::finish`], with the stream in the middle, and gate and up.
    fn finish_saving(&self, hidden: &Tensor, rotated: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let (block, Stage { leaving, apart, .. }) = (&self.block, &*self.stage);
        let middle = residual::add(self.attention_output(rotated)?, &leaving.pick(hidden)?)?;
        let gate_up = block.gate_up(&middle, apart)?;
        let output = residual::add(block.down.forward_apart(&swiglu::forward(&gate_up)?, apart)?, &middle)?;
        Ok((output, middle, gate_up))
    }

    /// What attention adds to the stream of the tokens that leave.
    pub fn attention_output(&self, rotated: &Tensor) -> Result<Tensor> {
        let mixed = self.block.attention.forward(rotated, self.past.as_ref(), &self.stage.rows)?;
        self.block.output.forward_apart(&mixed, &self.stage.apart)
    }

    fn saved(&self, hidden: &Tensor) -> Result<(Tensor, Saved)> {
        let rotated = self.block.rotated(hidden, &self.stage)?;
        let (output, middle, gate_up) = self.finish_saving(hidden, &rotated)?;
        Ok((output, Saved { rotated, middle, gate_up }))
    }

    /// The gradient of what the norm of the attention gives, from that of what attention adds.
    fn attention_backward(&self, rotated: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let block = &self.block;
        let mixed = block.output.backward(gradient)?;
        let rotated = block.attention.backward(rotated, self.past.as_ref(), &self.stage.rows, &mixed)?;
        let projected = self.stage.angles.rotate(&rotated, block.rotated_heads(), Turn::Backward)?;
        block.projection.backward(&projected)
    }
}

impl Frozen for BlockPass {
    type Saved = Option<Saved>;

    const NAME: &'static str = "block";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.finish(hidden, &self.block.rotated(hidden, &self.stage)?)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Self::Saved)> {
        if self.recompute {
            return Ok((self.forward(hidden)?, None));
        }
        let (output, saved) = self.saved(hidden)?;
        Ok((output, Some(saved)))
    }

    fn backward(&self, hidden: &Tensor, saved: &Self::Saved, gradient: &Tensor) -> Result<Tensor> {
        self.interrupt.check()?;
        let again;
        let saved = match saved {
            Some(saved) => saved,
            None => {
                again = self.saved(hidden)?.1;
                &again
            }
        };
        let normal = self.block.feed_forward_backward(&saved.gate_up, gradient)?;
        let middle = self.block.feed_forward_norm.backward_beside(&saved.middle, &normal, gradient)?;
        let entering = self.attention_backward(&saved.rotated, &middle)?;
        match self.stage.leaving {
            Leaving::All => self.block.attention_norm.backward_beside(hidden, &entering, &middle),
            _ => self.stage.leaving.add_to(self.block.attention_norm.backward(hidden, &entering)?, &middle),
        }
    }
}

impl Frozen for AttentionPass {
    /// Queries, keys and values.
    type Saved = Option<Tensor>;

    const NAME: &'static str = "attention";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.0.attention_output(&self.0.block.rotated(hidden, &self.0.stage)?)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Self::Saved)> {
        let rotated = self.0.block.rotated(hidden, &self.0.stage)?;
        let output = self.0.attention_output(&rotated)?;
        Ok((output, (!self.0.recompute).then_some(rotated)))
    }

    fn backward(&self, hidden: &Tensor, saved: &Self::Saved, gradient: &Tensor) -> Result<Tensor> {
        self.0.interrupt.check()?;
        let rotated = match saved {
            Some(rotated) => rotated.clone(),
            None => self.0.block.rotated(hidden, &self.0.stage)?,
        };
        self.0.block.attention_norm.backward(hidden, &self.0.attention_backward(&rotated, gradient)?)
    }
}

impl Frozen for FeedForwardPass {
    /// Gate and up.
    type Saved = Option<Tensor>;

    const NAME: &'static str = "feed-forward";

    fn forward(&self, middle: &Tensor) -> Result<Tensor> {
        self.block.down.forward(&swiglu::forward(&self.block.gate_up(middle, &[])?)?)
    }

    fn forward_saving(&self, middle: &Tensor) -> Result<(Tensor, Self::Saved)> {
        let gate_up = self.block.gate_up(middle, &[])?;
        let output = self.block.down.forward(&swiglu::forward(&gate_up)?)?;
        Ok((output, (!self.recompute).then_some(gate_up)))
    }

    fn backward(&self, middle: &Tensor, saved: &Self::Saved, gradient: &Tensor) -> Result<Tensor> {
        self.interrupt.check()?;
        let gate_up = match saved {
            Some(gate_up) => gate_up.clone(),
            None => self.block.gate_up(middle, &[])?,
        };
        self.block.feed_forward_norm.backward(middle, &self.block.feed_forward_backward(&gate_up, gradient)?)
    }
}
