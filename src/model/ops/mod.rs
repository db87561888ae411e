//! The frozen operations: forward and hand-written backward, one small file each.
//!
//! Each operation is a struct of frozen weights with `forward` and `backward`, plain functions over tensors that no graph
//! records. On the CPU they are loops over f32 slices, on all threads; on a GPU, kernels; elsewhere (and for f64) the same formulas as
//! tensor operations: see `way`. [`frozen`] is the one bridge to candle's autograd.

mod arithmetic;
pub mod attention;
pub mod cross_entropy;
#[cfg(target_arch = "x86_64")]
mod few_rows;
pub mod frozen;
pub mod linear;
#[cfg(target_arch = "x86_64")]
mod one_row;
pub mod residual;
pub mod rms_norm;
pub mod rope;
pub mod rows;
mod slices;
pub mod swiglu;
#[cfg(test)]
mod tests;
mod way;

pub use slices::wide;
