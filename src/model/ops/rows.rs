//! Rows picked out of a matrix, and rows added into one, by packed index.
//!
//! Unlike frozen operations these may stand between trainable ones: both what is picked and what is added can lead to parameters.

use super::frozen::{self, Frozen, Output};
use super::way::Way;
use crate::model::kernels::{Launch, uninitialized};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, DType, Device, Layout, MetalStorage, Result, Shape, Tensor, bail,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which rows of a matrix are meant, in which order; a row may be there more than once.
#[derive(Clone, Debug)]
pub struct Selection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    on_host: Vec<u32>,
    /// `[rows]`
    indices: Tensor,
    /// For kernels, by the rows of the matrix, made when first needed: the same rows may be picked at several points of a pass.
    inverses: Mutex<BTreeMap<usize, Arc<Inverse>>>,
}

/// For each row of the matrix the numbers of the picked rows that it is, in their order: sums that run over them have the same bits
/// each time.
#[derive(Debug)]
struct Inverse {
    /// `[rows of the matrix + 1]`
    begins: Tensor,
    /// `[picked rows]`
    items: Tensor,
}

impl Selection {
    /// The rows with these indices, of a matrix on this device.
    pub fn new(indices: Vec<u32>, device: &Device) -> Result<Self> {
        let on_device = from_host(&indices, device)?;
        Ok(Self(Arc::new(Inner { on_host: indices, indices: on_device, inverses: Mutex::default() })))
    }

    /// The number of picked rows.
    pub fn len(&self) -> usize {
        self.0.on_host.len()
    }

    /// Whether no row is picked.
    pub fn is_empty(&self) -> bool {
        self.0.on_host.is_empty()
    }

    /// The indices.
    pub fn indices(&self) -> &[u32] {
        &self.0.on_host
    }

    /// The picked rows, `[picked, width]` from `[rows, width]`, differentiable.
    pub fn take(&self, matrix: &Tensor) -> Result<Tensor> {
        match Way::of(matrix) {
            Way::Kernels => frozen::apply(Take { selection: self.clone(), dtype: matrix.dtype() }, matrix),
            _ => matrix.index_select(&self.0.indices, 0),
        }
    }

    /// As [`Selection::take`], in f32.
    pub fn take_wide(&self, matrix: &Tensor) -> Result<Tensor> {
        match Way::of(matrix) {
            Way::Kernels => frozen::apply(Take { selection: self.clone(), dtype: DType::F32 }, matrix),
            _ => matrix.index_select(&self.0.indices, 0)?.to_dtype(DType::F32),
        }
    }

    /// As [`Selection::take`], for a matrix that has no gradient; however many rows it has, nothing is worked out for each.
    pub fn take_constant(&self, matrix: &Tensor) -> Result<Tensor> {
        let (rows, width) = matrix.dims2()?;
        if let Some(index) = self.0.on_host.iter().find(|&&index| index as usize >= rows) {
            bail!("row {index} is not among {rows}");
        }
        if Way::of(matrix) != Way::Kernels {
            return matrix.index_select(&self.0.indices, 0);
        }
        let output = uninitialized((self.len(), width), matrix.dtype(), matrix.device())?;
        let matrix = matrix.contiguous()?;
        let launch = Launch::packed("take_rows", &matrix, width)?.thread_for_each_pack(self.len(), width);
        launch.tensor(&matrix)?.tensor(&self.0.indices)?.tensor(&output)?.number(width)?.run()?;
        Ok(output)
    }

    /// The matrix with rows added to the picked ones, `[picked, width]` in the type of the matrix or in f32; differentiable by both. A
    /// row that is picked twice gets both.
    pub fn add(&self, matrix: &Tensor, added: &Tensor) -> Result<Tensor> {
        if Way::of(matrix) != Way::Kernels {
            return matrix.index_add(&self.0.indices, &added.to_dtype(matrix.dtype())?, 0);
        }
        let sum = self.sum(Some(&matrix.detach().contiguous()?), &added.detach(), matrix.dims2()?, matrix.dtype())?;
        if !matrix.track_op() && !added.track_op() {
            return Ok(sum);
        }
        let node = Add {
            selection: self.clone(),
            dtype: added.dtype(),
            base_moves: matrix.track_op(),
            output: Output::new("add-rows", &sum)?,
        };
        matrix.apply_op2(added, node)
    }

