//! What the tests of the model share.

use candle_core::{Device, Tensor};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::{Decoder, ModelFiles};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A file of `tests/oracle`.
pub fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name)
}

/// The tiny Llama of the reference.
pub fn tiny() -> (Decoder, ModelConfig) {
    let files = ModelFiles::folder(&oracle("tiny-llama")).unwrap();
    let config = files.config().unwrap();
    (Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap(), config)
}

/// The reference's tensors by name.
pub fn reference() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(oracle("tiny_loreft.safetensors"), &Device::Cpu).unwrap()
}

/// The largest difference, relative to the largest expected value.
pub fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(actual.dims(), expected.dims());
    let wide = |tensor: &Tensor| {
        tensor.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let (actual, expected) = (wide(actual), wide(expected));
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    assert!(actual.iter().all(|value| value.is_finite()));
    actual.iter().zip(&expected).fold(0f64, |worst, (a, e)| worst.max((a - e).abs())) / largest
}

#[track_caller]
pub fn assert_close(actual: &Tensor, expected: &Tensor, tolerance: f64) {
    let difference = difference(actual, expected);
    assert!(difference <= tolerance, "differs by {difference:e}, allowed are {tolerance:e}");
}

/// Rows of tokens that look random but are always the same.
pub fn rows(lengths: &[usize], vocabulary: u32) -> Vec<Vec<u32>> {
    let mut state = 1u32;
    let mut token = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        3 + (state >> 8) % (vocabulary - 3)
    };
    lengths.iter().map(|&length| (0..length).map(|_| token()).collect()).collect()
}
