//! Kernels of our own, in CUDA C++ (`device/`), for the operations that tensor operations would make slow on a GPU.
//!
//! With the feature `cuda` they are compiled to PTX and run on the device. With the feature `emulate` the same sources are compiled
//! for the CPU, over a small emulation of CUDA's blocks and threads, and the same launches run on tensors of the CPU: for tests where
//! there is no GPU. Without either, nothing is served, and operations take their other ways.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "emulate")]
mod emulated;
mod launch;

pub use launch::{Launch, uninitialized};

use candle_core::{DType, Device};

/// Whether kernels serve tensors of this type on this device: on a GPU (or emulated), and of a type that they are made for. f64, for
/// gradient checks, goes the way of tensor operations.
pub fn serve(device: &Device, dtype: DType) -> bool {
    let device = if cfg!(feature = "emulate") { device.is_cpu() } else { cfg!(feature = "cuda") && device.is_cuda() };
    device && matches!(dtype, DType::F32 | DType::BF16 | DType::F16)
}