    fn taken(&self, matrix: &Tensor, dtype: DType) -> Result<Tensor> {
        let ((rows, width), matrix) = (matrix.dims2()?, matrix.contiguous()?);
        // Also finds indices that lie outside.
        self.inverse(rows)?;
        let output = uninitialized((self.len(), width), dtype, matrix.device())?;
        let launch = match dtype == matrix.dtype() {
            true => Launch::packed("take_rows", &matrix, width)?,
            false => Launch::packed_beside_f32("take_rows", &matrix, width)?,
        };
        let launch = launch.thread_for_each_pack(self.len(), width);
        launch.tensor(&matrix)?.tensor(&self.0.indices)?.tensor(&output)?.number(width)?.run()?;
        Ok(output)
    }

    /// `base`, or nothing, with rows added.
    fn sum(
        &self,
        base: Option<&Tensor>,
        added: &Tensor,
        (rows, width): (usize, usize),
        dtype: DType,
    ) -> Result<Tensor> {
        if added.dims2()? != (self.len(), width) {
            bail!("{:?} cannot be added to {} rows of {width}", added.dims(), self.len());
        }
        let (inverse, added) = (self.inverse(rows)?, added.contiguous()?);
        let output = uninitialized((rows, width), dtype, added.device())?;
        let launch = match dtype == added.dtype() {
            true => Launch::packed("add_rows", &output, width)?,
            false => Launch::packed_beside_f32("add_rows", &output, width)?,
        };
        let launch = launch.thread_for_each_pack(rows, width).optional(base)?.tensor(&added)?;
        launch.tensor(&inverse.begins)?.tensor(&inverse.items)?.tensor(&output)?.number(width)?.run()?;
        Ok(output)
    }

    fn inverse(&self, rows: usize) -> Result<Arc<Inverse>> {
        let mut inverses = self.0.inverses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inverse) = inverses.get(&rows) {
            return Ok(inverse.clone());
        }
        let inverse = Arc::new(Inverse::new(&self.0.on_host, rows, self.0.indices.device())?);
        inverses.insert(rows, inverse.clone());
        Ok(inverse)
    }
}

impl Inverse {
    fn new(indices: &[u32], rows: usize, device: &Device) -> Result<Self> {
        let mut begins = vec![0u32; rows + 1];
        for &index in indices {
            match begins.get_mut(index as usize + 1) {
                Some(count) => *count += 1,
                None => bail!("row {index} is not among {rows}"),
            }
        }
        for row in 0..rows {
            begins[row + 1] += begins[row];
        }
        let (mut next, mut items) = (begins.clone(), vec![0u32; indices.len()]);
        for (item, &index) in (0..).zip(indices) {
            items[next[index as usize] as usize] = item;
            next[index as usize] += 1;
        }
        Ok(Self { begins: from_host(&begins, device)?, items: from_host(&items, device)? })
    }
}

fn from_host(numbers: &[u32], device: &Device) -> Result<Tensor> {
    match numbers.len() {
        0 => Tensor::zeros(0, DType::U32, device),
        count => Tensor::from_slice(numbers, count, device),
    }
}

/// [`Selection::take`] by a kernel.
struct Take {
    selection: Selection,
    dtype: DType,
}

impl Frozen for Take {
    type Saved = ();

    const NAME: &'static str = "take-rows";

    fn forward(&self, matrix: &Tensor) -> Result<Tensor> {
        self.selection.taken(matrix, self.dtype)
    }

    fn forward_saving(&self, matrix: &Tensor) -> Result<(Tensor, ())> {
        Ok((self.forward(matrix)?, ()))
    }

    fn backward(&self, matrix: &Tensor, (): &(), gradient: &Tensor) -> Result<Tensor> {
        self.selection.sum(None, gradient, matrix.dims2()?, matrix.dtype())
    }
}

/// [`Selection::add`] by a kernel.
struct Add {
    selection: Selection,
    /// Of what is added.
    dtype: DType,
    base_moves: bool,
    output: Output,
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add-rows"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.output.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.output.metal()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.detach();
        let of_added = self.selection.taken(&gradient, self.dtype)?;
        Ok((self.base_moves.then_some(gradient), Some(of_added)))
    }
}
