//! Tensors that the reference computed, and how to compare with them.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Lengths of the prompts of the tiny batch.
pub const TINY_PROMPTS: [usize; 4] = [9, 5, 3, 2];

/// Prompt and target of the rows of the tiny batch.
pub const TINY_ROWS: [(&[u32], &[u32]); 4] = [
    (&[127, 12, 34, 82, 87, 83, 43, 109, 127], &[56, 78, 94, 2]),
    (&[125, 113, 114, 98, 48], &[122, 39, 2]),
    (&[90, 70, 53], &[86, 3, 33, 90, 2]),
    (&[100, 28], &[113, 2]),
];

/// A file of tensors.
pub struct Oracle {
    tensors: HashMap<String, Tensor>,
}

/// `tests/oracle`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

impl Oracle {
    /// Interventions on the tiny model.
    pub fn tiny() -> Self {
        Self::open(&folder().join("tiny_loreft.safetensors"))
    }

    pub fn open(path: &Path) -> Self {
        Self { tensors: candle_core::safetensors::load(path, &Device::Cpu).unwrap() }
    }

    pub fn find(&self, name: &str) -> Option<Tensor> {
        self.tensors.get(name).cloned()
    }

    pub fn get(&self, name: &str) -> Tensor {
        self.find(name).unwrap_or_else(|| panic!("the oracle has no tensor {name}"))
    }

    pub fn scalar(&self, name: &str) -> f64 {
        f64::from(self.get(name).to_scalar::<f32>().unwrap())
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        self.get(name).to_dtype(DType::I64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }
}

/// The largest absolute value.
pub fn largest(tensor: &Tensor) -> f64 {
    f64::from(tensor.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap())
}

/// Panics where two tensors differ by more than `tolerance` of the largest expected value.
#[track_caller]
pub fn assert_close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    let found = found.detach().to_dtype(DType::F32).unwrap();
    let difference = largest(&(found - expected).unwrap_or_else(|error| panic!("{what}: {error}")));
    let scale = largest(expected);
    assert!(difference <= tolerance * scale, "{what}: differs by {difference:e} of {scale:e}");
}
