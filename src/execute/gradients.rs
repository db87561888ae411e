//! Gradients of all parameters, where the parameters are.

use super::many::Many;
use crate::intervention::rotations;
use crate::intervention::units::Parameter;
use candle_core::{Result, Tensor};

/// Gradients of all parameters, in their order, contiguous and cut from the graphs that made them.
#[derive(Clone, Debug)]
pub struct Gradients(pub Vec<Tensor>);

impl Gradients {
    /// No gradient at all.
    pub fn zeros(parameters: &[Parameter]) -> Result<Self> {
        Ok(Self(parameters.iter().map(|parameter| parameter.variable.as_tensor().zeros_like()).collect::<Result<_>>()?))
    }

    /// Takes the gradients of a loss; a parameter that the loss does not depend on has zeros.
    pub fn of(loss: &Tensor, parameters: &[Parameter]) -> Result<Self> {
        let mut store = loss.backward()?;
        // A gradient would hold on to the graph that made it, activations and all.
        let mut take = |leaf: &Tensor| store.remove(leaf).map(|gradient| gradient.detach());
        let (mut found, mut rotations, mut of_directions) = (Vec::new(), Vec::new(), Vec::new());
        for (number, parameter) in parameters.iter().enumerate() {
            let Some(rotation) = &parameter.rotation else {
                found.push(take(&parameter.variable));
                continue;
            };
            if let Some(gradient) = take(rotation.directions()) {
                rotations.push((number, rotation));
                of_directions.push(gradient);
            }
            found.push(None);
        }
        let turned: Vec<_> = rotations.iter().map(|(_, rotation)| *rotation).collect();
        let pulled = rotations::pull_back(&turned, &of_directions)?;
        for ((number, _), gradient) in rotations.into_iter().zip(pulled) {
            found[number] = Some(gradient);
        }
        let whole = |(gradient, parameter): (Option<Tensor>, &Parameter)| match gradient {
            Some(gradient) => gradient.contiguous(),
            None => parameter.variable.as_tensor().zeros_like(),
        };
        Ok(Self(found.into_iter().zip(parameters).map(whole).collect::<Result<_>>()?))
    }

    /// Adds other gradients of the same parameters.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if let Some(many) = Many::of(&self.0)? {
            // Nothing else holds what is written over: `of` and `zeros` gave tensors of their own.
            return many.launch("add_all")?.tensors(&self.0)?.tensors(&other.0)?.tensor(many.counts())?.run();
        }
        for (sum, gradient) in self.0.iter_mut().zip(&other.0) {
            *sum = (&*sum + gradient)?;
        }
        Ok(())
    }

    /// The sum of squares of each gradient, read to the host.
    pub fn squares(&self) -> Result<Vec<f32>> {
        self.0.iter().map(|gradient| gradient.sqr()?.sum_all()?.to_scalar::<f32>()).collect()
    }

    /// The norm of all gradients as one vector, read to the host.
    pub fn norm(&self) -> Result<f64> {
        Ok(norm(&self.squares()?))
    }
}

/// The norm of a vector, from the sums of squares of its parts.
pub fn norm(squares: &[f32]) -> f64 {
    squares.iter().fold(0.0, |sum, &part| sum + f64::from(part)).sqrt()
}
