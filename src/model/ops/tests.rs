//! Each operation three ways: our kernels in f32, the tensor formulas in f64, and finite differences.

use super::attention::{Attention, Rows};
use super::kernel::wide;
use super::linear::Linear;
use super::rms_norm::RmsNorm;
use super::rope::{Rotary, Turn};
use super::{cross_entropy, swiglu};
use crate::model::cache::LayerCache;
use crate::model::config::{Rope, RopeScaling};
use crate::model::packed::{Grid, PackedRows, spans};
use candle_core::{DType, Device, Result, Tensor};

/// Values in −1..1 that look random but are always the same.
fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| number()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn sum_of_products(left: &Tensor, right: &Tensor) -> f64 {
    let left = left.to_dtype(DType::F64).unwrap();
    (left * right.to_dtype(DType::F64).unwrap()).unwrap().sum_all().unwrap().to_vec0().unwrap()
}

#[track_caller]
fn assert_close(actual: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(actual.dims(), expected.dims());
    let largest = |tensor: &Tensor| tensor.abs().unwrap().max_all().unwrap().to_vec0::<f64>().unwrap();
    let difference = largest(&(actual.to_dtype(DType::F64).unwrap() - expected).unwrap()) / largest(expected);
    assert!(difference <= tolerance, "differs by {difference:e}, allowed are {tolerance:e}");
}

/// `forward` and `backward` take the dtype to work in, the input, and backward the gradient of the output.
#[track_caller]
fn check(
    input: &Tensor,
    forward: impl Fn(DType, &Tensor) -> Result<Tensor>,
    backward: impl Fn(DType, &Tensor, &Tensor) -> Result<Tensor>,
) {
    let exact = forward(DType::F64, input).unwrap();
    let gradient = numbers(exact.dims(), 77);
    let exact_gradient = backward(DType::F64, input, &gradient).unwrap();
    for seed in 0..4 {
        let direction = numbers(input.dims(), 100 + seed);
        let at = |step: f64| {
            let moved = (input + (&direction * step).unwrap()).unwrap();
            sum_of_products(&forward(DType::F64, &moved).unwrap(), &gradient)
        };
        let measured = (at(1e-5) - at(-1e-5)) / 2e-5;
        let computed = sum_of_products(&exact_gradient, &direction);
        assert!((measured - computed).abs() < 1e-6 * measured.abs().max(1.0), "{measured} for {computed}");
    }
    for (dtype, tolerance) in [(DType::F32, 3e-6), (DType::F16, 1e-2), (DType::BF16, 6e-2)] {
        let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
        let output = forward(dtype, &cast(input)).unwrap();
        assert_close(&output, &exact, tolerance);
        assert_close(&backward(dtype, &cast(input), &cast(&gradient)).unwrap(), &exact_gradient, tolerance);
    }
}

#[test]
fn rms_norm() {
    let weight = (numbers(&[40], 1) + 1.5).unwrap();
    let norm = |dtype| RmsNorm::new(&weight.to_dtype(dtype).unwrap(), 1e-5).unwrap();
    check(&numbers(&[21, 40], 2), |dtype, x| norm(dtype).forward(x), |dtype, x, g| norm(dtype).backward(x, g));
}

#[test]
fn linear() {
    let cast = |shape: &[usize], seed, dtype| numbers(shape, seed).to_dtype(dtype).unwrap();
    let layer = |dtype| Linear::new(cast(&[24, 40], 3, dtype), Some(cast(&[24], 4, dtype)));
    check(&numbers(&[21, 40], 5), |dtype, x| layer(dtype).forward(x), |dtype, _, g| layer(dtype).backward(g));
}

#[test]
fn gated_activation() {
    let input = (numbers(&[21, 48], 6) * 8.0).unwrap();
    check(&input, |_, x| swiglu::forward(x), |_, x, g| swiglu::backward(x, g));
}

