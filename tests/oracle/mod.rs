//! Tensors that the reference computed, and how to compare with them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod tiny;
pub mod training;

use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
        Self::in_memory(include_bytes!("tiny_loreft.safetensors"))
    }

    /// LoReFT at each place of a layer of the tiny model.
    pub fn sites() -> Self {
        Self::in_memory(include_bytes!("sites.safetensors"))
    }

    fn in_memory(bytes: &[u8]) -> Self {
        Self { tensors: candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap() }
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

/// All values, bit by bit.
pub fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Scalars and logs beside the tensors of the tiny model.
pub fn tiny_facts() -> serde_json::Value {
    serde_json::from_str(include_str!("tiny_loreft.json")).unwrap()
}

/// Scalars beside the tensors of the places of a layer.
pub fn sites_facts() -> serde_json::Value {
    serde_json::from_str(include_str!("sites.json")).unwrap()
}
