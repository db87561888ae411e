//! The orthonormal R as a function of a free matrix: the Householder parametrization of torch, without its dense base.
//!
//! `torch.nn.utils.parametrizations.orthogonal` (householder, trivialized) trains X `[hidden, rank]`, which starts at −I, and has
//! R = B·H(X)·diag(±1), where H(X) is the first `rank` columns of the product of reflections that X holds under its diagonal, and
//! B is an orthogonal matrix whose first columns are the start R₀. torch completes B by random columns, hidden × hidden
//! numbers; here B is the product of the `rank` reflections that factor R₀, and everything costs O(hidden·rank²).

use super::reflections::{self, Base, Columns, Reflections, negative_unit_columns, scale_columns, unit_columns};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var, bail};
use rand::Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// The trainable R of one unit.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// X `[hidden, rank]`, f32, on the CPU, where the map is computed.
    original: Var,
    /// R₀ `[hidden, rank]`: what R is at X = −I.
    start: Tensor,
    base: Arc<Base>,
}

impl Rotation {
    /// R₀ uniform over all matrices of orthonormal columns (Haar), as `torch.nn.init.orthogonal_` draws it.
    pub fn random(hidden: usize, rank: usize, stream: &mut impl Rng) -> Result<Self> {
        let mut gaussian: Columns = vec![vec![0.0; hidden]; rank];
        gaussian.iter_mut().flatten().for_each(|entry| *entry = stream.sample(StandardNormal));
        let mut start = unit_columns(hidden, rank);
        let (reflections, signs) = Reflections::factor(gaussian);
        scale_columns(&mut start, &signs);
        reflections.apply(&mut start);
        Self::starting_at(&to_tensor(&start)?)
    }

    /// R = `start`, `[hidden, rank]` with orthonormal columns, and X = −I.
    pub fn starting_at(start: &Tensor) -> Result<Self> {
        let start = start.to_device(&Device::Cpu)?.detach();
        Ok(Self { original: Var::from_tensor(&unmoved(&start)?)?, base: factored(&start)?, start })
    }

    /// Takes another start; X stays the variable that an optimizer may hold, and what it is.
    pub fn restart(&mut self, start: &Tensor) -> Result<()> {
        self.start = start.to_device(&Device::Cpu)?.detach();
        self.base = factored(&self.start)?;
        Ok(())
    }

    /// With the reference's own dense base `[hidden, hidden]`, for comparing trajectories.
    pub fn with_dense_base(base: &Tensor, rank: usize) -> Result<Self> {
        let start = base.narrow(1, 0, rank)?.contiguous()?;
        let original = Var::from_tensor(&unmoved(&start)?)?;
        Ok(Self { original, start, base: Arc::new(Base::Dense(to_columns(base)?)) })
    }

    /// R `[hidden, rank]` on a device, as a node of the graph that leads back to X.
    pub fn matrix(&self, device: &Device) -> Result<Tensor> {
        self.original.apply_op1(HouseholderMap { base: self.base.clone() })?.to_device(device)
    }

    /// X `[hidden, rank]`. Only what lies under its diagonal ever moves.
    pub fn original(&self) -> &Var {
        &self.original
    }

    /// R₀ `[hidden, rank]`.
    pub fn start(&self) -> &Tensor {
        &self.start
    }
}

/// The map X ↦ R as an operation of the graph; X is on the CPU.
struct HouseholderMap {
    base: Arc<Base>,
}

impl CustomOp1 for HouseholderMap {
    fn name(&self) -> &'static str {
        "householder-map"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("householder-map needs a contiguous matrix")
        };
        let (rows, columns) = layout.shape().dims2()?;
        let original = from_rows(&storage.as_slice::<f32>()?[start..end], columns);
        Ok((CpuStorage::F32(to_rows(&reflections::rotation(&self.base, &original))), (rows, columns).into()))
    }

    fn bwd(&self, original: &Tensor, _rotation: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        to_tensor(&reflections::rotation_gradient(&self.base, &to_columns(original)?, to_columns(gradient)?)).map(Some)
    }
}

/// The base whose first columns are `start`.
fn factored(start: &Tensor) -> Result<Arc<Base>> {
    let (reflections, signs) = Reflections::factor(to_columns(start)?);
    Ok(Arc::new(Base::Factored { reflections, signs }))
}

/// X where R is its start: −I.
fn unmoved(start: &Tensor) -> Result<Tensor> {
    let (hidden, rank) = start.dims2()?;
    to_tensor(&negative_unit_columns(hidden, rank))
}

fn from_rows(rows: &[f32], columns: usize) -> Columns {
    (0..columns)
        .map(|column| rows.iter().skip(column).step_by(columns).map(|&entry| f64::from(entry)).collect())
        .collect()
}

fn to_rows(matrix: &Columns) -> Vec<f32> {
    (0..matrix[0].len()).flat_map(|row| matrix.iter().map(move |column| column[row] as f32)).collect()
}

fn to_columns(matrix: &Tensor) -> Result<Columns> {
    let (_, columns) = matrix.dims2()?;
    Ok(from_rows(&matrix.detach().flatten_all()?.to_vec1::<f32>()?, columns))
}

fn to_tensor(matrix: &Columns) -> Result<Tensor> {
    Tensor::from_vec(to_rows(matrix), (matrix[0].len(), matrix.len()), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervention::random::{Key, Purpose};

    #[test]
    fn at_its_start_the_rotation_is_the_start() {
        for (hidden, rank) in [(16, 1), (16, 4), (6, 6)] {
            let key = Key { seed: 1, purpose: Purpose::Start, epoch: 0, row: 0, site: 0, position: 0 };
            let rotation = Rotation::random(hidden, rank, &mut key.stream()).unwrap();
            let matrix = rotation.matrix(&Device::Cpu).unwrap();
            let difference = (matrix - rotation.start()).unwrap().abs().unwrap().max_all().unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            assert!(difference < 1e-6, "{hidden} {rank}: {difference}");
        }
    }
}