#[test]
fn rotation() {
    let rotary = Rotary::new(&Rope { theta: 100.0, scaling: RopeScaling::None }, 8);
    let places: Vec<usize> = (0..21).map(|token| token % 9).collect();
    let angles = |dtype| rotary.angles(&places, dtype, &Device::Cpu).unwrap();
    let forward = |dtype, x: &Tensor| angles(dtype).rotate(x, 3, Turn::Forward);
    check(&numbers(&[21, 32], 7), forward, |dtype, _, g| angles(dtype).rotate(g, 3, Turn::Backward));
    let x = numbers(&[21, 32], 8);
    let back = angles(DType::F64).rotate(&forward(DType::F64, &x).unwrap(), 3, Turn::Backward).unwrap();
    assert_close(&back, &x, 1e-7);
}

fn shape(window: Option<usize>) -> Attention {
    Attention { heads: 6, key_value_heads: 2, head_dim: 8, window }
}

#[test]
fn attention() {
    for window in [None, Some(1), Some(3)] {
        let shape = shape(window);
        let packed = PackedRows::new(&[vec![0u32; 9], vec![0; 1], vec![0; 20]]);
        let rows = |dtype| {
            let spans = spans(&packed, &[]);
            let grid = Grid::new(&spans, 0, window, wide(dtype), &Device::Cpu).unwrap();
            Rows { spans, grid: Some(grid) }
        };
        let input = (numbers(&[30, shape.width()], 9) * 2.0).unwrap();
        check(&input, |dtype, x| shape.forward(x, &rows(dtype)), |dtype, x, g| shape.backward(x, &rows(dtype), g));
    }
}

/// The last tokens of rows against a cache of the tokens before them, one row having gone from the batch.
#[test]
fn attention_with_a_cache() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
        for window in [None, Some(4)] {
            let shape = shape(window);
            let cast = |tensor: Tensor| tensor.to_dtype(dtype).unwrap();
            let whole = cast(numbers(&[30, shape.width()], 10));
            let rows = |lengths: &[usize], past: &[usize], columns: usize| {
                let lengths: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![0; length]).collect();
                let spans = spans(&PackedRows::new(&lengths), past);
                let grid = Grid::new(&spans, columns, window, wide(dtype), &Device::Cpu).unwrap();
                Rows { spans, grid: Some(grid) }
            };
            let all = rows(&[9, 1, 20], &[], 0);
            let expected = shape.forward(&whole, &all).unwrap();
            let pick = |tensor: &Tensor, tokens: &[u32]| {
                tensor.index_select(&Tensor::new(tokens, &Device::Cpu).unwrap(), 0).unwrap()
            };

            let first: Vec<u32> = (0..8).chain(10..29).collect();
            let prompts = rows(&[8, 19], &[], 0);
            let prompt = pick(&whole, &first);
            let mut cache = LayerCache::default();
            let (keys, values) = shape.keys_and_values(&prompt, prompts.grid.as_ref().unwrap()).unwrap();
            cache.append(&keys, &values).unwrap();
            let step = rows(&[1, 1], &[8, 19], 19);
            let new = pick(&whole, &[8, 29]);
            let (keys, values) = shape.keys_and_values(&new, step.grid.as_ref().unwrap()).unwrap();
            cache.append(&keys, &values).unwrap();
            let output = shape.forward_cached(&new, &step, &cache).unwrap();
            assert_close(&output, &pick(&expected, &[8, 29]).to_dtype(DType::F64).unwrap(), tolerance);
        }
    }
}

#[test]
fn cross_entropy_loss() {
    let targets = Tensor::new(&[3u32, 0, 69, 69, 20], &Device::Cpu).unwrap();
    let input = (numbers(&[5, 70], 11) * 10.0).unwrap();
    let backward = |_, x: &Tensor, g: &Tensor| {
        let (losses, gradient) = cross_entropy::losses_and_gradient(x, &targets)?;
        assert_close(&losses, &cross_entropy::losses(x, &targets)?.to_dtype(DType::F64)?, 1e-6);
        gradient.broadcast_mul(&g.to_dtype(gradient.dtype())?.unsqueeze(1)?)
    };
    check(&input, |_, x| cross_entropy::losses(x, &targets), backward);
    let (losses, _) = cross_entropy::losses_and_gradient(&(input * f64::NAN).unwrap(), &targets).unwrap();
    assert!(losses.to_vec1::<f64>().unwrap().iter().all(|loss| loss.is_nan()));
}
