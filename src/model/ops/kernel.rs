//! What the CPU kernels share: tensors as slices, and arithmetic that the compiler vectorises.

use candle_core::{CpuStorage, DType, Result, Storage, StorageRef, Tensor, bail};
use std::ops::{Deref, Range};

/// Rows that one thread takes at a time, so that small tensors are not scattered over threads.
pub const ROWS_PER_TASK: usize = 16;

/// Whether our CPU kernels serve this tensor. f64 (gradient checks) goes the way of the other devices.
pub fn on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() != DType::F64
}

/// The dtype that norms, softmax and losses are computed in: f32, but f64 for f64.
pub fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// A tensor's values on the CPU, contiguous and in f32, whatever its own dtype and strides.
pub fn widened(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::F32)?.contiguous()
}

/// The values of a contiguous f32 tensor on the CPU, locked for reading.
pub struct Values<'a> {
    storage: StorageRef<'a>,
    range: Range<usize>,
}

impl Values<'_> {
    /// The buffer that holds the values, and where they begin in it.
    pub fn storage(&self) -> Result<(&CpuStorage, usize)> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok((storage, self.range.start)),
            _ => bail!("a CPU kernel got a tensor of another device"),
        }
    }
}

impl<'a> Values<'a> {
    /// Borrows the values; the tensor comes from [`widened`].
    pub fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => Ok(Self { storage, range: start..end }),
            _ => bail!("a CPU kernel needs a contiguous f32 tensor, got {tensor:?}"),
        }
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            _ => &[],
        }
    }
}

/// The sum of products, in eight lanes.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let tail: f32 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// output + input · scale, written over `output`.
pub fn add_scaled(output: &mut [f32], input: &[f32], scale: f32) {
    output.iter_mut().zip(input).for_each(|(output, input)| *output += input * scale);
}

/// The largest value, in eight lanes.
pub fn maximum(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; 8];
    let chunks = values.chunks_exact(8);
    let tail = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, larger);
    for chunk in chunks {
        for lane in 0..8 {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    lanes.into_iter().fold(tail, larger)
}

/// Replaces each value by e^(value - shift) and returns their sum, in eight lanes.
pub fn exponentials(values: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0f32; 8];
    let mut chunks = values.chunks_exact_mut(8);
    for chunk in &mut chunks {
        for lane in 0..8 {
            chunk[lane] = exp(chunk[lane] - shift);
            lanes[lane] += chunk[lane];
        }
    }
    let mut sum = 0.0;
    for value in chunks.into_remainder() {
        *value = exp(*value - shift);
        sum += *value;
    }
    lanes.iter().sum::<f32>() + sum
}

/// e^x to about two units in the last place, without a branch or a call, so that loops over it vectorise.
/// Beyond the range of normal f32 numbers the result stays at the smallest or the largest; NaN stays NaN.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then e^x = 2ⁿ·e^r with a polynomial for e^r.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding 1.5·2²³ rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts: products of the high one with small integers are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.3);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let r2 = r * r;
    let low = 1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))));
    power * (1.0 + r + r2 * low)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library() {
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "e^{x} = {} should be {exact}", exp(x));
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e9) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn lanes_and_remainders_add_up() {
        let values: Vec<f32> = (0..21).map(|i| i as f32).collect();
        assert_eq!(dot(&values, &values), 2870.0);
        assert_eq!(maximum(&values), 20.0);
        let mut copy = values.clone();
        let sum = exponentials(&mut copy, 20.0);
        assert!((sum - 1.581_976_7).abs() < 1e-6);
        assert_eq!(copy[20], 1.0);
    }
}
