//! Kernels over many f32 tensors at once: each block takes a stretch of one of them.

use crate::model::kernels::{self, Launch};
use candle_core::{DType, Device, Result, Tensor};

/// Numbers of a tensor that one block takes, as in `optimizer.cu`.
const STRETCH: usize = 4096;

/// The grid of such a kernel.
pub struct Many<'a> {
    first: &'a Tensor,
    /// `[stretches of the longest, tensors]`
    grid: [usize; 2],
    /// `[tensors]`
    counts: Tensor,
}

impl<'a> Many<'a> {
    /// A grid for tensors that are as long as these; `None` where kernels do not serve them, or there are none.
    pub fn of(tensors: &'a [Tensor]) -> Result<Option<Self>> {
        let Some(first) = tensors.first().filter(|first| kernels::serve(first.device(), DType::F32)) else {
            return Ok(None);
        };
        let counts: Vec<u32> = tensors.iter().map(|tensor| tensor.elem_count() as u32).collect();
        let longest = counts.iter().max().map_or(0, |&count| count as usize);
        let grid = [longest.div_ceil(STRETCH), tensors.len()];
        Ok(Some(Self { first, grid, counts: numbers(counts, first.device())? }))
    }

    /// A kernel on the grid.
    pub fn launch(&self, kernel: &str) -> Result<Launch<'a>> {
        Ok(Launch::new(kernel, self.first)?.grid([self.grid[0], self.grid[1], 1]))
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// The numbers that each tensor has.
    pub fn counts(&self) -> &Tensor {
        &self.counts
    }
}

/// Numbers on a device.
pub fn numbers(numbers: Vec<u32>, device: &Device) -> Result<Tensor> {
    let count = numbers.len();
    Tensor::from_vec(numbers, count, device)
}
