//! Each operation three ways: our kernels in f32, the tensor formulas in f64, and finite differences.

use super::linear::Linear;
use super::rms_norm::RmsNorm;
use super::rope::{Rotary, Turn};
use super::rows::Selection;
use super::{cross_entropy, residual, swiglu};
use crate::model::config::{Rope, RopeScaling};
use candle_core::{DType, Device, Result, Tensor, Var};

/// Values in −1..1 that look random but are always the same.
pub fn numbers(shape: &[usize], seed: u64) -> Tensor {
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
pub fn assert_close(actual: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(actual.dims(), expected.dims());
    let largest = |tensor: &Tensor| tensor.abs().unwrap().max_all().unwrap().to_vec0::<f64>().unwrap();
    let difference = largest(&(actual.to_dtype(DType::F64).unwrap() - expected).unwrap()) / largest(expected);
    assert!(difference <= tolerance, "differs by {difference:e}, allowed are {tolerance:e}");
}

/// `forward` and `backward` take the dtype to work in, the input, and backward the gradient of the output.
#[track_caller]
pub fn check(
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

/// Whether the processor has what our products of few rows need.
fn ours_serve() -> bool {
    #[cfg(target_arch = "x86_64")]
    return pulp::x86::V3::try_new().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// What a token gets depends neither on how many come with it nor on the threads. Where the product of few rows passes into that of many,
/// the last bits may change on some processors, and candle's product of one or two rows has its own order on those that our kernels are
/// not for.
#[test]
fn rows_of_a_linear_layer_do_not_depend_on_their_companions() {
    for (inputs, outputs) in [(64, 96), (700, 130)] {
        let cast = |tensor: Tensor| tensor.to_dtype(DType::F32).unwrap();
        let layer = Linear::new(cast(numbers(&[outputs, inputs], 20)), None);
        let input = cast(numbers(&[200, inputs], 21));
        let rows = |first: usize, count: usize| -> Vec<Vec<f32>> {
            layer.forward(&input.narrow(0, first, count).unwrap()).unwrap().to_vec2().unwrap()
        };
        let (few, many) = (rows(0, 64), rows(0, 200));
        let fewest = if ours_serve() { 1 } else { 3 };
        for count in fewest..=64 {
            let first = 64 - count;
            assert!(rows(first, count) == few[first..], "{count} rows of {inputs} inputs");
        }
        for count in [65, 66, 79, 100, 128, 199] {
            let first = 200 - count;
            assert!(rows(first, count) == many[first..], "{count} rows of {inputs} inputs");
        }
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(one_thread.install(|| rows(0, 64)) == few, "one thread");
        for (like, count) in [(&many[..64], 64), (&few[..2], 2), (&few[..1], 1)] {
            let expected = Tensor::new(like.to_vec(), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
            let found = layer.forward(&input.narrow(0, 0, count).unwrap()).unwrap();
            assert_close(&found, &expected, 2e-6);
        }
    }
}

/// Whole and broken vectors, blocks and tiles.
#[test]
fn few_rows_of_any_shape() {
    for (inputs, outputs) in [(1, 1), (5, 7), (16, 50), (513, 100), (1100, 9)] {
        for rows in [1, 2, 3, 8, 9, 16, 17, 33] {
            let (input, weight) = (numbers(&[rows, inputs], 22), numbers(&[outputs, inputs], 23));
            let cast = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
            let expected = cast(&input).to_dtype(DType::F64).unwrap();
            let expected = expected.matmul(&cast(&weight).to_dtype(DType::F64).unwrap().t().unwrap()).unwrap();
            let output = Linear::new(cast(&weight), None).forward(&cast(&input)).unwrap();
            assert_close(&output, &expected, 2e-6);
        }
    }
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

#[test]
fn cross_entropy_loss() {
    let targets = Tensor::new(&[3u32, 0, 69, 69, 20], &Device::Cpu).unwrap();
    let input = (numbers(&[5, 70], 11) * 10.0).unwrap();
    let backward = |_, x: &Tensor, g: &Tensor| {
        let (losses, gradient) = cross_entropy::losses_and_gradient(x.copy()?, &targets)?;
        assert_close(&losses, &cross_entropy::losses(x.copy()?, &targets)?.to_dtype(DType::F64)?, 1e-6);
        gradient.broadcast_mul(&g.to_dtype(gradient.dtype())?.unsqueeze(1)?)
    };
    check(&input, |_, x| cross_entropy::losses(x.copy()?, &targets), backward);
    let (losses, _) = cross_entropy::losses_and_gradient((input * f64::NAN).unwrap(), &targets).unwrap();
    assert!(losses.to_vec1::<f64>().unwrap().iter().all(|loss| loss.is_nan()));
}

/// Rows that are picked once, twice and not at all; of two matrices; widths that move in packs and one that does not.
#[test]
fn rows_are_taken_and_added() {
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let picked = Selection::new(vec![4, 0, 4, 2], &Device::Cpu).unwrap();
        for (rows, width) in [(5, 16), (9, 7)] {
            let (matrix, added, gradient) =
                (numbers(&[rows, width], 1), numbers(&[4, width], 2), numbers(&[4, width], 3));
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
            let indices = Tensor::new(&[4u32, 0, 4, 2], &Device::Cpu).unwrap();
            let expected = wide(&cast(&matrix)).index_select(&indices, 0).unwrap();
            assert_close(&picked.take(&cast(&matrix)).unwrap(), &expected, 0.0);
            assert_eq!(picked.take_wide(&cast(&matrix)).unwrap().dtype(), DType::F32);
            for added_dtype in [dtype, DType::F32] {
                let (base, more) = (
                    Var::from_tensor(&cast(&matrix)).unwrap(),
                    Var::from_tensor(&added.to_dtype(added_dtype).unwrap()).unwrap(),
                );
                let sum = picked.add(&base, &more).unwrap();
                assert_close(&sum, &matrix.index_add(&indices, &added, 0).unwrap(), tolerance);
                let taken = picked.take_wide(&sum).unwrap();
                let loss = (taken * gradient.to_dtype(DType::F32).unwrap()).unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                let of_base = matrix.zeros_like().unwrap().index_add(&indices, &gradient, 0).unwrap();
                assert_close(gradients.get(&base).unwrap(), &of_base, tolerance);
                assert_close(gradients.get(&more).unwrap(), &of_base.index_select(&indices, 0).unwrap(), tolerance);
            }
        }
    }
    let outside = Selection::new(vec![7], &Device::Cpu).unwrap();
    assert!(outside.take(&numbers(&[3, 4], 5).to_dtype(DType::F32).unwrap()).is_err());
}

/// Sums over what is there and what is not a multiple of a pack.
#[test]
fn residual_sums() {
    for shape in [[3, 8], [5, 7]] {
        let (output, stream) = (numbers(&shape, 1), numbers(&shape, 2));
        let exact = (&output + &stream).unwrap();
        for (dtype, tolerance) in [(DType::F64, 0.0), (DType::F32, 1e-6), (DType::F16, 2e-3), (DType::BF16, 2e-2)] {
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            assert_close(&residual::add(cast(&output), &cast(&stream)).unwrap(), &exact, tolerance);
        }
    }
}

/// The sum that norms add beside their gradient; a width that moves in packs, one that does not, and one for several warps.
#[test]
fn a_norm_goes_back_beside_its_branch() {
    for width in [24, 21, 600] {
        let (input, gradient, around) = (numbers(&[6, width], 1), numbers(&[6, width], 2), numbers(&[6, width], 3));
        let weight = numbers(&[width], 4);
        let norm = |dtype| RmsNorm::new(&weight.to_dtype(dtype).unwrap(), 1e-5).unwrap();
        let exact = (norm(DType::F64).backward(&input, &gradient).unwrap() + &around).unwrap();
        for (dtype, tolerance) in [(DType::F64, 0.0), (DType::F32, 1e-5), (DType::F16, 1e-2), (DType::BF16, 6e-2)] {
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            let found = norm(dtype).backward_beside(&cast(&input), &cast(&gradient), &cast(&around)).unwrap();
            assert_close(&found, &exact, tolerance);
        }
    }
}
