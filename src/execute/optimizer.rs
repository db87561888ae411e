//! AdamW over the few parameters that train, with its state open for checkpoints.

use super::gradients;
use super::many::{self, Many};
use crate::intervention::units::Parameter;
use crate::model::kernels::{Launch, uninitialized};
use crate::plan::Optimizer;
use candle_core::{DType, Device, Result, Tensor};

pub use super::gradients::Gradients;

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

/// What a step has to tell: on the device until [`AdamW::finish`] reads it.
#[must_use = "a step counts when its report was read"]
pub struct Report {
    /// The losses, then sums of squares that make up the square of the norm of all gradients; f32.
    numbers: Tensor,
    losses: usize,
}

/// What a step has told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub losses: Vec<f64>,
    /// The norm of all gradients as one vector, before clipping.
    pub gradient_norm: f64,
}

/// What is the same for all parameters in a step.
struct Rates {
    settings: Optimizer,
    learning_rate: f64,
    first_correction: f64,
    second_correction: f64,
}

impl AdamW {
    /// An optimizer that has taken no step.
    pub fn new(parameters: Vec<Parameter>, settings: Optimizer) -> Result<Self> {
        let zeros = |parameter: &Parameter| {
            let zeros = || parameter.variable.as_tensor().zeros_like();
            Ok(Moments { first: zeros()?, second: zeros()? })
        };
        let moments = parameters.iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self { settings, parameters, step: 0, moments })
    }

    /// An optimizer that has taken `step` steps, and these moments since.
    pub fn resumed(parameters: Vec<Parameter>, settings: Optimizer, moments: Vec<Moments>, step: usize) -> Self {
        Self { settings, parameters, step, moments }
    }

    /// What the optimizer moves.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Moves every parameter once, by gradients that are scaled so that their norm is at most `clip`, as `torch.nn.utils.clip_grad_norm_`.
    /// Where one of these losses (each `[]`, f32) or the norm is not finite, no parameter moves.
    ///
    /// On a GPU nothing waits for anything here. The step counts when its report is finished, which must be before the next.
    pub fn update(
        &mut self,
        losses: &[Tensor],
        gradients: &Gradients,
        clip: Option<f64>,
        learning_rate: f64,
    ) -> Result<Report> {
        let (settings, step) = (self.settings, self.step as i32 + 1);
        let rates = Rates {
            settings,
            learning_rate,
            first_correction: 1.0 - settings.beta1.powi(step),
            second_correction: (1.0 - settings.beta2.powi(step)).sqrt(),
        };
        match Many::of(&gradients.0)? {
            Some(many) => self.by_kernels(&many, losses, gradients, clip, &rates),
            None => self.by_formula(losses, gradients, clip, &rates),
        }
    }

    /// Reads what the step has to tell, and counts it unless something is not finite.
    pub fn finish(&mut self, report: &Report) -> Result<Told> {
        let told = report.read()?;
        self.step += usize::from(told.is_finite());
        Ok(told)
    }

    fn by_formula(
        &mut self,
        losses: &[Tensor],
        gradients: &Gradients,
        clip: Option<f64>,
        rates: &Rates,
    ) -> Result<Report> {
        let mut numbers = losses.iter().map(Tensor::to_scalar::<f32>).collect::<Result<Vec<_>>>()?;
        numbers.extend(gradients.squares()?);
        let count = numbers.len();
        let report = Report { numbers: Tensor::from_vec(numbers, count, &Device::Cpu)?, losses: losses.len() };
        let told = report.read()?;
        if !told.is_finite() {
            return Ok(report);
        }
        let factor = clip.map_or(1.0, |limit| limit / (told.gradient_norm + 1e-6));
        for ((parameter, moments), gradient) in self.parameters.iter().zip(&mut self.moments).zip(&gradients.0) {
            let gradient = if factor < 1.0 { (gradient * factor)? } else { gradient.clone() };
            rates.update(parameter, moments, &gradient)?;
        }
        Ok(report)
    }

    fn by_kernels(
        &self,
        many: &Many<'_>,
        losses: &[Tensor],
        gradients: &Gradients,
        clip: Option<f64>,
        rates: &Rates,
    ) -> Result<Report> {
        let (blocks, passes, device) = (many.blocks(), losses.len(), gradients.0[0].device());
        let sums = uninitialized(blocks, DType::F32, device)?;
        many.launch("squares")?.tensors(&gradients.0)?.tensor(many.counts())?.tensor(&sums)?.run()?;

        // The losses, the sum of squares, and the factor of the gradients.
        let numbers = uninitialized(passes + 2, DType::F32, device)?;
        let losses = if losses.is_empty() { None } else { Some(Tensor::stack(losses, 0)?.detach()) };
        let launch = Launch::new("report", &sums)?.tensor(&sums)?.number(blocks)?.optional(losses.as_ref())?;
        launch.number(passes)?.real(clip.unwrap_or(f64::INFINITY)).tensor(&numbers)?.run()?;

        let factor = numbers.narrow(0, passes + 1, 1)?;
        let decays = self.parameters.iter().map(|parameter| u32::from(parameter.decays)).collect();
        let decays = many::numbers(decays, device)?;
        let values = self.parameters.iter().map(|parameter| parameter.variable.as_tensor());
        let moments = |which: fn(&Moments) -> &Tensor| self.moments.iter().map(which);
        let (first, second) = (moments(|moments| &moments.first), moments(|moments| &moments.second));
        let launch = many.launch("adamw")?.tensors(values.chain(&gradients.0).chain(first).chain(second))?;
        rates.give(launch.tensor(many.counts())?.tensor(&decays)?.tensor(&factor)?).run()?;
        Ok(Report { numbers: numbers.narrow(0, 0, passes + 1)?, losses: passes })
    }
}

impl Rates {
    /// As arguments of the kernel.
    fn give<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let Optimizer { beta1, beta2, epsilon, weight_decay } = self.settings;
        let launch = launch.real(beta1).real(1.0 - beta1).real(beta2).real(1.0 - beta2);
        let launch = launch.real(1.0 / self.second_correction).real(epsilon);
        launch.real(self.learning_rate / self.first_correction).real(1.0 - self.learning_rate * weight_decay)
    }

    fn update(&self, parameter: &Parameter, moments: &mut Moments, gradient: &Tensor) -> Result<()> {
        let Optimizer { beta1, beta2, epsilon, weight_decay } = self.settings;
        moments.first = ((&moments.first * beta1)? + (gradient * (1.0 - beta1))?)?.detach();
        moments.second = ((&moments.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?.detach();
        let root = ((moments.second.sqrt()? / self.second_correction)? + epsilon)?;
        let change = ((&moments.first / root)? * (self.learning_rate / self.first_correction))?;
        let mut value = parameter.variable.as_detached_tensor();
        if parameter.decays && weight_decay != 0.0 {
            value = (value * (1.0 - self.learning_rate * weight_decay))?;
        }
        parameter.variable.set(&(value - change)?)
    }
}

impl Report {
    fn read(&self) -> Result<Told> {
        let numbers = self.numbers.to_vec1::<f32>()?;
        let (losses, squares) = numbers.split_at(self.losses);
        let losses = losses.iter().map(|&loss| loss.into()).collect();
        Ok(Told { losses, gradient_norm: gradients::norm(squares) })
    }
}

impl Told {
    /// Whether all of it is finite: else no parameter has moved.
    pub fn is_finite(&self) -> bool {
        self.gradient_norm.is_finite() && self.losses.iter().all(|loss| loss.is_finite())
    }
}

#[cfg(test)]
mod tests;
