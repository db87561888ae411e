//! The loss of next-token prediction, with its gradient worked out on the way.

use super::kernel::{Values, exp, on_cpu, wide, widened};
use candle_core::{D, DType, Result, Tensor};
use rayon::prelude::*;

/// −log p(target) of each row with p = softmax(logits): `[rows]` from `[rows, vocabulary]`, in f32, or f64 for f64.
pub fn losses(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(with_gradient(logits, targets, false)?.0)
}

/// The losses, and the gradient of each row's loss by its logits: softmax(logits) − one-hot(target).
pub fn losses_and_gradient(logits: &Tensor, targets: &Tensor) -> Result<(Tensor, Tensor)> {
    let (losses, gradient) = with_gradient(logits, targets, true)?;
    Ok((losses, gradient.unwrap_or_else(|| logits.clone())))
}

fn with_gradient(logits: &Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Option<Tensor>)> {
    if on_cpu(logits) {
        return on_slices(logits, targets, wanted);
    }
    let wide_logits = logits.to_dtype(wide(logits.dtype()))?;
    let shifted = wide_logits.broadcast_sub(&wide_logits.max_keepdim(D::Minus1)?)?;
    let powers = shifted.exp()?;
    let sums = powers.sum_keepdim(D::Minus1)?;
    let targets = targets.unsqueeze(1)?;
    let losses = (sums.log()? - shifted.gather(&targets, 1)?)?.squeeze(1)?;
    if !wanted {
        return Ok((losses, None));
    }
    // The backward of candle's scatter_add is wrong; nothing here is recorded.
    let ones = Tensor::ones(targets.dims(), powers.dtype(), powers.device())?;
    let gradient = powers.broadcast_div(&sums)?.scatter_add(&targets, &ones.neg()?, 1)?;
    Ok((losses, Some(gradient)))
}

fn on_slices(logits: &Tensor, targets: &Tensor, wanted: bool) -> Result<(Tensor, Option<Tensor>)> {
    let (rows, vocabulary) = logits.dims2()?;
    let targets = targets.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    let wide_logits = widened(logits)?;
    let values = Values::of(&wide_logits)?;
    let mut losses = vec![0f32; rows];
    let mut gradient = vec![0f32; if wanted { rows * vocabulary } else { 0 }];
    let row_loss = |row: &[f32], target: u32| {
        let highest = super::kernel::maximum(row);
        let sum: f64 = row.chunks(64).map(|chunk| f64::from(chunk.iter().map(|x| exp(x - highest)).sum::<f32>())).sum();
        let target = row.get(target as usize).copied().unwrap_or(f32::NAN);
        (highest, sum as f32, (sum.ln() - f64::from(target - highest)) as f32)
    };
    let rows_of_losses = losses.par_iter_mut().zip(values.par_chunks(vocabulary)).zip(&targets);
    if wanted {
        rows_of_losses.zip(gradient.par_chunks_mut(vocabulary)).for_each(|(((loss, row), &target), gradient)| {
            let (highest, sum, row_loss) = row_loss(row, target);
            *loss = row_loss;
            let inverse = 1.0 / sum;
            gradient.iter_mut().zip(row).for_each(|(gradient, x)| *gradient = exp(x - highest) * inverse);
            if let Some(at_target) = gradient.get_mut(target as usize) {
                *at_target -= 1.0;
            }
        });
        let gradient = Tensor::from_vec(gradient, (rows, vocabulary), logits.device())?;
        return Ok((Tensor::from_vec(losses, rows, logits.device())?, Some(gradient)));
    }
    rows_of_losses.for_each(|((loss, row), &target)| *loss = row_loss(row, target).2);
    Ok((Tensor::from_vec(losses, rows, logits.device())?, None))
}
