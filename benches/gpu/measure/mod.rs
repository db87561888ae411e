//! Training steps of a real shape with synthetic weights, by the trainer that every run has: what is measured is what runs.

mod job;
mod peak;
mod plan;
mod run;
mod shapes;
mod workloads;

use crate::synthetic;
use candle_core::{Device, Result, bail};
use clap::Args;
use reftc::data::encode::EncodedRow;
use reftc::model::config::Precision;
use reftc::plan::passes::Passes;
use reftc::store::frozen::{Budget, FrozenCache, Settings};
use run::{Run, Training};
use serde::Serialize;
use shapes::Shape;
use std::path::PathBuf;
use std::time::Instant;
use workloads::Workload;

/// Bytes of constants that workload B may keep.
const CACHE: u64 = 24 << 30;

/// What is measured, and how long.
#[derive(Args)]
pub struct Options {
    /// tiny, 135m, 1b or 7b
    #[arg(long, default_value = "tiny")]
    shape: String,
    /// A, B or C
    #[arg(long, default_value = "A")]
    workload: String,
    /// No step is begun after so long; workload B always takes all of its steps
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Memory that a process may plan for, in GiB, as `reftc run --memory-budget` has it
    #[arg(long, value_name = "GIB")]
    memory_budget: Option<f64>,
    /// Write what a peer needs to take the same steps
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
}

/// What one workload came to on one shape. Rates are over all steps after the warm-up, from the begin of the first to the end of the last.
#[derive(Serialize)]
pub struct Measured {
    shape: &'static str,
    workload: &'static str,
    recipe: String,
    precision: Precision,
    /// Rows of a step, and what was drawn of their lengths.
    batch: usize,
    mean_tokens: f64,
    longest_tokens: usize,
    /// Tokens that go through the model together at most, and whether activations were computed again.
    pass_tokens: usize,
    recompute: bool,
    weight_bytes: u64,
    /// Seconds until the model was there.
    made: f64,
    /// The product of square matrices in this process: what counts as the peak.
    matrix_flops_per_second: f64,
    /// The workload as it is planned.
    planned: Side,
    /// Its epochs after the first, where there are several: constants are there.
    later_tokens_per_second: Option<f64>,
    /// The same training with only `pack` on: every token through every block, in packed passes. Of B.
    passes_off: Option<Side>,
    /// How much faster planned is than off, the same of their FLOPs, and the share of the latter that was reached.
    bound: Option<Bound>,
}

/// One way of training.
#[derive(Serialize)]
pub struct Side {
    steps: usize,
    tokens_per_second: f64,
    examples_per_second: f64,
    /// The median.
    seconds_per_step: f64,
    flops_per_token: f64,
    flops_per_second: f64,
    share_of_peak: f64,
    peak_bytes: Option<u64>,
    first_loss: f64,
    last_loss: f64,
}

/// How far less work became less time.
#[derive(Serialize)]
pub struct Bound {
    speed_up: f64,
    flops_ratio: f64,
    reached: f64,
}

