//! Which device a run computes on.

use super::weights::first_line;
use crate::diag::{self, Code, Diagnostic};
use candle_core::{Device, utils};

/// The device named `cpu`, `cuda`, `cuda:N`, `metal` or `auto` (CUDA or Metal if this build has it and a device is there,
/// else the CPU). Errors: E0505 with what to do.
pub fn choose(name: &str) -> diag::Result<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number)),
        None => (name, None),
    };
    let index: usize = match (kind, number) {
        (_, None) => 0,
        ("cuda" | "metal", Some(number)) => number.parse().map_err(|_| unknown(name))?,
        _ => return Err(unknown(name)),
    };
    match kind {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(cuda(0).or_else(|_| metal(0)).unwrap_or(Device::Cpu)),
        "cuda" => cuda(index),
        "metal" => metal(index),
        _ => Err(unknown(name)),
    }
}

/// The name of a device as `choose` takes it: `cpu`, `cuda:0`, `metal:0`.
pub fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_string(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// The kind of a device: `cpu`, `cuda` or `metal`. Finished stages count only for the same kind.
pub fn kind(device: &Device) -> &'static str {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu",
        candle_core::DeviceLocation::Cuda { .. } => "cuda",
        candle_core::DeviceLocation::Metal { .. } => "metal",
    }
}

fn cuda(index: usize) -> diag::Result<Device> {
    if !utils::cuda_is_available() {
        return Err(not_built("cuda", "CUDA"));
    }
    Device::new_cuda(index).map_err(|error| no_device(&format!("CUDA device {index}"), &error))
}

fn metal(index: usize) -> diag::Result<Device> {
    if !utils::metal_is_available() {
        return Err(not_built("metal", "Metal"));
    }
    Device::new_metal(index).map_err(|error| no_device(&format!("Metal device {index}"), &error))
}

fn unknown(name: &str) -> Box<Diagnostic> {
    let message = format!("there is no device `{name}`");
    let help = "write one of `cpu`, `cuda`, `cuda:0`, `metal` or `auto`";
    Box::new(Diagnostic::new(Code::DeviceUnavailable, message).help(help))
}

fn not_built(feature: &str, name: &str) -> Box<Diagnostic> {
    let message = format!("this build of reftc has no {name}");
    let diagnostic = Diagnostic::new(Code::DeviceUnavailable, message);
    let build = format!("build it with `cargo build --release --features {feature}`, or write `--device cpu`");
    Box::new(diagnostic.help(build))
}

fn no_device(name: &str, error: &candle_core::Error) -> Box<Diagnostic> {
    let message = format!("{name} cannot be used: {}", first_line(error));
    Box::new(Diagnostic::new(Code::DeviceUnavailable, message).help("write `--device cpu` to compute on the CPU"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_or_explained() {
        assert_eq!(name(&choose("cpu").unwrap()), "cpu");
        assert!(choose("auto").is_ok());
        for bad in ["gpu", "cpu:1", "cuda:x", ""] {
            let error = choose(bad).unwrap_err();
            assert_eq!(error.code, Code::DeviceUnavailable);
            assert!(error.help[0].contains("`auto`"));
        }
        if !utils::cuda_is_available() {
            assert!(choose("cuda:1").unwrap_err().help[0].contains("--features cuda"));
        }
    }
}
