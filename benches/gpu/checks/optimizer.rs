//! AdamW and clipping beside the same in f64, number by number.

use super::{Checks, Largest};
use crate::synthetic::numbers;
use candle_core::{DType, Device, Result, Tensor, Var};
use reftc::execute::optimizer::{AdamW, Gradients};
use reftc::intervention::units::Parameter;
use reftc::plan::Optimizer;

const SETTINGS: Optimizer = Optimizer { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05 };
const RATE: f64 = 3e-3;
const LIMIT: f64 = 1.0;
const STEPS: u64 = 8;
/// Shapes of parameters, and whether weight decay acts on them.
const SHAPES: [(&[usize], bool); 4] = [(&[8, 200], true), (&[8], false), (&[200, 3], false), (&[1], true)];

pub fn check(checks: &mut Checks) {
    let device = checks.device.clone();
    checks.check("adamw and clipping: parameters f32", 1e-6, |largest| steps(&device, largest, false));
    checks.check("adamw and clipping: norms of gradients f32", 1e-6, |largest| steps(&device, largest, true));
}

fn steps(device: &Device, largest: &mut Largest, norms: bool) -> Result<()> {
    let start = |number: usize| numbers(SHAPES[number].0, 20 + number as u64);
    // Some steps are clipped and some are not.
    let gradient = |number: usize, step: u64| {
        let scale = if step.is_multiple_of(2) { 1.0 } else { 1e-3 };
        numbers(SHAPES[number].0, 100 * step + number as u64).and_then(|values| values * scale)
    };
    let mut parameters = Vec::new();
    let mut exact = Vec::new();
    for (number, (_, decays)) in SHAPES.iter().enumerate() {
        let value = start(number)?.to_dtype(DType::F32)?;
        let variable = Var::from_tensor(&value.to_device(device)?)?;
        parameters.push(Parameter::plain(format!("parameter {number}"), &variable, *decays));
        exact.push(Exact::new(&value, *decays)?);
    }
    let mut optimizer = AdamW::new(parameters, SETTINGS)?;
    for step in 1..=STEPS {
        let values: Vec<Tensor> =
            (0..SHAPES.len()).map(|number| gradient(number, step)?.to_dtype(DType::F32)).collect::<Result<_>>()?;
        let placed = values.iter().map(|value| value.to_device(device)).collect::<Result<_>>()?;
        let report = optimizer.update(&[], &Gradients(placed), Some(LIMIT), RATE)?;
        let norm = optimizer.finish(&report)?.gradient_norm;
        let expected_norm = step_exactly(&mut exact, &values, step as i32)?;
        if norms {
            largest.take(format!("step {step}"), (norm / expected_norm - 1.0).abs());
        }
    }
    if !norms {
        for (parameter, exact) in optimizer.parameters().iter().zip(&exact) {
            let expected = Tensor::from_slice(&exact.values, parameter.variable.dims(), &Device::Cpu)?;
            largest.compare(&parameter.name, parameter.variable.as_tensor(), &expected)?;
        }
    }
    Ok(())
}

/// One parameter in f64.
struct Exact {
    values: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    decays: bool,
}

impl Exact {
    fn new(value: &Tensor, decays: bool) -> Result<Self> {
        let values = super::values(value)?;
        let zeros = vec![0.0; values.len()];
        Ok(Self { values, first: zeros.clone(), second: zeros, decays })
    }
}

/// Clips and steps all parameters; gives the norm before clipping.
fn step_exactly(parameters: &mut [Exact], gradients: &[Tensor], step: i32) -> Result<f64> {
    let gradients: Vec<Vec<f64>> = gradients.iter().map(super::values).collect::<Result<_>>()?;
    let norm = gradients.iter().flatten().map(|gradient| gradient * gradient).sum::<f64>().sqrt();
    let factor = (LIMIT / (norm + 1e-6)).min(1.0);
    let Optimizer { beta1, beta2, epsilon, weight_decay } = SETTINGS;
    for (parameter, gradients) in parameters.iter_mut().zip(&gradients) {
        for (index, gradient) in gradients.iter().enumerate() {
            let gradient = gradient * factor;
            let (first, second) = (&mut parameter.first[index], &mut parameter.second[index]);
            *first = beta1 * *first + (1.0 - beta1) * gradient;
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            let (mean, square) = (*first / (1.0 - beta1.powi(step)), *second / (1.0 - beta2.powi(step)));
            let decay = if parameter.decays { RATE * weight_decay } else { 0.0 };
            let value = &mut parameter.values[index];
            *value = *value * (1.0 - decay) - RATE * mean / (square.sqrt() + epsilon);
        }
    }
    Ok(norm)
}
