//! A frozen linear layer.

use candle_core::{Result, Tensor};

/// y = x Wᵀ + b
pub struct Linear {
    /// `[outputs, inputs]`
    weight: Tensor,
    /// `[outputs]`
    bias: Option<Tensor>,
}

impl Linear {
    /// `weight` is `[outputs, inputs]` as in safetensors files, `bias` `[outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = input.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }

    /// The gradient of the input, `[tokens, inputs]`, from that of the output, `[tokens, outputs]`.
    pub fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        gradient.matmul(&self.weight)
    }
}
