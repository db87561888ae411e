//! The gated activation between the feed-forward projections (Shazeer 2020).

use super::arithmetic::{sigmoid, widest};
use super::kernel::{ROWS_PER_TASK, Values, on_cpu, wide, widened};
use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

/// silu(gate)·up, where the input holds gate and up side by side: `[tokens, 2·inner]` to `[tokens, inner]`.
pub fn forward(gate_up: &Tensor) -> Result<Tensor> {
    let (tokens, width) = gate_up.dims2()?;
    if on_cpu(gate_up) {
        let dtype = gate_up.dtype();
        let gate_up = widened(gate_up)?;
        let values = Values::of(&gate_up)?;
        let mut output = vec![0f32; tokens * width / 2];
        let rows = output.par_chunks_mut(width / 2).zip(values.par_chunks(width));
        rows.with_min_len(ROWS_PER_TASK).for_each(|(output, row)| {
            widest!(forward_row(output, row));
        });
        return Tensor::from_vec(output, (tokens, width / 2), gate_up.device())?.to_dtype(dtype);
    }
    let (gate, up) = halves(gate_up)?;
    ((&gate * slow_sigmoid(&gate)?)? * up)?.to_dtype(gate_up.dtype())
}

/// The gradient of the input, `[tokens, 2·inner]`: with s = sigmoid(gate),
/// d gate = g·up·s·(1 + gate·(1 − s)) and d up = g·gate·s.
pub fn backward(gate_up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (tokens, width) = gate_up.dims2()?;
    if on_cpu(gate_up) {
        let dtype = gate_up.dtype();
        let (gate_up, gradient) = (widened(gate_up)?, widened(gradient)?);
        let (values, gradients) = (Values::of(&gate_up)?, Values::of(&gradient)?);
        let mut output = vec![0f32; tokens * width];
        let rows = output.par_chunks_mut(width).zip(values.par_chunks(width)).zip(gradients.par_chunks(width / 2));
        rows.with_min_len(ROWS_PER_TASK).for_each(|((output, row), gradient)| {
            widest!(backward_row(output, row, gradient));
        });
        return Tensor::from_vec(output, (tokens, width), gate_up.device())?.to_dtype(dtype);
    }
    let (gate, up) = halves(gate_up)?;
    let gradient = gradient.to_dtype(wide(gate_up.dtype()))?;
    let s = slow_sigmoid(&gate)?;
    let slope = (&s * ((&gate * (1.0 - &s)?)? + 1.0)?)?;
    let gate_gradient = ((&gradient * up)? * slope)?;
    let up_gradient = (gradient * (gate * s)?)?;
    Tensor::cat(&[gate_gradient, up_gradient], D::Minus1)?.to_dtype(gate_up.dtype())
}

#[inline(always)]
fn forward_row<const FUSED: bool>(output: &mut [f32], row: &[f32]) {
    let (gate, up) = row.split_at(row.len() / 2);
    for ((output, &gate), &up) in output.iter_mut().zip(gate).zip(up) {
        *output = gate * sigmoid::<FUSED>(gate) * up;
    }
}

#[inline(always)]
fn backward_row<const FUSED: bool>(output: &mut [f32], row: &[f32], gradient: &[f32]) {
    let half = gradient.len();
    let (gate, up) = row.split_at(half);
    let (gate_gradient, up_gradient) = output.split_at_mut(half);
    let (up, gate_gradient, up_gradient) = (&up[..half], &mut gate_gradient[..half], &mut up_gradient[..half]);
    for i in 0..half {
        let s = sigmoid::<FUSED>(gate[i]);
        gate_gradient[i] = gradient[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
        up_gradient[i] = gradient[i] * gate[i] * s;
    }
}

fn halves(gate_up: &Tensor) -> Result<(Tensor, Tensor)> {
    let wide_input = gate_up.to_dtype(wide(gate_up.dtype()))?;
    let half = wide_input.dim(D::Minus1)? / 2;
    Ok((wide_input.narrow(D::Minus1, 0, half)?, wide_input.narrow(D::Minus1, half, half)?))
}

fn slow_sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}
