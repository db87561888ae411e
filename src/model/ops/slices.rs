//! What the operations share on the CPU: tensors as slices, and how many rows a thread takes.

use candle_core::{CpuStorage, DType, Result, Storage, StorageRef, Tensor, bail};
use std::ops::{Deref, Range};

/// Rows that one thread takes at a time, so that small tensors are not scattered over threads.
pub const ROWS_PER_TASK: usize = 16;

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
            _ => bail!("an operation on slices got a tensor of another device"),
        }
    }
}

impl<'a> Values<'a> {
    /// Borrows the values; the tensor comes from [`widened`].
    pub fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => Ok(Self { storage, range: start..end }),
            _ => bail!("an operation on slices needs a contiguous f32 tensor, got {tensor:?}"),
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