/// Measures, and prints what was found.
pub fn measure(device: &Device, seed: u64, tiny: bool, options: &Options) -> Result<Measured> {
    let Some(shape) = Shape::find(if tiny { "tiny" } else { &options.shape }) else {
        bail!("there is no shape `{}`; there are {}", options.shape, Shape::NAMES.join(", "));
    };
    let Some(workload) = Workload::find(&options.workload) else {
        bail!("there is no workload `{}`; there are A, B and C", options.workload);
    };
    let precision = if device.is_cpu() { Precision::F32 } else { Precision::Bf16 };
    let batch = workload.batch * if device.is_cpu() { 1 } else { shape.fill };
    let rows = workload.rows(batch, shape.config.vocabulary, seed);
    let written = plan::Written { shape: &shape, workload: &workload, precision, batch, seed };
    let weights = plan::weight_bytes(&shape.config, precision);
    let budget = options.memory_budget.map(|gibibytes| (gibibytes * f64::from(1 << 30)) as u64);
    let peak = peak::matrix_peak(device, tiny)?;
    println!("products of matrices reach {:.1} TFLOP/s", peak / 1e12);

    let begun = Instant::now();
    let decoder = synthetic::decoder(&shape.config, precision, device, seed, synthetic::SPREAD)?;
    device.synchronize()?;
    let made = begun.elapsed().as_secs_f64();
    println!("{} on {}: made in {made:.1} s", workload.title, shape.name);

    let on = written.plan(&rows, Passes::ALL, budget);
    if let Some(path) = &options.job {
        job::write(path, &shape, &workload, &on, &rows, options.seconds)?;
    }
    let cache = FrozenCache::open(Settings {
        folder: None,
        budget: Budget::Bytes(if workload.epochs > 1 { CACHE } else { 0 }),
    });
    let training = |cache, plan, seconds| Training { decoder: &decoder, rows: &rows, plan, cache, seconds };
    // Kernels are loaded and buffers taken before anything is measured.
    training(None, &on, 0.0).run()?;
    let seconds = if workload.epochs > 1 { f64::INFINITY } else { options.seconds };
    let run = training(Some(&cache), &on, seconds).run()?;
    let planned = side("planned", &written, &rows, &run, Passes::ALL, peak);
    let passes_off = if workload.epochs > 1 {
        let packed = Passes { pack: true, ..Passes::NONE };
        let off = written.plan(&rows, packed, budget);
        let run = training(None, &off, options.seconds).run()?;
        Some(side("passes off", &written, &rows, &run, packed, peak))
    } else {
        None
    };
    let bound = passes_off.as_ref().map(|off| Bound::of(&planned, off));
    if let Some(Bound { speed_up, flops_ratio, reached }) = &bound {
        println!(
            "{speed_up:.1} times as fast as with passes off, of {flops_ratio:.1} by FLOPs: {:.0} %",
            100.0 * reached
        );
    }
    Ok(Measured {
        shape: shape.name,
        workload: workload.name,
        recipe: workload.recipe(shape.config.layers),
        precision,
        batch,
        mean_tokens: on.cost.mean_tokens,
        longest_tokens: on.cost.longest_tokens,
        pass_tokens: on.train.fit.pass_tokens,
        recompute: on.train.fit.recompute,
        weight_bytes: weights,
        made,
        matrix_flops_per_second: peak,
        planned,
        later_tokens_per_second: run.later_tokens_per_second(&rows),
        passes_off,
        bound,
    })
}

/// The rates of a run, over the FLOPs that its plan counts for the rows that it took.
fn side(name: &str, written: &plan::Written<'_>, rows: &[EncodedRow], run: &Run, passes: Passes, peak: f64) -> Side {
    let flops = written.flops(rows, &run.taken, passes);
    let tokens = run.tokens(rows);
    let side = Side {
        steps: run.steps.len(),
        tokens_per_second: tokens / run.seconds,
        examples_per_second: run.taken.len() as f64 / run.seconds,
        seconds_per_step: run.median(),
        flops_per_token: flops / tokens,
        flops_per_second: flops / run.seconds,
        share_of_peak: flops / run.seconds / peak,
        peak_bytes: run.peak_bytes,
        first_loss: run.losses.first().copied().unwrap_or(f64::NAN),
        last_loss: run.losses.last().copied().unwrap_or(f64::NAN),
    };
    let memory = side
        .peak_bytes
        .map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)));
    println!(
        "{name}: {} steps of {:.4} s, {:.0} tokens/s, {:.3} TFLOP/s ({:.1} % of the peak), memory {memory}, loss {:.3} to {:.3}",
        side.steps,
        side.seconds_per_step,
        side.tokens_per_second,
        side.flops_per_second / 1e12,
        100.0 * side.share_of_peak,
        side.first_loss,
        side.last_loss
    );
    side
}

impl Bound {
    fn of(planned: &Side, off: &Side) -> Self {
        let speed_up = planned.tokens_per_second / off.tokens_per_second;
        let flops_ratio = off.flops_per_token / planned.flops_per_token;
        Self { speed_up, flops_ratio, reached: speed_up / flops_ratio }
    }
}
