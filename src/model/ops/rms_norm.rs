//! Root-mean-square normalisation with a frozen scale (Zhang & Sennrich 2019), computed in f32.

use super::arithmetic::{dot, product_sum, widest};
use super::kernel::{ROWS_PER_TASK, Values, on_cpu, wide, widened};
use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

/// yᵢ = wᵢ xᵢ / √(mean(x²) + ε)
pub struct RmsNorm {
    /// `[hidden]`, in the dtype that norms are computed in.
    weight: Tensor,
    epsilon: f64,
}

impl RmsNorm {
    /// `weight` is `[hidden]`.
    pub fn new(weight: &Tensor, epsilon: f64) -> Result<Self> {
        Ok(Self { weight: weight.to_dtype(wide(weight.dtype()))?, epsilon })
    }

    /// `[tokens, hidden]` to the same shape and dtype.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if on_cpu(input) {
            return self.forward_cpu(&widened(input)?)?.to_dtype(input.dtype());
        }
        let wide_input = input.to_dtype(self.weight.dtype())?;
        let normal = wide_input.broadcast_mul(&self.inverse(&wide_input)?)?;
        normal.broadcast_mul(&self.weight)?.to_dtype(input.dtype())
    }

    /// The gradient of the input: with r = 1/√(mean(x²) + ε), dxᵢ = r wᵢ gᵢ − xᵢ r³ mean(w g x).
    pub fn backward(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        if on_cpu(input) {
            return self.backward_cpu(&widened(input)?, &widened(gradient)?)?.to_dtype(input.dtype());
        }
        let dtype = input.dtype();
        let input = input.to_dtype(self.weight.dtype())?;
        let gradient = gradient.to_dtype(self.weight.dtype())?.broadcast_mul(&self.weight)?;
        let inverse = self.inverse(&input)?;
        let along = ((&gradient * &input)?.mean_keepdim(D::Minus1)? * inverse.powf(3.0)?)?;
        (gradient.broadcast_mul(&inverse)? - input.broadcast_mul(&along)?)?.to_dtype(dtype)
    }

    /// 1/√(mean(x²) + ε), `[tokens, 1]`.
    fn inverse(&self, input: &Tensor) -> Result<Tensor> {
        (input.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()?.recip()
    }

    fn forward_cpu(&self, input: &Tensor) -> Result<Tensor> {
        let (values, weight) = (Values::of(input)?, Values::of(&self.weight)?);
        let size = weight.len();
        let mut output = vec![0f32; values.len()];
        output.par_chunks_mut(size).zip(values.par_chunks(size)).with_min_len(ROWS_PER_TASK).for_each(|(output, x)| {
            widest!(forward_row(output, x, &weight, self.epsilon as f32));
        });
        Tensor::from_vec(output, input.shape(), input.device())
    }

    fn backward_cpu(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (values, weight) = (Values::of(input)?, Values::of(&self.weight)?);
        let gradient = Values::of(gradient)?;
        let size = weight.len();
        let mut output = vec![0f32; values.len()];
        let rows = output.par_chunks_mut(size).zip(values.par_chunks(size)).zip(gradient.par_chunks(size));
        rows.with_min_len(ROWS_PER_TASK).for_each(|((output, x), gradient)| {
            widest!(backward_row(output, x, gradient, &weight, self.epsilon as f32));
        });
        Tensor::from_vec(output, input.shape(), input.device())
    }
}

#[inline(always)]
fn forward_row<const FUSED: bool>(output: &mut [f32], x: &[f32], weight: &[f32], epsilon: f32) {
    let inverse = inverse::<FUSED>(x, epsilon);
    for ((output, x), weight) in output.iter_mut().zip(x).zip(weight) {
        *output = weight * (x * inverse);
    }
}

#[inline(always)]
fn backward_row<const FUSED: bool>(output: &mut [f32], x: &[f32], gradient: &[f32], weight: &[f32], epsilon: f32) {
    let inverse = inverse::<FUSED>(x, epsilon);
    for ((output, gradient), weight) in output.iter_mut().zip(gradient).zip(weight) {
        *output = weight * gradient;
    }
    let along = dot::<FUSED>(output, x) / x.len() as f32 * inverse * inverse;
    for (output, &x) in output.iter_mut().zip(x) {
        *output = inverse * product_sum::<FUSED>(-along, x, *output);
    }
}

#[inline(always)]
fn inverse<const FUSED: bool>(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot::<FUSED>(x, x) / x.len() as f32 + epsilon).sqrt()
}
