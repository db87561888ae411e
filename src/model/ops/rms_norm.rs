//! Root-mean-square normalisation with a frozen scale (Zhang & Sennrich 2019), computed in f32.

use super::arithmetic::{dot, product_sum, widest};
use super::residual;
use super::slices::{ROWS_PER_TASK, Values, wide, widened};
use super::way::Way;
use crate::model::kernels::{Launch, uninitialized};
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
        match Way::of(input) {
            Way::Slices => self.forward_on_slices(&widened(input)?)?.to_dtype(input.dtype()),
            Way::Kernels => self.forward_by_kernel(&input.contiguous()?),
            Way::Formulas => {
                let wide_input = input.to_dtype(self.weight.dtype())?;
                let normal = wide_input.broadcast_mul(&self.inverse(&wide_input)?)?;
                normal.broadcast_mul(&self.weight)?.to_dtype(input.dtype())
            }
        }
    }

    /// The gradient of the input: with r = 1/√(mean(x²) + ε), dxᵢ = r wᵢ gᵢ − xᵢ r³ mean(w g x).
    pub fn backward(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        match Way::of(input) {
            Way::Slices => self.backward_on_slices(&widened(input)?, &widened(gradient)?)?.to_dtype(input.dtype()),
            Way::Kernels => self.backward_by_kernel(&input.contiguous()?, &gradient.contiguous()?, None),
            Way::Formulas => {
                let dtype = input.dtype();
                let input = input.to_dtype(self.weight.dtype())?;
                let gradient = gradient.to_dtype(self.weight.dtype())?.broadcast_mul(&self.weight)?;
                let inverse = self.inverse(&input)?;
                let along = ((&gradient * &input)?.mean_keepdim(D::Minus1)? * inverse.powf(3.0)?)?;
                (gradient.broadcast_mul(&inverse)? - input.broadcast_mul(&along)?)?.to_dtype(dtype)
            }
        }
    }

    /// The gradient of the input of a residual branch: [`RmsNorm::backward`], and `around`, what comes back beside the branch.
    pub fn backward_beside(&self, input: &Tensor, gradient: &Tensor, around: &Tensor) -> Result<Tensor> {
        match Way::of(input) {
            Way::Kernels => {
                self.backward_by_kernel(&input.contiguous()?, &gradient.contiguous()?, Some(&around.contiguous()?))
            }
            _ => residual::add(self.backward(input, gradient)?, around),
        }
    }

    fn forward_by_kernel(&self, input: &Tensor) -> Result<Tensor> {
        let (tokens, hidden) = input.dims2()?;
        let output = uninitialized(input.shape(), input.dtype(), input.device())?;
        let launch = Launch::packed("rms_norm_forward", input, hidden)?.block_for_each_row(tokens, hidden);
        let launch = launch.tensor(input)?.tensor(&self.weight)?.tensor(&output)?;
        launch.number(hidden)?.real(self.epsilon).run()?;
        Ok(output)
    }

    fn backward_by_kernel(&self, input: &Tensor, gradient: &Tensor, around: Option<&Tensor>) -> Result<Tensor> {
        let (tokens, hidden) = input.dims2()?;
        let output = uninitialized(input.shape(), input.dtype(), input.device())?;
        let launch = Launch::packed("rms_norm_backward", input, hidden)?.block_for_each_row(tokens, hidden);
        let launch = launch.tensor(input)?.tensor(&self.weight)?.tensor(gradient)?.optional(around)?.tensor(&output)?;
        launch.number(hidden)?.real(self.epsilon).run()?;
        Ok(output)
    }

    /// 1/√(mean(x²) + ε), `[tokens, 1]`.
    fn inverse(&self, input: &Tensor) -> Result<Tensor> {
        (input.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()?.recip()
    }

    fn forward_on_slices(&self, input: &Tensor) -> Result<Tensor> {
        let (values, weight) = (Values::of(input)?, Values::of(&self.weight)?);
        let size = weight.len();
        let mut output = vec![0f32; values.len()];
        output.par_chunks_mut(size).zip(values.par_chunks(size)).with_min_len(ROWS_PER_TASK).for_each(|(output, x)| {
            widest!(forward_row(output, x, &weight, self.epsilon as f32));
        });
        Tensor::from_vec(output, input.shape(), input.device())
    }

    fn backward_on_slices(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
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
