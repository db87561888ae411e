//! The orthonormal R as a function of a free matrix: the Householder parametrization of torch, without its dense base.
//!
//! `torch.nn.utils.parametrizations.orthogonal` (householder, trivialized) trains X `[hidden, rank]`, which starts at −I, and has
//! R = B·H(X)·diag(±1), where H(X) is the first `rank` columns of the product of reflections that X holds under its diagonal, and
//! B is an orthogonal matrix whose first columns are the start R₀. torch completes B by random columns, hidden × hidden
//! numbers; here B is the product of the `rank` reflections that factor R₀, and everything costs O(hidden·rank²).

use super::reflections::{self, Base, Columns, Reflections, negative_unit_columns, scale_columns, unit_columns};
use super::rotations;
use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// The trainable R of one unit.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// X `[hidden, rank]`, f32.
    original: Var,
    /// Rᵀ `[rank, hidden]`, f32, beside X: see [`rotations::turn`].
    directions: Var,
    /// R₀ `[hidden, rank]` on the CPU: what R is at X = −I.
    start: Tensor,
    base: Arc<Base>,
    /// The base for kernels, where they serve the device of X.
    base_on_device: Option<Tensor>,
}

impl Rotation {
    /// R₀ uniform over all matrices of orthonormal columns (Haar), as `torch.nn.init.orthogonal_` draws it; X is on this device.
    pub fn random(hidden: usize, rank: usize, stream: &mut impl Rng, device: &Device) -> Result<Self> {
        let mut gaussian: Columns = vec![vec![0.0; hidden]; rank];
        gaussian.iter_mut().flatten().for_each(|entry| *entry = stream.sample(StandardNormal));
        let mut start = unit_columns(hidden, rank);
        let (reflections, signs) = Reflections::factor(gaussian);
        scale_columns(&mut start, &signs);
        reflections.apply(&mut start);
        Self::starting_at(&to_tensor(&start)?.to_device(device)?)
    }

    /// R = `start`, `[hidden, rank]` with orthonormal columns, and X = −I, on the device of `start`.
    pub fn starting_at(start: &Tensor) -> Result<Self> {
        Self::with_base(start, factored(start)?)
    }

    /// Takes another start; X stays the variable that an optimizer may hold, and what it is. Clones keep their start.
    pub fn restart(&mut self, start: &Tensor) -> Result<()> {
        self.start = start.to_device(&Device::Cpu)?.detach();
        self.base = Arc::new(factored(&self.start)?);
        self.base_on_device = rotations::base_for_kernels(&self.base, self.original.device())?;
        Ok(())
    }

    /// With the reference's own dense base `[hidden, hidden]`, for comparing trajectories.
    pub fn with_dense_base(base: &Tensor, rank: usize) -> Result<Self> {
        Self::with_base(&base.narrow(1, 0, rank)?.contiguous()?, Base::Dense(to_columns(base)?))
    }

    fn with_base(start: &Tensor, base: Base) -> Result<Self> {
        let device = start.device();
        let ((hidden, rank), start) = (start.dims2()?, start.to_device(&Device::Cpu)?.detach());
        let original = to_tensor(&negative_unit_columns(hidden, rank))?.to_device(device)?;
        let directions = start.t()?.contiguous()?.to_device(device)?;
        Ok(Self {
            original: Var::from_tensor(&original)?,
            directions: Var::from_tensor(&directions)?,
            start,
            base_on_device: rotations::base_for_kernels(&base, device)?,
            base: Arc::new(base),
        })
    }

    /// R `[hidden, rank]` on the CPU, of what X is now.
    pub fn matrix(&self) -> Result<Tensor> {
        to_tensor(&self.columns()?)
    }

    /// The columns of R, of what X is now.
    pub(super) fn columns(&self) -> Result<Columns> {
        Ok(reflections::rotation(&self.base, &to_columns(&self.original)?))
    }

    /// The gradient of X `[hidden, rank]` on the CPU, from that of each column of R.
    pub(super) fn gradient(&self, columns: Columns) -> Result<Tensor> {
        to_tensor(&reflections::rotation_gradient(&self.base, &to_columns(&self.original)?, columns))
    }

    /// X `[hidden, rank]`. Only what lies under its diagonal ever moves.
    pub fn original(&self) -> &Var {
        &self.original
    }

    /// Rᵀ `[rank, hidden]` as a leaf of graphs: what it was when [`rotations::turn`] was last called.
    pub fn directions(&self) -> &Var {
        &self.directions
    }

    /// R₀ `[hidden, rank]` on the CPU.
    pub fn start(&self) -> &Tensor {
        &self.start
    }

    /// The base for kernels; `None` where they do not serve this rotation.
    pub(super) fn base_on_device(&self) -> Option<&Tensor> {
        self.base_on_device.as_ref()
    }
}

/// The base whose first columns are `start`.
fn factored(start: &Tensor) -> Result<Base> {
    let (reflections, signs) = Reflections::factor(to_columns(start)?);
    Ok(Base::Factored { reflections, signs })
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
            let rotation = Rotation::random(hidden, rank, &mut key.stream(), &Device::Cpu).unwrap();
            let matrix = rotation.matrix().unwrap();
            let difference = (matrix - rotation.start()).unwrap().abs().unwrap().max_all().unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            assert!(difference < 1e-6, "{hidden} {rank}: {difference}");
        }
    }
}
