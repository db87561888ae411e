//! Compiles the kernels: with nvcc to PTX for the feature `cuda`, with the C++ compiler of this machine for `emulate`.

// The build has no other way to say why it failed.
#![allow(clippy::print_stderr)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = "src/model/kernels/device";

fn main() {
    println!("cargo:rerun-if-changed={SOURCES}");
    println!("cargo:rerun-if-changed=src/model/kernels/build.rs");
    let output = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    if env::var_os("CARGO_FEATURE_CUDA").is_some() {
        to_ptx(&output);
    }
    if env::var_os("CARGO_FEATURE_EMULATE").is_some() {
        for_the_cpu(&output);
    }
}

fn to_ptx(output: &Path) {
    println!("cargo:rerun-if-env-changed=CUDA_COMPUTE_CAP");
    println!("cargo:rerun-if-env-changed=NVCC");
    // The variable that candle's own kernels are compiled by.
    let capability = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "90".to_owned());
    let compiler = env::var("NVCC").unwrap_or_else(|_| "nvcc".to_owned());
    let mut command = Command::new(compiler);
    command.args(["-ptx", "-O3", "-std=c++17", &format!("-arch=compute_{capability}")]);
    run(command.arg("-o").arg(output.join("kernels.ptx")).arg(format!("{SOURCES}/kernels.cu")));
}

fn for_the_cpu(output: &Path) {
    println!("cargo:rerun-if-env-changed=CXX");
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let object = output.join("kernels.o");
    let mut command = Command::new(compiler);
    command.args(["-c", "-x", "c++", "-O2", "-std=c++17", "-fPIC", "-fno-strict-aliasing", "-DREFTC_EMULATE"]);
    command.args(["-Wall", "-Wno-unknown-pragmas"]);
    run(command.arg("-o").arg(&object).arg(format!("{SOURCES}/kernels.cu")));
    // The object itself, not an archive: nothing but the table of kernels names most of it.
    println!("cargo:rustc-link-arg={}", object.display());
    println!("cargo:rustc-link-lib=dylib=stdc++");
}

/// Runs a compiler. Ends the build with what it said if it fails.
fn run(command: &mut Command) {
    let said = match command.output() {
        Ok(output) if output.status.success() => return,
        Ok(output) => format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        Err(error) => format!("{error}; docs/gpu.md says how to get the compiler"),
    };
    eprintln!("{command:?}\n{said}");
    std::process::exit(1);
}
