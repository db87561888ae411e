//! Rotary position embedding (Su et al. 2021) in the half-split order of Hugging Face checkpoints.

use super::arithmetic::{product_sum, widest};
use super::slices::{ROWS_PER_TASK, Values, wide, widened};
use super::way::Way;
use crate::model::config::{Rope, RopeScaling};
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{D, DType, Device, Result, Tensor};
use rayon::prelude::*;
use std::f64::consts::PI;

/// The rotation frequencies of a model.
pub struct Rotary {
    /// `head_dim / 2` angles for each step of the position.
    frequencies: Vec<f32>,
}

/// Cosines and sines for the tokens of one forward pass.
pub struct Angles {
    /// `[tokens, head_dim / 2]`
    cosine: Tensor,
    /// `[tokens, head_dim / 2]`
    sine: Tensor,
}

/// Which way [`Angles::rotate`] turns; the gradient of a rotation is the opposite one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Forward,
    Backward,
}

impl Rotary {
    /// The frequencies θ^(−2i/d), scaled as the model says.
    pub fn new(rope: &Rope, head_dim: usize) -> Self {
        let plain = (0..head_dim / 2).map(|i| rope.theta.powf(-((2 * i) as f64) / head_dim as f64));
        Self { frequencies: plain.map(|frequency| scaled(frequency, &rope.scaling) as f32).collect() }
    }

    /// The angles of tokens at these positions. `dtype` is that of the model; angles are kept in f32 (f64 for f64).
    pub fn angles(&self, positions: &[usize], dtype: DType, device: &Device) -> Result<Angles> {
        let shape = (positions.len(), self.frequencies.len());
        let turned = |turn: fn(f32) -> f32| {
            let angle = |&position: &usize| self.frequencies.iter().map(move |f| turn(f * position as f32));
            let values: Vec<f32> = positions.iter().flat_map(angle).collect();
            Tensor::from_vec(values, shape, device)?.to_dtype(wide(dtype))
        };
        Ok(Angles { cosine: turned(f32::cos)?, sine: turned(f32::sin)? })
    }
}

/// A frequency after scaling: all divided by a factor (linear), or the slow ones only, with a blend between (Llama 3.1).
pub fn scaled(frequency: f64, scaling: &RopeScaling) -> f64 {
    match *scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => {
            let turns = original_context as f64 * frequency / (2.0 * PI);
            let blend = (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
            let blend = blend.clamp(0.0, 1.0);
            (1.0 - blend) * frequency / factor + blend * frequency
        }
    }
}

impl Angles {
    /// Rotates the first `heads` heads of each token and copies the rest: `[tokens, width]` to the same shape.
    /// The halves x, y of a head become x cos − y sin and y cos + x sin.
    pub fn rotate(&self, input: &Tensor, heads: usize, turn: Turn) -> Result<Tensor> {
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        match Way::of(input) {
            Way::Slices => self.rotate_on_slices(input, heads, sign),
            Way::Kernels => self.rotate_by_kernel(&input.contiguous()?, heads, sign),
            Way::Formulas => self.rotate_by_formula(input, heads, sign),
        }
    }

    fn rotate_on_slices(&self, input: &Tensor, heads: usize, sign: f64) -> Result<Tensor> {
        let (width, half) = (input.dim(1)?, self.cosine.dim(1)?);
        let wide_input = widened(input)?;
        let (values, cosine, sine) = (Values::of(&wide_input)?, Values::of(&self.cosine)?, Values::of(&self.sine)?);
        let mut output = vec![0f32; values.len()];
        let rows = output.par_chunks_mut(width).zip(values.par_chunks(width));
        let rows = rows.zip(cosine.par_chunks(half)).zip(sine.par_chunks(half));
        rows.with_min_len(ROWS_PER_TASK).for_each(|(((output, row), cosine), sine)| {
            let rotated = heads * 2 * half;
            output[rotated..].copy_from_slice(&row[rotated..]);
            widest!(rotate_heads(&mut output[..rotated], &row[..rotated], cosine, sine, sign as f32));
        });
        Tensor::from_vec(output, input.shape(), input.device())?.to_dtype(input.dtype())
    }

    fn rotate_by_kernel(&self, input: &Tensor, heads: usize, sign: f64) -> Result<Tensor> {
        let ((tokens, width), half) = (input.dims2()?, self.cosine.dim(1)?);
        let output = uninitialized(input.shape(), input.dtype(), input.device())?;
        // Packs end with a head, and with the row.
        let launch = Launch::packed("rope", input, if width % half == 0 { half } else { 1 })?;
        let launch = launch.block_for_each_row(tokens, heads * half).tensor(input)?;
        let launch = launch.tensor(&self.cosine)?.tensor(&self.sine)?.tensor(&output)?;
        launch.number(width)?.number(heads)?.number(half)?.real(sign).run()?;
        Ok(output)
    }

    fn rotate_by_formula(&self, input: &Tensor, heads: usize, sign: f64) -> Result<Tensor> {
        let ((tokens, width), half) = (input.dims2()?, self.cosine.dim(1)?);
        let rotated = input.narrow(1, 0, heads * 2 * half)?.reshape((tokens, heads, 2 * half))?;
        let rotated = rotated.to_dtype(self.cosine.dtype())?;
        let (x, y) = (rotated.narrow(2, 0, half)?, rotated.narrow(2, half, half)?);
        let (cosine, sine) = (self.cosine.unsqueeze(1)?, (self.sine.unsqueeze(1)? * sign)?);
        let x_out = (x.broadcast_mul(&cosine)? - y.broadcast_mul(&sine)?)?;
        let y_out = (y.broadcast_mul(&cosine)? + x.broadcast_mul(&sine)?)?;
        let rotated = Tensor::cat(&[x_out, y_out], D::Minus1)?.reshape((tokens, heads * 2 * half))?;
        let rest = input.narrow(1, heads * 2 * half, width - heads * 2 * half)?;
        Tensor::cat(&[rotated.to_dtype(input.dtype())?, rest], 1)
    }
}

/// Rotates all heads of one token by the same angles.
#[inline(always)]
fn rotate_heads<const FUSED: bool>(output: &mut [f32], input: &[f32], cosine: &[f32], sine: &[f32], sign: f32) {
    let half = cosine.len();
    let sine = &sine[..half];
    for (output, head) in output.chunks_exact_mut(2 * half).zip(input.chunks_exact(2 * half)) {
        let ((x_out, y_out), (x, y)) = (output.split_at_mut(half), head.split_at(half));
        let (y_out, y) = (&mut y_out[..half], &y[..half]);
        for i in 0..half {
            let sine = sign * sine[i];
            x_out[i] = product_sum::<FUSED>(x[i], cosine[i], -(y[i] * sine));
            y_out[i] = product_sum::<FUSED>(y[i], cosine[i], x[i] * sine);
        }
    }
}
