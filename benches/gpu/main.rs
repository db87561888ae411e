//! The program of the GPU kit: checks numerics on a device, trains a few steps of the tiny model, and measures training steps of real
//! shapes with synthetic weights. The script `kit` beside this file runs all of it; README.md says what each line is.
//!
//!     cargo bench --bench gpu -- check --device cuda
//!     cargo bench --bench gpu -- train --device cuda
//!     cargo bench --bench gpu -- measure --device cuda --shape 7b --workload A
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod checks;
mod machine;
mod measure;
#[path = "../../tests/oracle/mod.rs"]
mod oracle;
mod synthetic;
mod train;

use candle_core::{Device, Result};
use clap::{Parser, Subcommand};
use reftc::diag::Diagnostic;
use reftc::model::device;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Checks and measures reftc on a device.
#[derive(Parser)]
struct Arguments {
    /// cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto")]
    device: String,
    /// Small sizes everywhere: shows that all works, not how fast
    #[arg(long, global = true)]
    tiny: bool,
    /// Of all random numbers
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Write what was found as JSON
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
    /// What cargo passes to every bench
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// All numerics, a line for each check
    Check {
        /// Only checks whose name has this in it
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// A training of the embedded tiny model, whose loss must fall
    Train,
    /// Training steps of a real shape
    Measure(measure::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let device = match device::choose(&arguments.device) {
        Ok(device) => device,
        Err(diagnostic) => {
            eprintln!("error: {}", sentence(&diagnostic));
            return ExitCode::from(3);
        }
    };
    let name = device::name(&device);
    println!("{name}: {}", machine::name(&device));
    match run(&arguments, &device) {
        Ok((good, mut found)) => {
            found["device"] = json!(name);
            found["machine"] = json!(machine::name(&device));
            if let Some(path) = &arguments.json
                && let Err(error) = std::fs::write(path, format!("{found:#}\n"))
            {
                eprintln!("error: {} cannot be written: {error}", path.display());
                return ExitCode::from(3);
            }
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
    }
}

/// Whether all went well, and what was found.
fn run(arguments: &Arguments, device: &Device) -> Result<(bool, Value)> {
    match &arguments.command {
        Command::Check { only } => {
            let lines = checks::all(device, arguments.seed, arguments.tiny, only.clone());
            let good = !lines.is_empty() && lines.iter().all(|line| line.passed);
            Ok((good, json!({ "checks": lines })))
        }
        Command::Train => {
            let trained = train::train(device, arguments.tiny).map_err(told)?;
            Ok((trained.learnt, json!({ "train": trained })))
        }
        Command::Measure(options) => {
            let measured = measure::measure(device, arguments.seed, arguments.tiny, options)?;
            Ok((true, json!({ "measured": measured })))
        }
    }
}

/// A diagnostic as an error of the engine.
pub fn told(diagnostic: Box<Diagnostic>) -> candle_core::Error {
    candle_core::Error::Msg(sentence(&diagnostic))
}

fn sentence(diagnostic: &Diagnostic) -> String {
    let help = diagnostic.help.first().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{diagnostic}{help}")
}
