//! The two halves of a decoder block, each one frozen function of the residual stream.

use super::cache::LayerCache;
use super::ops::attention::{Attention, Rows};
use super::ops::frozen::Frozen;
use super::ops::linear::Linear;
use super::ops::rms_norm::RmsNorm;
use super::ops::rope::{Angles, Turn};
use super::ops::swiglu;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// x + output(attention(rope(projection(norm(x)))))
pub struct AttentionHalf {
    pub norm: RmsNorm,
    /// Query, key and value as one product.
    pub projection: Linear,
    pub attention: Attention,
    pub output: Linear,
}

/// x + down(swiglu(gate_up(norm(x))))
pub struct FeedForwardHalf {
    pub norm: RmsNorm,
    /// Gate and up as one product.
    pub gate_up: Linear,
    pub down: Linear,
}

/// What all layers of one forward pass share: the rows and the angles of their positions.
pub struct Pass {
    pub rows: Rows,
    pub angles: Angles,
}

/// The attention half on the rows of one forward pass.
pub struct Attend {
    pub half: Arc<AttentionHalf>,
    pub pass: Arc<Pass>,
}

/// The feed-forward half; it does not know of rows.
pub struct FeedForward(pub Arc<FeedForwardHalf>);

impl AttentionHalf {
    fn rotated(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        pass.angles.rotate(&self.projection.forward(&self.norm.forward(hidden)?)?, self.rotated_heads(), Turn::Forward)
    }

    /// Queries and keys turn, values do not.
    fn rotated_heads(&self) -> usize {
        self.attention.heads + self.attention.key_value_heads
    }

    /// The half for new tokens behind those in `cache`, which it appends to: `[tokens, hidden]` to the same shape.
    pub fn forward_cached(&self, hidden: &Tensor, pass: &Pass, cache: &mut LayerCache) -> Result<Tensor> {
        let rotated = self.rotated(hidden, pass)?;
        if let Some(grid) = &pass.rows.grid {
            let (keys, values) = self.attention.keys_and_values(&rotated, grid)?;
            cache.append(&keys, &values)?;
        }
        let first = pass.rows.spans.iter().all(|span| span.past == 0);
        let mixed = match first {
            true => self.attention.forward(&rotated, &pass.rows)?,
            false => self.attention.forward_cached(&rotated, &pass.rows, cache)?,
        };
        hidden + self.output.forward(&mixed)?
    }
}

impl Frozen for Attend {
    /// Rotated queries, rotated keys and values.
    type Saved = Tensor;

    const NAME: &'static str = "attention";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.forward_saving(hidden)?.0)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Tensor)> {
        let rotated = self.half.rotated(hidden, &self.pass)?;
        let mixed = self.half.attention.forward(&rotated, &self.pass.rows)?;
        Ok(((hidden + self.half.output.forward(&mixed)?)?, rotated))
    }

    fn backward(&self, hidden: &Tensor, rotated: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let mixed = self.half.output.backward(gradient)?;
        let rotated = self.half.attention.backward(rotated, &self.pass.rows, &mixed)?;
        let projected = self.pass.angles.rotate(&rotated, self.half.rotated_heads(), Turn::Backward)?;
        gradient + self.half.norm.backward(hidden, &self.half.projection.backward(&projected)?)?
    }
}

impl Frozen for FeedForward {
    /// Gate and up.
    type Saved = Tensor;

    const NAME: &'static str = "feed-forward";

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.forward_saving(hidden)?.0)
    }

    fn forward_saving(&self, hidden: &Tensor) -> Result<(Tensor, Tensor)> {
        let gate_up = self.0.gate_up.forward(&self.0.norm.forward(hidden)?)?;
        Ok(((hidden + self.0.down.forward(&swiglu::forward(&gate_up)?)?)?, gate_up))
    }

    fn backward(&self, hidden: &Tensor, gate_up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let gate_up = swiglu::backward(gate_up, &self.0.down.backward(gradient)?)?;
        gradient + self.0.norm.backward(hidden, &self.0.gate_up.backward(&gate_up)?)?
    }
}
