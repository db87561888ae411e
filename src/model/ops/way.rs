//! Which of its three ways an operation goes.

use crate::model::kernels;
use candle_core::{DType, Device, Tensor};

/// How an operation computes; all ways agree but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Loops over f32 slices on the CPU, on all threads.
    Slices,
    /// Our kernels on a GPU.
    Kernels,
    /// Tensor operations, for every device and type: what the other ways are compared with.
    Formulas,
}

impl Way {
    /// The way for this tensor.
    pub fn of(tensor: &Tensor) -> Self {
        Self::on(tensor.device(), tensor.dtype())
    }

    /// The way for tensors of this type on this device. f64, for gradient checks, always goes by formulas.
    pub fn on(device: &Device, dtype: DType) -> Self {
        if kernels::serve(device, dtype) {
            Self::Kernels
        } else if device.is_cpu() && dtype != DType::F64 {
            Self::Slices
        } else {
            Self::Formulas
        }
    }
}
