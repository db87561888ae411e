//! Which device a run computes on, and what is known of it.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "device/without_cuda.rs"]
mod cuda;
#[cfg(feature = "cuda")]
mod libraries;
pub mod obstacle;

use crate::diag::{self, Code, Diagnostic};
use candle_core::{Device, DeviceLocation, utils};
use obstacle::Obstacle;

/// A device, and why it is not another one.
#[derive(Debug)]
pub struct Chosen {
    /// What computes.
    pub device: Device,
    /// Where `auto` took the CPU although there is a GPU: why.
    pub passed_over: Option<Box<Diagnostic>>,
}

/// What is known of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// As its driver names it: `NVIDIA H200`.
    pub name: String,
    /// What instructions it has: `9.0`.
    pub compute_capability: String,
    /// All of its memory, in bytes.
    pub memory: u64,
}

/// The memory of a GPU, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What no process holds.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// A part of what GPUs need, as `reftc doctor` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `cuda`, `cuda:0`, `cublas`
    pub name: String,
    /// What was found, or what is missing.
    pub text: String,
    /// How to mend it, where it is missing.
    pub help: Option<String>,
}

/// The device named `cpu`, `cuda`, `cuda:N`, `metal`, `metal:N` or `auto` (CUDA or Metal if this build has it and a device is there,
/// else the CPU). Errors: E0505 with what to do.
pub fn choose(name: &str) -> diag::Result<Device> {
    pick(name).map(|chosen| chosen.device)
}

/// As [`choose`], and tells why `auto` passed over a GPU that is there.
///
/// # Errors
/// E0505 with what to do.
pub fn pick(name: &str) -> diag::Result<Chosen> {
    let (kind, index) = read(name).ok_or_else(|| unknown(name))?;
    let opened = match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" => cuda::open(index),
        "metal" => metal(index),
        _ => match cuda::open(0) {
            Err(obstacle) if obstacle.is_absence() => Ok(metal(0).unwrap_or(Device::Cpu)),
            Err(obstacle) => return Ok(Chosen { device: Device::Cpu, passed_over: Some(obstacle.diagnostic()) }),
            opened => opened,
        },
    };
    opened.map(|device| Chosen { device, passed_over: None }).map_err(|obstacle| obstacle.diagnostic())
}

/// Whether there could be a device of this name; if not, it is misspelled.
pub fn is_name(name: &str) -> bool {
    read(name).is_some()
}

/// The kind and the number that a name means.
fn read(name: &str) -> Option<(&str, usize)> {
    match name.split_once(':') {
        Some((kind @ ("cuda" | "metal"), number)) => Some((kind, number.parse().ok()?)),
        None if matches!(name, "cpu" | "cuda" | "metal" | "auto") => Some((name, 0)),
        _ => None,
    }
}

/// The name of a device as `choose` takes it: `cpu`, `cuda:0`, `metal:0`.
pub fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_string(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// The kind of a device: `cpu`, `cuda` or `metal`. Finished stages count only for the same kind.
pub fn kind(device: &Device) -> &'static str {
    match device.location() {
        DeviceLocation::Cpu => "cpu",
        DeviceLocation::Cuda { .. } => "cuda",
        DeviceLocation::Metal { .. } => "metal",
    }
}

/// What is known of a CUDA device; `None` for other devices.
pub fn card(device: &Device) -> Option<Card> {
    cuda::card(device)
}

/// The memory of a CUDA device, by all processes; `None` for other devices.
pub fn memory(device: &Device) -> Option<Memory> {
    cuda::memory(device)
}

/// The most bytes of a CUDA device's memory that tensors held at once, since the start or the last [`reset_peak_memory`]; `None` for
/// other devices. Libraries' own workspaces and the code of kernels are not part of it.
pub fn peak_memory(device: &Device) -> Option<u64> {
    cuda::peak_memory(device)
}

/// Begins [`peak_memory`] anew, at what is held now. Nothing happens on other devices.
pub fn reset_peak_memory(device: &Device) {
    cuda::reset_peak_memory(device);
}

/// Waits until the device has done all that it was given.
///
/// # Errors
/// A piece of that work failed.
pub fn synchronize(device: &Device) -> candle_core::Result<()> {
    device.synchronize()
}

/// What this build and this machine have of what CUDA needs.
pub fn cuda_parts() -> Vec<Part> {
    cuda::parts()
}

fn metal(index: usize) -> Result<Device, Obstacle> {
    if !utils::metal_is_available() {
        return Err(Obstacle::NotBuilt { feature: "metal", name: "Metal" });
    }
    Device::new_metal(index).map_err(|error| Obstacle::refused(format!("Metal device {index}"), &error))
}

fn unknown(name: &str) -> Box<Diagnostic> {
    let message = format!("there is no device `{name}`");
    let help = "write one of `cpu`, `cuda`, `cuda:0`, `metal` or `auto`";
    Box::new(Diagnostic::new(Code::DeviceUnavailable, message).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_or_explained() {
        assert_eq!(name(&choose("cpu").unwrap()), "cpu");
        assert!(choose("auto").is_ok());
        for bad in ["gpu", "cpu:1", "cuda:x", "cuda:-1", "auto:0", ""] {
            let error = choose(bad).unwrap_err();
            assert_eq!(error.code, Code::DeviceUnavailable);
            assert!(error.help[0].contains("`auto`") && !is_name(bad));
        }
        assert!(is_name("cuda:1") && is_name("metal"));
        if !utils::cuda_is_available() {
            assert!(choose("cuda:1").unwrap_err().help[0].contains("benches/gpu/build"));
        }
    }

    #[test]
    fn the_cpu_has_no_card() {
        let cpu = Device::Cpu;
        reset_peak_memory(&cpu);
        assert_eq!((card(&cpu), memory(&cpu), peak_memory(&cpu)), (None, None, None));
        assert!(synchronize(&cpu).is_ok());
    }
}
