//! The edit of one unit: all six kinds are h ↦ h + (f(W h + b) − D h − b₂)·D with parts left out (pyreft, `interventions.py`).

use super::registry::Entry;
use crate::plan::Activation;
use candle_core::{Result, Tensor};

/// The trainable tensors of a unit, in f32, as nodes of the graph of one step.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// D `[rank, hidden]`: Rᵀ with orthonormal rows (the R of the paper), or the free projection W₂.
    pub directions: Tensor,
    /// b₂ `[rank]`
    pub directions_bias: Option<Tensor>,
    /// W `[rank, hidden]`
    pub weight: Option<Tensor>,
    /// b `[rank]`
    pub bias: Tensor,
}

/// A unit made ready for any number of edits: one matrix product reads the states, one writes them.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `[read, hidden]`: W, −D, W − D, or W over D.
    reader: Option<Tensor>,
    /// What is added to what the reader gives, `[read]`.
    offset: Tensor,
    /// D `[rank, hidden]`
    writer: Tensor,
    activation: Activation,
    /// The reader gives W h + b and then D h + b₂, for the activation acts on the first alone.
    split: bool,
}

impl Edit {
    /// The edit of a kind with these parameters.
    pub fn new(entry: &Entry, activation: Activation, parameters: &Parameters) -> Result<Self> {
        let Parameters { directions, directions_bias, weight, bias } = parameters;
        let activation = if entry.conditioned { activation } else { Activation::Linear };
        let split = entry.erases && activation != Activation::Linear;
        let erased_bias = directions_bias.as_ref().filter(|_| entry.erases);
        let reader = match weight {
            Some(weight) if split => Some(Tensor::cat(&[weight, directions], 0)?),
            Some(weight) if entry.erases => Some((weight - directions)?),
            Some(weight) => Some(weight.clone()),
            None if entry.erases => Some(directions.neg()?),
            None => None,
        };
        let offset = match erased_bias {
            Some(erased) if split => Tensor::cat(&[bias, erased], 0)?,
            Some(erased) => (bias - erased)?,
            None if split => Tensor::cat(&[bias, &bias.zeros_like()?], 0)?,
            None => bias.clone(),
        };
        Ok(Self { reader, offset, writer: directions.clone(), activation, split })
    }

    /// The same edit, cut from the graph that leads to the parameters.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            reader: self.reader.as_ref().map(Tensor::detach),
            offset: self.offset.detach(),
            writer: self.writer.detach(),
            ..self.clone()
        }
    }

    /// What the edit adds to the states `[positions, hidden]` (f32), same shape.
    pub fn delta(&self, states: &Tensor) -> Result<Tensor> {
        let read = match &self.reader {
            Some(reader) => states.matmul(&reader.t()?)?.broadcast_add(&self.offset)?,
            None => self.offset.broadcast_left(states.dim(0)?)?.contiguous()?,
        };
        let code = if self.split {
            let rank = self.writer.dim(0)?;
            (activate(self.activation, &read.narrow(1, 0, rank)?)? - read.narrow(1, rank, rank)?)?
        } else {
            activate(self.activation, &read)?
        };
        code.matmul(&self.writer)
    }

    /// The edited states `[positions, hidden]` (f32), before dropout.
    pub fn apply(&self, states: &Tensor) -> Result<Tensor> {
        states + self.delta(states)?
    }
}

fn activate(activation: Activation, values: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Linear => Ok(values.clone()),
        Activation::Relu => values.relu(),
        Activation::Gelu => values.gelu_erf(),
        Activation::Silu => values.silu(),
        Activation::Tanh => values.tanh(),
    }
}
