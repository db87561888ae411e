//! The frozen operations: forward and hand-written backward, one small file each.
//!
//! Each operation is a struct of frozen weights with `forward` and `backward`, plain functions over tensors that no graph
//! records. On the CPU they run our own kernels over f32 slices, on all threads; elsewhere (and for f64) the same formulas
//! as tensor operations. [`frozen`] is the one bridge to candle's autograd.

mod arithmetic;
pub mod attention;
pub mod cross_entropy;
#[cfg(target_arch = "x86_64")]
mod few_rows;
pub mod frozen;
mod kernel;
pub mod linear;
#[cfg(target_arch = "x86_64")]
mod one_row;
pub mod residual;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
#[cfg(test)]
mod tests;

pub use kernel::wide;
