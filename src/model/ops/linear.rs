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
        let output = match few_rows(input, &self.weight)? {
            Some(output) => output,
            None => input.matmul(&self.weight.t()?)?,
        };
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }

    /// As [`Linear::forward`], in a product of its own for each of these parts of the tokens; in one if there are none.
    pub fn forward_apart(&self, input: &Tensor, parts: &[usize]) -> Result<Tensor> {
        if parts.is_empty() {
            return self.forward(input);
        }
        let starts = parts.iter().scan(0, |start, length| Some(std::mem::replace(start, *start + length)));
        let part = |(start, &length)| self.forward(&input.narrow(0, start, length)?);
        Tensor::cat(&starts.zip(parts).map(part).collect::<Result<Vec<_>>>()?, 0)
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
