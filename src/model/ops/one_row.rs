//! The product of one row with a weight, summed up in the order of [`super::few_rows`]: there a vector holds the same input of several rows,
//! here it holds the same input of several rows of the weight.

use super::few_rows::parts;
use pulp::x86::V3;
use pulp::{NullaryFnOnce, f32x8};
use rayon::prelude::*;
use std::arch::x86_64::__m256;

/// Values of a vector: outputs that are worked on at a time.
const LANES: usize = 8;

/// x Wᵀ: `input` is `[inputs]`, `weight` `[outputs, inputs]`, the result `[outputs]`.
pub fn product(processor: V3, input: &[f32], weight: &[f32]) -> Vec<f32> {
    let inputs = input.len();
    let mut output = vec![0f32; weight.len() / inputs];
    // Several pieces for each thread, as some threads are slower than others.
    let piece = output.len().div_ceil(4 * rayon::current_num_threads()).next_multiple_of(LANES);
    output.par_chunks_mut(piece).zip(weight.par_chunks(piece * inputs)).for_each(|(output, weight)| {
        processor.vectorize(Piece { processor, output, input, weight });
    });
    output
}

/// Some of the outputs.
struct Piece<'a> {
    processor: V3,
    output: &'a mut [f32],
    input: &'a [f32],
    weight: &'a [f32],
}

impl NullaryFnOnce for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let inputs = self.input.len();
        for (output, weight) in self.output.chunks_mut(LANES).zip(self.weight.chunks(LANES * inputs)) {
            // Where rows of the weight are missing, the last one stands in.
            let last = output.len() - 1;
            let rows: [&[f32]; LANES] = std::array::from_fn(|row| &weight[row.min(last) * inputs..][..inputs]);
            let mut total = self.processor.splat_f32x8(0.0);
            for part in parts(inputs) {
                let sum = sums(self.processor, &self.input[part.clone()], rows.map(|row| &row[part.clone()]));
                total = self.processor.add_f32x8(total, sum);
            }
            let total: [f32; LANES] = pulp::cast(total);
            output.copy_from_slice(&total[..output.len()]);
        }
    }
}

/// The products of a part of the inputs with that of each row.
#[inline(always)]
fn sums(processor: V3, input: &[f32], rows: [&[f32]; LANES]) -> f32x8 {
    let (inputs, rest) = input.as_chunks::<LANES>();
    let squares = rows.map(|row| &row.as_chunks::<LANES>().0[..inputs.len()]);
    let mut sums = processor.splat_f32x8(0.0);
    for (at, inputs) in inputs.iter().enumerate() {
        let columns = transposed(processor, squares.map(|row| pulp::cast(row[at])));
        for (&input, column) in inputs.iter().zip(columns) {
            sums = processor.mul_add_f32x8(column, processor.splat_f32x8(input), sums);
        }
    }
    for (&input, at) in rest.iter().zip(inputs.len() * LANES..) {
        let column: [f32; LANES] = rows.map(|row| row[at]);
        sums = processor.mul_add_f32x8(pulp::cast(column), processor.splat_f32x8(input), sums);
    }
    sums
}

/// A square of values with rows and columns swapped: pairs of rows, then pairs of pairs, then halves.
#[inline(always)]
fn transposed(processor: V3, rows: [__m256; LANES]) -> [f32x8; LANES] {
    let avx = processor.avx;
    let [a, b, c, d, e, f, g, h] = rows;
    let (ab, cd) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d));
    let (ab_high, cd_high) = (avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d));
    let (ef, gh) = (avx._mm256_unpacklo_ps(e, f), avx._mm256_unpacklo_ps(g, h));
    let (ef_high, gh_high) = (avx._mm256_unpackhi_ps(e, f), avx._mm256_unpackhi_ps(g, h));
    let quads =
        |ab, cd| (avx._mm256_shuffle_ps::<0b01_00_01_00>(ab, cd), avx._mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
    let ((top0, top1), (top2, top3)) = (quads(ab, cd), quads(ab_high, cd_high));
    let ((low0, low1), (low2, low3)) = (quads(ef, gh), quads(ef_high, gh_high));
    let pairs = [(top0, low0), (top1, low1), (top2, low2), (top3, low3)];
    std::array::from_fn(|column| {
        let (top, low) = pairs[column % 4];
        pulp::cast(match column < 4 {
            true => avx._mm256_permute2f128_ps::<0x20>(top, low),
            false => avx._mm256_permute2f128_ps::<0x31>(top, low),
        })
    })
}
