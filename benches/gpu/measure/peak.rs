//! What the device's library reaches with products of square matrices: the peak that rates are a share of.

use crate::synthetic::numbers;
use candle_core::{DType, Device, Result};
use std::time::Instant;

/// FLOP/s of the best of several products: 8192 × 8192 of bf16 on a GPU, smaller ones of f32 on the CPU. On random numbers: zeros are
/// faster than any data.
pub fn matrix_peak(device: &Device, tiny: bool) -> Result<f64> {
    let (size, dtype, repetitions) = match (device.is_cpu(), tiny) {
        (true, _) => (1024, DType::F32, 6),
        (false, true) => (2048, DType::BF16, 10),
        (false, false) => (8192, DType::BF16, 20),
    };
    // One block of numbers fills a large matrix row by row.
    let drawn = numbers(&[1024, 1024], 5)?.to_dtype(dtype)?.to_device(device)?;
    let matrix = drawn.repeat((size / 1024, size / 1024))?.contiguous()?;
    let mut best = 0.0f64;
    for _ in 0..3 {
        matrix.matmul(&matrix)?;
    }
    for _ in 0..repetitions {
        device.synchronize()?;
        let begun = Instant::now();
        let product = matrix.matmul(&matrix)?;
        device.synchronize()?;
        best = best.max(2.0 * (size as f64).powi(3) / begun.elapsed().as_secs_f64());
        drop(product);
    }
    Ok(best)
}
