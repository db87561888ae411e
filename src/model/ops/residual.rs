//! The sum of a residual connection.

use super::arithmetic::{add_scaled, widest};
use super::slices::Values;
use super::way::Way;
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// Values that one thread takes at a time.
const VALUES_PER_TASK: usize = 1 << 14;

/// output + stream, of the same shape. On the CPU the sum is written over `output`: pass a tensor that nothing else holds.
///
/// candle's own sum hands large tensors to threads that wait for work by spinning, on cores that our kernels need.
pub fn add(output: Tensor, stream: &Tensor) -> Result<Tensor> {
    let way = Way::of(&output);
    if output.dims() != stream.dims() || output.dtype() != stream.dtype() {
        return output + stream;
    }
    if way == Way::Kernels && output.elem_count() < i32::MAX as usize {
        return add_by_kernel(&output.contiguous()?, &stream.contiguous()?);
    }
    if way != Way::Slices || output.dtype() != DType::F32 || !output.is_contiguous() {
        return output + stream;
    }
    let stream = stream.contiguous()?;
    output.inplace_op1(&Add(Values::of(&stream)?))?;
    Ok(output)
}

fn add_by_kernel(output: &Tensor, stream: &Tensor) -> Result<Tensor> {
    let (sum, count) = (uninitialized(output.shape(), output.dtype(), output.device())?, output.elem_count());
    let launch = Launch::packed("add", output, count)?.thread_for_each_pack_of(count);
    launch.tensor(output)?.tensor(stream)?.tensor(&sum)?.number(count)?.run()?;
    Ok(sum)
}

struct Add<'a>(Values<'a>);

impl InplaceOp1 for Add<'_> {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("a residual sum in place needs a contiguous f32 tensor")
        };
        let pieces = values[start..end].par_chunks_mut(VALUES_PER_TASK).zip(self.0.par_chunks(VALUES_PER_TASK));
        pieces.for_each(|(sums, values)| widest!(add_scaled(sums, values, 1.0)));
        Ok(())
    }
}
