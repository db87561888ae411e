//! What stands in for `cuda.rs` in a build without CUDA.

use super::obstacle::{BUILD_HELP, Obstacle};
use super::{Card, Memory, Part};
use candle_core::Device;

pub fn open(_index: usize) -> Result<Device, Obstacle> {
    Err(Obstacle::NotBuilt { feature: "cuda", name: "CUDA" })
}

pub fn parts() -> Vec<Part> {
    let text = "not in this build".to_owned();
    vec![Part { name: "cuda".to_owned(), text, help: Some(BUILD_HELP.to_owned()) }]
}

pub fn card(_device: &Device) -> Option<Card> {
    None
}

pub fn memory(_device: &Device) -> Option<Memory> {
    None
}

pub fn peak_memory(_device: &Device) -> Option<u64> {
    None
}

pub fn reset_peak_memory(_device: &Device) {}
