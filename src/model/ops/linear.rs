//! A frozen linear layer.

use super::way::Way;
use candle_core::{Result, Tensor};

/// Tokens of a product where all must have one shape.
const SLAB: usize = 512;

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
        let output = match few_rows(input, &self.weight)? {
            Some(output) => output,
            None => input.matmul(&self.weight.t()?)?,
        };
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }

    /// As [`Linear::forward`], where the numbers of a token must not depend on what else is there: in a product of its own for each of
    /// these parts of the tokens; in one if there are none.
    ///
    /// On a GPU small products would mostly wait for weights. There all products have one shape, so that the same instructions work out each
    /// token wherever it lies: tokens follow each other in slabs, the last one filled up.
    pub fn forward_apart(&self, input: &Tensor, parts: &[usize]) -> Result<Tensor> {
        if parts.is_empty() {
            return self.forward(input);
        }
        if Way::of(input) == Way::Kernels {
            return self.forward_in_slabs(input);
        }
        let starts = parts.iter().scan(0, |start, length| Some(std::mem::replace(start, *start + length)));
        let part = |(start, &length)| self.forward(&input.narrow(0, start, length)?);
        Tensor::cat(&starts.zip(parts).map(part).collect::<Result<Vec<_>>>()?, 0)
    }

    fn forward_in_slabs(&self, input: &Tensor) -> Result<Tensor> {
        let tokens = input.dim(0)?;
        let slabs = (0..tokens).step_by(SLAB).map(|start| {
            let length = SLAB.min(tokens - start);
            let slab = input.narrow(0, start, length)?.pad_with_zeros(0, 0, SLAB - length)?;
            self.forward(&slab)?.narrow(0, 0, length)
        });
        Tensor::cat(&slabs.collect::<Result<Vec<_>>>()?, 0)
    }

    /// The gradient of the input, `[tokens, inputs]`, from that of the output, `[tokens, outputs]`.
    pub fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        gradient.matmul(&self.weight)
    }
}

/// The product for a step of decoding, where our kernels are faster than candle's, or as fast and true to the last bit of the others.
#[cfg(target_arch = "x86_64")]
fn few_rows(input: &Tensor, weight: &Tensor) -> Result<Option<Tensor>> {
    use super::slices::Values;
    use super::{few_rows, one_row};
    let ((rows, inputs), outputs) = (input.dims2()?, weight.dim(0)?);
    let plain = |tensor: &Tensor| tensor.dtype() == candle_core::DType::F32 && tensor.is_contiguous();
    if !(1..=few_rows::MOST_ROWS).contains(&rows)
        || inputs == 0
        || !input.device().is_cpu()
        || !plain(input)
        || !plain(weight)
    {
        return Ok(None);
    }
    let Some(processor) = pulp::x86::V3::try_new() else { return Ok(None) };
    let (input_values, weight) = (Values::of(input)?, Values::of(weight)?);
    let output = match rows {
        1 => one_row::product(processor, &input_values, &weight),
        _ => few_rows::product(processor, &input_values, &weight, inputs),
    };
    Tensor::from_vec(output, (rows, outputs), input.device()).map(Some)
}

#[cfg(not(target_arch = "x86_64"))]
fn few_rows(_: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
    Ok(None)
}
