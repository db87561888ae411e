//! AdamW over the few parameters that train, with its state open for checkpoints.

use crate::intervention::units::Parameter;
use crate::plan::Optimizer;
use candle_core::{Result, Tensor};

/// AdamW as `torch.optim.AdamW`: decay is decoupled, ε stands outside the corrected root.
#[derive(Clone, Debug)]
pub struct AdamW {
    settings: Optimizer,
    parameters: Vec<Parameter>,
    /// Steps taken.
    pub step: usize,
    /// Moments of each parameter, in the order of the parameters.
    pub moments: Vec<Moments>,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Clone, Debug)]
pub struct Moments {
    pub first: Tensor,
    pub second: Tensor,
}

/// Gradients of all parameters, in their order, cut from the graphs that made them.
#[derive(Clone, Debug)]
pub struct Gradients(pub Vec<Tensor>);

impl AdamW {
    /// An optimizer that has taken no step.
    pub fn new(parameters: Vec<Parameter>, settings: Optimizer) -> Result<Self> {
        let zeros = |parameter: &Parameter| {
            let zeros = parameter.variable.as_tensor().zeros_like()?;
            Ok(Moments { first: zeros.clone(), second: zeros })
        };
        let moments = parameters.iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self { settings, parameters, step: 0, moments })
    }

    /// What the optimizer moves.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Moves every parameter once.
    pub fn update(&mut self, gradients: &Gradients, learning_rate: f64) -> Result<()> {
        self.step += 1;
        let Optimizer { beta1, beta2, epsilon, weight_decay } = self.settings;
        let first_correction = 1.0 - beta1.powi(self.step as i32);
        let second_correction = (1.0 - beta2.powi(self.step as i32)).sqrt();
        for ((parameter, moments), gradient) in self.parameters.iter().zip(&mut self.moments).zip(&gradients.0) {
            moments.first = ((&moments.first * beta1)? + (gradient * (1.0 - beta1))?)?.detach();
            moments.second = ((&moments.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?.detach();
            let root = ((moments.second.sqrt()? / second_correction)? + epsilon)?;
            let change = ((&moments.first / root)? * (learning_rate / first_correction))?;
            let mut value = parameter.variable.as_detached_tensor();
            if parameter.decays && weight_decay != 0.0 {
                value = (value * (1.0 - learning_rate * weight_decay))?;
            }
            parameter.variable.set(&(value - change)?)?;
        }
        Ok(())
    }
}

impl Gradients {
    /// No gradient at all.
    pub fn zeros(parameters: &[Parameter]) -> Result<Self> {
        Ok(Self(parameters.iter().map(|parameter| parameter.variable.as_tensor().zeros_like()).collect::<Result<_>>()?))
    }

    /// Takes the gradients of a loss; a parameter that the loss does not depend on has zeros.
    pub fn of(loss: &Tensor, parameters: &[Parameter]) -> Result<Self> {
        let mut store = loss.backward()?;
        let take = |parameter: &Parameter| match store.remove(parameter.variable.as_tensor()) {
            // A gradient would hold on to the graph that made it, activations and all.
            Some(gradient) => Ok(gradient.detach()),
            None => parameter.variable.as_tensor().zeros_like(),
        };
        Ok(Self(parameters.iter().map(take).collect::<Result<_>>()?))
    }

    /// Adds other gradients of the same parameters.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        for (sum, gradient) in self.0.iter_mut().zip(&other.0) {
            *sum = (&*sum + gradient)?;
        }
        Ok(())
    }

    /// The norm of all gradients as one vector.
    pub fn norm(&self) -> Result<f64> {
        let mut squares = 0.0;
        for gradient in &self.0 {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        Ok(squares.sqrt())
    }

    /// Scales all gradients so that their norm is at most `limit`, as `torch.nn.utils.clip_grad_norm_`; gives the norm before.
    pub fn clip(&mut self, limit: Option<f64>) -> Result<f64> {
        let norm = self.norm()?;
        let factor = limit.map_or(1.0, |limit| limit / (norm + 1e-6));
        if factor < 1.0 {
            for gradient in &mut self.0 {
                *gradient = (&*gradient * factor)?;
            }
        }
        Ok(norm)
    }
}
