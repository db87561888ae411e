//! The product of few rows with a weight: a step of decoding.
//!
//! A general product first copies the weight into an order of its own, which pays once the copy meets many rows. Here the weight is read
//! once, in the order in which it lies; the rows are copied instead, so that a vector holds the same input of several rows.

use pulp::x86::V3;
use pulp::{NullaryFnOnce, f32x8};
use rayon::prelude::*;
use std::ops::Range;

/// With more rows candle's product is as fast.
pub const MOST_ROWS: usize = 64;
/// Rows of a vector.
const LANES: usize = 8;
/// Rows that are worked on at a time: two vectors.
const BLOCK: usize = 2 * LANES;
/// Rows of the weight whose sums with two vectors, or with one, fit the registers.
const OUTPUTS_OF_TWO: usize = 6;
const OUTPUTS_OF_ONE: usize = 8;
/// The most inputs that are summed up before they join a total.
const INPUTS_PER_SUM: usize = 512;
/// Inputs that a thread copies at a time.
const INPUTS_PER_TASK: usize = 64;

/// x Wᵀ: `input` is `[rows, inputs]`, `weight` `[outputs, inputs]`, the result `[rows, outputs]`. Every number is summed up in the order of
/// the inputs, whatever the number of rows and threads.
pub fn product(processor: V3, input: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let (outputs, rows) = (weight.len() / inputs, input.len() / inputs);
    let mut output = vec![0f32; rows * outputs];
    // Several pieces for each thread, as some threads are slower than others.
    let piece = outputs.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(OUTPUTS_OF_TWO * OUTPUTS_OF_ONE);
    let mut pieces: Vec<Vec<&mut [f32]>> = (0..outputs.div_ceil(piece)).map(|_| Vec::with_capacity(rows)).collect();
    for row in output.chunks_exact_mut(outputs) {
        pieces.iter_mut().zip(row.chunks_mut(piece)).for_each(|(piece, part)| piece.push(part));
    }
    let blocks: Vec<Vec<[f32; BLOCK]>> = input.chunks(BLOCK * inputs).map(|rows| transposed(rows, inputs)).collect();
    pieces.into_par_iter().zip(weight.par_chunks(piece * inputs)).for_each(|(output, weight)| {
        processor.vectorize(Piece { processor, output, blocks: &blocks, weight, inputs });
    });
    output
}

/// The inputs that are summed up before they join a total: equal parts, as in candle's product, so that mostly the results are the same to
/// the last bit.
#[inline(always)]
pub fn parts(inputs: usize) -> impl Iterator<Item = Range<usize>> {
    let part = inputs.div_ceil(inputs.div_ceil(INPUTS_PER_SUM).max(1)).max(1);
    (0..inputs).step_by(part).map(move |start| start..inputs.min(start + part))
}

/// At most `BLOCK` rows, `[rows, inputs]`, as `[inputs, BLOCK]`, with 0 for rows that there are not.
fn transposed(input: &[f32], inputs: usize) -> Vec<[f32; BLOCK]> {
    let mut columns = vec![[0f32; BLOCK]; inputs];
    columns.par_chunks_mut(INPUTS_PER_TASK).enumerate().for_each(|(task, columns)| {
        for (row, input) in input.chunks_exact(inputs).enumerate() {
            columns.iter_mut().zip(&input[task * INPUTS_PER_TASK..]).for_each(|(column, value)| column[row] = *value);
        }
    });
    columns
}

/// Some columns of the result.
struct Piece<'a> {
    processor: V3,
    /// For each row the part of its output that `weight` gives.
    output: Vec<&'a mut [f32]>,
    blocks: &'a [Vec<[f32; BLOCK]>],
    weight: &'a [f32],
    inputs: usize,
}

impl NullaryFnOnce for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let outputs = OUTPUTS_OF_TWO * OUTPUTS_OF_ONE;
        for (part, weight) in self.weight.chunks(outputs * self.inputs).enumerate() {
            for (block, rows) in self.blocks.iter().zip(self.output.chunks_mut(BLOCK)) {
                let mut tiles = Tiles { processor: self.processor, output: rows, first: part * outputs, block };
                match tiles.output.len() <= LANES {
                    true => tiles.run::<1, OUTPUTS_OF_ONE>(weight, self.inputs),
                    false => tiles.run::<2, OUTPUTS_OF_TWO>(weight, self.inputs),
                }
            }
        }
    }
}

/// Some columns of some rows of the result.
struct Tiles<'a, 'b> {
    processor: V3,
    output: &'a mut [&'b mut [f32]],
    /// The next column.
    first: usize,
    block: &'a [[f32; BLOCK]],
}

impl Tiles<'_, '_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const OUTPUTS: usize>(&mut self, weight: &[f32], inputs: usize) {
        let mut tiles = weight.chunks_exact(OUTPUTS * inputs);
        for tile in &mut tiles {
            self.tile::<VECTORS, OUTPUTS>(tile, inputs);
        }
        for row in tiles.remainder().chunks_exact(inputs) {
            self.tile::<VECTORS, 1>(row, inputs);
        }
    }

    #[inline(always)]
    fn tile<const VECTORS: usize, const OUTPUTS: usize>(&mut self, weight: &[f32], inputs: usize) {
        let mut totals = [[self.processor.splat_f32x8(0.0); VECTORS]; OUTPUTS];
        for part in parts(inputs) {
            let block = &self.block[part.clone()];
            let weights: [&[f32]; OUTPUTS] =
                std::array::from_fn(|output| &weight[output * inputs + part.start..][..block.len()]);
            let mut sums = [[self.processor.splat_f32x8(0.0); VECTORS]; OUTPUTS];
            for at in 0..block.len() {
                let (vectors, _) = block[at].as_chunks::<LANES>();
                let rows: [f32x8; VECTORS] = std::array::from_fn(|vector| pulp::cast(vectors[vector]));
                for output in 0..OUTPUTS {
                    let weight = self.processor.splat_f32x8(weights[output][at]);
                    for vector in 0..VECTORS {
                        let sum = sums[output][vector];
                        sums[output][vector] = self.processor.mul_add_f32x8(weight, rows[vector], sum);
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(sums) {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = self.processor.add_f32x8(*total, sum);
                }
            }
        }
        for (output, totals) in totals.into_iter().enumerate() {
            for (rows, total) in self.output.chunks_mut(LANES).zip(totals) {
                let total: [f32; LANES] = pulp::cast(total);
                rows.iter_mut().zip(total).for_each(|(row, value)| row[self.first + output] = value);
            }
        }
        self.first += OUTPUTS;
    }
}
