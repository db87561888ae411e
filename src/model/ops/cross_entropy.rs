//! The loss of next-token prediction, with its gradient worked out on the way.

use super::arithmetic::{STRETCH, exponentials, maximum, scale, sum_of_exponentials, widest};
use super::slices::{Values, wide, widened};
use super::way::Way;
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{D, DType, Result, Tensor};
use rayon::prelude::*;

/// −log p(target) of each row with p = softmax(logits): `[rows]` from `[rows, vocabulary]`, in f32, or f64 for f64.
pub fn losses(logits: Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(with_gradient(logits, targets, false)?.0)
}

/// The losses, and the gradient of each row's loss by its logits, softmax(logits) − one-hot(target), in the type of the logits. On a
/// GPU it is written over them: pass a tensor that nothing else holds.
pub fn losses_and_gradient(logits: Tensor, targets: &Tensor) -> Result<(Tensor, Tensor)> {
    with_gradient(logits, targets, true)
}

/// What stands for the gradient has no meaning where it is not wanted.
fn with_gradient(logits: Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Tensor)> {
    match Way::of(&logits) {
        Way::Slices => on_slices(logits, targets, wanted),
        Way::Kernels => by_kernel(logits, targets, wanted),
        Way::Formulas => by_formula(logits, targets, wanted),
    }
}

fn by_kernel(logits: Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Tensor)> {
    let (rows, vocabulary) = logits.dims2()?;
    let (logits, targets) = (logits.contiguous()?, targets.to_dtype(DType::U32)?.contiguous()?);
    let losses = uninitialized(rows, DType::F32, logits.device())?;
    // A whole multiprocessor for each row: rows are long.
    let launch = Launch::packed("cross_entropy", &logits, vocabulary)?.grid([rows, 1, 1]).threads(512);
    let launch = launch.tensor(&logits)?.tensor(&targets)?.tensor(&losses)?.number(vocabulary)?;
    launch.number(usize::from(wanted))?.run()?;
    Ok((losses, logits))
}

fn by_formula(logits: Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Tensor)> {
    let wide_logits = logits.to_dtype(wide(logits.dtype()))?;
    let shifted = wide_logits.broadcast_sub(&wide_logits.max_keepdim(D::Minus1)?)?;
    let powers = shifted.exp()?;
    let sums = powers.sum_keepdim(D::Minus1)?;
    let targets = targets.unsqueeze(1)?;
    let losses = (sums.log()? - shifted.gather(&targets, 1)?)?.squeeze(1)?;
    if !wanted {
        return Ok((losses, logits));
    }
    // The backward of candle's scatter_add is wrong; nothing here is recorded.
    let ones = Tensor::ones(targets.dims(), powers.dtype(), powers.device())?;
    let gradient = powers.broadcast_div(&sums)?.scatter_add(&targets, &ones.neg()?, 1)?;
    Ok((losses, gradient.to_dtype(logits.dtype())?))
}

fn on_slices(logits: Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Tensor)> {
    let (rows, vocabulary) = logits.dims2()?;
    let targets = targets.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    let wide_logits = widened(&logits)?;
    let values = Values::of(&wide_logits)?;
    let mut losses = vec![0f32; rows];
    let mut gradient = vec![0f32; if wanted { rows * vocabulary } else { 0 }];
    let rows_of_losses = losses.par_iter_mut().zip(values.par_chunks(vocabulary)).zip(&targets);
    if wanted {
        rows_of_losses.zip(gradient.par_chunks_mut(vocabulary)).for_each(|(((loss, row), &target), gradient)| {
            *loss = widest!(gradient_of_row(gradient, row, target as usize));
        });
        let gradient = Tensor::from_vec(gradient, (rows, vocabulary), logits.device())?.to_dtype(logits.dtype())?;
        return Ok((Tensor::from_vec(losses, rows, logits.device())?, gradient));
    }
    rows_of_losses.for_each(|((loss, row), &target)| *loss = widest!(loss_of_row(row, target as usize)));
    Ok((Tensor::from_vec(losses, rows, logits.device())?, wide_logits.clone()))
}

#[inline(always)]
fn loss_of_row<const FUSED: bool>(row: &[f32], target: usize) -> f32 {
    let highest = maximum::<FUSED>(row);
    loss(row, target, highest, sum_of_exponentials::<FUSED>(row, highest))
}

/// The loss; writes its gradient.
#[inline(always)]
fn gradient_of_row<const FUSED: bool>(gradient: &mut [f32], row: &[f32], target: usize) -> f32 {
    let highest = maximum::<FUSED>(row);
    gradient.copy_from_slice(row);
    // In stretches, as one f32 would lose digits over a whole vocabulary.
    let mut sum = 0.0;
    for stretch in gradient.chunks_mut(STRETCH) {
        sum += f64::from(exponentials::<FUSED>(stretch, highest));
    }
    scale::<FUSED>(gradient, (1.0 / sum) as f32);
    if let Some(at_target) = gradient.get_mut(target) {
        *at_target -= 1.0;
    }
    loss(row, target, highest, sum)
}

fn loss(row: &[f32], target: usize, highest: f32, sum: f64) -> f32 {
    let target = row.get(target).copied().unwrap_or(f32::NAN);
    (sum.ln() - f64::from(target - highest)) as f32
}
