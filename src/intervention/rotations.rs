//! The rotations of all units at once, where their X is.
//!
//! In the graph of a step R is a leaf: [`turn`] works it out from X before the forward pass, and [`pull_back`] makes gradients of X from
//! gradients of R behind the backward pass. On a GPU each is a few launches for all units of one shape, without a copy to the host.

mod by_kernels;

use super::orthogonal::Rotation;
use super::reflections::Columns;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::collections::BTreeMap;

pub(super) use by_kernels::base_for_kernels;

/// Brings the directions of all rotations to where their X is now.
pub fn turn(rotations: &[&Rotation]) -> Result<()> {
    let (apart, together) = split(rotations);
    for group in together {
        by_kernels::turn(&group.iter().map(|&number| rotations[number]).collect::<Vec<_>>())?;
    }
    let turned: Vec<(&Rotation, Columns)> = apart
        .into_par_iter()
        .map(|number| Ok((rotations[number], rotations[number].columns()?)))
        .collect::<Result<_>>()?;
    for (rotation, columns) in turned {
        let directions = rotation.directions();
        let numbers: Vec<f32> = columns.iter().flatten().map(|&number| number as f32).collect();
        directions.set(&Tensor::from_vec(numbers, directions.shape(), directions.device())?)?;
    }
    Ok(())
}

/// The gradient of each X `[hidden, rank]`, from that of its directions `[rank, hidden]`.
pub fn pull_back(rotations: &[&Rotation], gradients: &[Tensor]) -> Result<Vec<Tensor>> {
    let (apart, together) = split(rotations);
    let mut pulled: Vec<(usize, Tensor)> = apart
        .into_par_iter()
        .map(|number| {
            let (rotation, gradient) = (rotations[number], gradients[number].to_device(&Device::Cpu)?);
            let wide = |column: Vec<f32>| column.into_iter().map(f64::from).collect();
            let columns = gradient.to_vec2::<f32>()?.into_iter().map(wide).collect();
            Ok((number, rotation.gradient(columns)?.to_device(rotation.original().device())?))
        })
        .collect::<Result<_>>()?;
    for group in together {
        let members: Vec<(&Rotation, &Tensor)> =
            group.iter().map(|&number| (rotations[number], &gradients[number])).collect();
        pulled.extend(group.into_iter().zip(by_kernels::pull_back(&members)?));
    }
    pulled.sort_by_key(|(number, _)| *number);
    Ok(pulled.into_iter().map(|(_, gradient)| gradient).collect())
}

/// The numbers of the rotations that go one by one, and groups of those of one shape that kernels take together.
fn split(rotations: &[&Rotation]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let (mut apart, mut together) = (Vec::new(), BTreeMap::<&[usize], Vec<usize>>::new());
    for (number, rotation) in rotations.iter().enumerate() {
        match rotation.base_on_device() {
            Some(_) => together.entry(rotation.original().dims()).or_default().push(number),
            None => apart.push(number),
        }
    }
    (apart, together.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervention::random::{Key, Purpose};
    use rand::Rng;
    use rand_distr::StandardNormal;

    fn stream(position: usize) -> impl Rng {
        Key { seed: 4, purpose: Purpose::Start, epoch: 0, row: 0, site: 0, position }.stream()
    }

    fn gaussian(shape: (usize, usize), position: usize) -> Tensor {
        let mut stream = stream(position);
        let numbers: Vec<f32> = (0..shape.0 * shape.1).map(|_| stream.sample(StandardNormal)).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
    }

    /// Rotations of two shapes and of both kinds of base, X anywhere.
    fn rotations() -> Vec<Rotation> {
        let of = |(number, (hidden, rank)): (usize, (usize, usize))| {
            let rotation = match number {
                2 => Rotation::with_dense_base(&gaussian((hidden, hidden), 40), rank).unwrap(),
                _ => Rotation::random(hidden, rank, &mut stream(number), &Device::Cpu).unwrap(),
            };
            rotation.original().set(&gaussian((hidden, rank), 10 + number)).unwrap();
            rotation
        };
        [(70, 5), (33, 1), (70, 5), (70, 5), (9, 9), (300, 17)].into_iter().enumerate().map(of).collect()
    }

    #[track_caller]
    fn assert_close(found: &Tensor, expected: &Tensor) {
        let largest = |tensor: &Tensor| tensor.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(found.dims(), expected.dims());
        let difference = largest(&(found - expected).unwrap()) / largest(expected);
        assert!(difference < 1e-6, "differs by {difference:e}");
    }

    #[test]
    fn all_at_once_are_as_one_by_one() {
        let rotations = rotations();
        let all: Vec<&Rotation> = rotations.iter().collect();
        turn(&all).unwrap();
        for rotation in &all {
            assert_close(&rotation.directions().t().unwrap().detach(), &rotation.matrix().unwrap());
        }
        let shapes = all.iter().map(|rotation| rotation.directions().dims2().unwrap());
        let gradients: Vec<Tensor> = shapes.enumerate().map(|(number, shape)| gaussian(shape, 20 + number)).collect();
        let pulled = pull_back(&all, &gradients).unwrap();
        for ((rotation, gradient), found) in all.iter().zip(&gradients).zip(&pulled) {
            let columns = gradient.to_vec2::<f32>().unwrap();
            let columns = columns.into_iter().map(|column| column.into_iter().map(f64::from).collect()).collect();
            assert_close(found, &rotation.gradient(columns).unwrap());
        }
    }

    #[test]
    fn a_restart_is_turned_from_its_own_start() {
        let [mut rotation, other] =
            [1, 2].map(|number| Rotation::random(12, 3, &mut stream(number), &Device::Cpu).unwrap());
        rotation.restart(other.start()).unwrap();
        turn(&[&rotation]).unwrap();
        assert_close(&rotation.directions().t().unwrap().detach(), other.start());
    }
}
