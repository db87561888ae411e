//! The map that keeps R orthonormal, and its gradient, beside the same in f64.

use super::edits::moved;
use super::{Checks, Largest};
use crate::synthetic::numbers;
use candle_core::{DType, Device, Result, Tensor};
use reftc::intervention::Kind;
use reftc::intervention::orthogonal::Rotation;
use reftc::intervention::reflections::{self, Base, Columns, Reflections};
use reftc::intervention::rotations;
use reftc::intervention::units::Directions;

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    checks.check("householder map: R is orthonormal", 1e-6, |largest| {
        each(&device, |name, rotation| {
            let matrix = rotation.matrix()?.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            let product = matrix.t()?.matmul(&matrix)?;
            let unit = Tensor::eye(product.dim(0)?, DType::F64, &Device::Cpu)?;
            largest.compare_largest(name, &product, &unit)
        })
    });
    checks.check("householder map: R", 2e-6, |largest| {
        each(&device, |name, rotation| {
            let expected = reflections::rotation(&base(rotation)?, &columns(rotation.original())?);
            largest.compare(name, &rotation.matrix()?, &tensor(&expected)?)
        })
    });
    checks.check("householder map: gradient", 2e-6, |largest| gradient(&device, largest));
}

/// The gradient of X where that of R is random.
fn gradient(device: &Device, largest: &mut Largest) -> Result<()> {
    each(device, |name, rotation| {
        let weights = numbers(rotation.original().dims(), 12)?.to_dtype(DType::F32)?;
        let found = rotations::pull_back(&[rotation], &[weights.t()?.contiguous()?.to_device(device)?])?;
        let original = columns(rotation.original())?;
        let expected = reflections::rotation_gradient(&base(rotation)?, &original, columns(&weights)?);
        largest.compare(name, &found[0], &tensor(&expected)?)
    })
}

/// Every rotation of units that have left their start.
fn each(device: &Device, mut work: impl FnMut(&str, &Rotation) -> Result<()>) -> Result<()> {
    for unit in &moved(Kind::Loreft, 0.0, device)?.units {
        if let Directions::Rotation(rotation) = &unit.directions {
            work(&unit.name, rotation)?;
        }
    }
    Ok(())
}

/// The base whose first columns are the start of R.
fn base(rotation: &Rotation) -> Result<Base> {
    let (reflections, signs) = Reflections::factor(columns(rotation.start())?);
    Ok(Base::Factored { reflections, signs })
}

fn columns(matrix: &Tensor) -> Result<Columns> {
    matrix.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.t()?.to_vec2()
}

fn tensor(matrix: &Columns) -> Result<Tensor> {
    Tensor::new(matrix.clone(), &Device::Cpu)?.t()
}
