//! The gated activation between the feed-forward projections (Shazeer 2020).

use super::arithmetic::{sigmoid, widest};
use super::slices::{ROWS_PER_TASK, Values, wide, widened};
use super::way::Way;
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

/// silu(gate)·up, where the input holds gate and up side by side: `[tokens, 2·inner]` to `[tokens, inner]`.
pub fn forward(gate_up: &Tensor) -> Result<Tensor> {
    let (tokens, width) = gate_up.dims2()?;
    match Way::of(gate_up) {
        Way::Slices => {
            let wide_input = widened(gate_up)?;
            let values = Values::of(&wide_input)?;
            let mut output = vec![0f32; tokens * width / 2];
            let rows = output.par_chunks_mut(width / 2).zip(values.par_chunks(width));
            rows.with_min_len(ROWS_PER_TASK).for_each(|(output, row)| {
                widest!(forward_row(output, row));
            });
            Tensor::from_vec(output, (tokens, width / 2), gate_up.device())?.to_dtype(gate_up.dtype())
        }
        Way::Kernels => {
            let (gate_up, inner) = (gate_up.contiguous()?, width / 2);
            let output = uninitialized((tokens, inner), gate_up.dtype(), gate_up.device())?;
            let launch = Launch::packed("swiglu_forward", &gate_up, inner)?.thread_for_each_pack(tokens, inner);
            launch.tensor(&gate_up)?.tensor(&output)?.number(inner)?.run()?;
            Ok(output)
        }
        Way::Formulas => {
            let (gate, up) = halves(gate_up)?;
            ((&gate * slow_sigmoid(&gate)?)? * up)?.to_dtype(gate_up.dtype())
        }
    }
}

/// The gradient of the input, `[tokens, 2·inner]`: with s = sigmoid(gate),
/// d gate = g·up·s·(1 + gate·(1 − s)) and d up = g·gate·s.
pub fn backward(gate_up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (tokens, width) = gate_up.dims2()?;
    match Way::of(gate_up) {
        Way::Slices => {
            let (wide_input, gradient) = (widened(gate_up)?, widened(gradient)?);
            let (values, gradients) = (Values::of(&wide_input)?, Values::of(&gradient)?);
            let mut output = vec![0f32; tokens * width];
            let rows = output.par_chunks_mut(width).zip(values.par_chunks(width));
            let rows = rows.zip(gradients.par_chunks(width / 2));
            rows.with_min_len(ROWS_PER_TASK).for_each(|((output, row), gradient)| {
                widest!(backward_row(output, row, gradient));
            });
            Tensor::from_vec(output, (tokens, width), gate_up.device())?.to_dtype(gate_up.dtype())
        }
        Way::Kernels => {
            let (gate_up, gradient, inner) = (gate_up.contiguous()?, gradient.contiguous()?, width / 2);
            let output = uninitialized((tokens, width), gate_up.dtype(), gate_up.device())?;
            let launch = Launch::packed("swiglu_backward", &gate_up, inner)?.thread_for_each_pack(tokens, inner);
            launch.tensor(&gate_up)?.tensor(&gradient)?.tensor(&output)?.number(inner)?.run()?;
            Ok(output)
        }
        Way::Formulas => {
            let (gate, up) = halves(gate_up)?;
            let gradient = gradient.to_dtype(wide(gate_up.dtype()))?;
            let s = slow_sigmoid(&gate)?;
            let slope = (&s * ((&gate * (1.0 - &s)?)? + 1.0)?)?;
            let gate_gradient = ((&gradient * up)? * slope)?;
            let up_gradient = (gradient * (gate * s)?)?;
            Tensor::cat(&[gate_gradient, up_gradient], D::Minus1)?.to_dtype(gate_up.dtype())
        }
    }
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
