//! AdamW and clipping against the same in plain numbers, whichever way they go.

use super::*;
use candle_core::Var;

const SETTINGS: Optimizer = Optimizer { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };
const RATE: f64 = 1e-2;

/// Numbers that look random but are always the same, about as large as `size`.
fn numbers(count: usize, seed: usize, size: f64) -> Vec<f64> {
    let number = |place: usize| (((place * 7919 + seed * 104_729 + 13) % 10_007) as f64 / 5_003.0 - 1.0) * size;
    (0..count).map(|place| f64::from(number(place) as f32)).collect()
}

fn tensor(numbers: &[f64]) -> Tensor {
    let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    Tensor::from_vec(numbers.clone(), numbers.len(), &Device::Cpu).unwrap()
}

/// Longer and shorter than what a block takes; every second one decays.
const LENGTHS: [usize; 4] = [3, 9000, 4096, 1];

fn optimizer() -> AdamW {
    let parameter = |(number, &length): (usize, &usize)| {
        let variable = Var::from_tensor(&tensor(&numbers(length, number, 1.0))).unwrap();
        Parameter::plain(number.to_string(), &variable, number % 2 == 1)
    };
    AdamW::new(LENGTHS.iter().enumerate().map(parameter).collect(), SETTINGS).unwrap()
}

fn gradients(step: usize, size: f64) -> Vec<Vec<f64>> {
    LENGTHS.iter().enumerate().map(|(number, &length)| numbers(length, 10 + 4 * step + number, size)).collect()
}

fn as_tensors(gradients: &[Vec<f64>]) -> Gradients {
    Gradients(gradients.iter().map(|gradient| tensor(gradient)).collect())
}

fn state(optimizer: &AdamW) -> Vec<Vec<f32>> {
    let of = |(parameter, moments): (&Parameter, &Moments)| {
        [parameter.variable.as_tensor(), &moments.first, &moments.second].map(|tensor| tensor.to_vec1().unwrap())
    };
    optimizer.parameters.iter().zip(&optimizer.moments).flat_map(of).collect()
}

#[test]
fn twenty_steps_are_those_of_plain_numbers() {
    let mut optimizer = optimizer();
    let mut expected: Vec<[Vec<f64>; 3]> = LENGTHS
        .iter()
        .enumerate()
        .map(|(number, &length)| [numbers(length, number, 1.0), vec![0.0; length], vec![0.0; length]])
        .collect();
    for step in 0..20 {
        // Small ones are not scaled.
        let gradients = gradients(step, if step % 3 == 0 { 1e-3 } else { 1.0 });
        let norm = gradients.iter().flatten().map(|number| number * number).sum::<f64>().sqrt();
        let factor = (1.0 / (norm + 1e-6)).min(1.0);
        assert_eq!(factor == 1.0, step % 3 == 0);
        let losses = [1.5, 2.25].map(|loss: f32| Tensor::new(loss, &Device::Cpu).unwrap());
        let report = optimizer.update(&losses, &as_tensors(&gradients), Some(1.0), RATE).unwrap();
        let told = optimizer.finish(&report).unwrap();
        assert_eq!((told.losses, optimizer.step), (vec![1.5, 2.25], step + 1));
        assert!((told.gradient_norm / norm - 1.0).abs() < 1e-6, "{} {norm}", told.gradient_norm);
        let corrections = (1.0 - 0.9f64.powi(step as i32 + 1), 1.0 - 0.99f64.powi(step as i32 + 1));
        for (number, ([values, first, second], gradient)) in expected.iter_mut().zip(&gradients).enumerate() {
            for place in 0..values.len() {
                let slope = gradient[place] * factor;
                first[place] = 0.9 * first[place] + (1.0 - 0.9) * slope;
                second[place] = 0.99 * second[place] + (1.0 - 0.99) * slope * slope;
                let root = (second[place] / corrections.1).sqrt() + 1e-8;
                let kept = if number % 2 == 1 { 1.0 - RATE * 0.1 } else { 1.0 };
                values[place] = values[place] * kept - RATE * first[place] / corrections.0 / root;
            }
        }
    }
    for (found, expected) in state(&optimizer).iter().zip(expected.iter().flatten()) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} {expected}");
        }
    }
}

#[test]
fn without_a_limit_nothing_is_scaled() {
    let (mut limited, mut free) = (optimizer(), optimizer());
    let gradients = as_tensors(&gradients(0, 1.0));
    let report = limited.update(&[], &gradients, Some(1e9), RATE).unwrap();
    let _ = limited.finish(&report).unwrap();
    let report = free.update(&[], &gradients, None, RATE).unwrap();
    let _ = free.finish(&report).unwrap();
    assert_eq!(state(&limited), state(&free));
}

#[test]
fn what_is_not_finite_leaves_everything_as_it_was() {
    let mut optimizer = optimizer();
    let sound = gradients(0, 1.0);
    let report = optimizer.update(&[], &as_tensors(&sound), Some(1.0), RATE).unwrap();
    assert!(optimizer.finish(&report).unwrap().is_finite());
    let before = state(&optimizer);
    let mut with = |loss: f32, number: f64| {
        let mut gradients = sound.clone();
        gradients[1][8999] = number;
        let losses = [1.0, loss].map(|loss| Tensor::new(loss, &Device::Cpu).unwrap());
        let report = optimizer.update(&losses, &as_tensors(&gradients), Some(1.0), RATE).unwrap();
        let told = optimizer.finish(&report).unwrap();
        (told.is_finite(), optimizer.step, state(&optimizer) == before)
    };
    // The square of the last is beyond f32.
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30] {
        assert_eq!(with(1.0, number), (false, 1, true), "{number}");
    }
    for loss in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(with(loss, 0.5), (false, 1, true), "{loss}");
    }
    assert_eq!(with(1.0, 0.5), (true, 2, false));
}

#[test]
fn gradients_add_up() {
    let (first, second) = (gradients(0, 1.0), gradients(1, 1.0));
    let mut sum = as_tensors(&first);
    sum.add(&as_tensors(&second)).unwrap();
    for ((sum, first), second) in sum.0.iter().zip(&first).zip(&second) {
        let expected: Vec<f32> = first.iter().zip(second).map(|(a, b)| *a as f32 + *b as f32).collect();
        assert_eq!(sum.to_vec1::<f32>().unwrap(), expected);
    }
}
