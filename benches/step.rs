//! Times a training step and decoding on fixed shapes, with memory.
//!
//!     cargo bench --bench step                  the model in the binary, on the shape of the quickstart
//!     cargo bench --bench step -- MODEL.gguf    a model file, on the shapes of docs/benchmarks.md
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use candle_core::Device;
use reftc::data::encode::EncodedRow;
use reftc::data::positions::Segment;
use reftc::execute::batch::LossBatch;
use reftc::execute::engine::Engine;
use reftc::execute::generate::Generator;
use reftc::execute::optimizer::{AdamW, Gradients};
use reftc::intervention::edits::BatchEdits;
use reftc::intervention::units::Interventions;
use reftc::intervention::{Activation, At, Intervention, Kind};
use reftc::model::config::{ModelConfig, Precision};
use reftc::model::decoder::Decoder;
use reftc::model::files::{ModelFiles, facts};
use reftc::plan::Optimizer;
use reftc::plan::passes::Passes;
use std::path::Path;
use std::time::Instant;

/// Supervised tokens at the end of each training row.
const TARGET: usize = 7;
const REPETITIONS: usize = 4;
const NEW_TOKENS: usize = 16;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Shape {
    name: &'static str,
    layers: Vec<usize>,
    segments: Vec<Segment>,
    rank: usize,
    rows: usize,
    tokens: usize,
}

fn main() {
    let path = std::env::args().skip(1).find(|argument| argument != "--bench");
    let files = match &path {
        Some(path) => ModelFiles::gguf(Path::new(path)).unwrap(),
        None => ModelFiles::embedded("tiny").unwrap(),
    };
    // Without an end token all rows are decoded to the same length.
    let config = ModelConfig { eos_tokens: Vec::new(), ..facts(&files).unwrap().config };
    let decoder = Decoder::load(&files, &config, Precision::F32, &Device::Cpu).unwrap();
    forget_peak();
    let (threads, loaded) = (rayon::current_num_threads(), peak_mebibytes());
    println!("{} layers, {threads} threads, least of {REPETITIONS}; {loaded:.0} MiB when loaded", config.layers);
    time_decoding(&decoder);
    println!("{:<32} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "forward", "backward", "optimizer", "CPU", "memory");
    for shape in shapes(config.layers, path.is_some()) {
        time_step(&decoder, &shape);
    }
}

fn shapes(layers: usize, large: bool) -> Vec<Shape> {
    let all = |name, count, rank, rows, tokens| Shape {
        name,
        layers: (0..layers).collect(),
        segments: vec![Segment::First(count), Segment::Last(count)],
        rank,
        rows,
        tokens,
    };
    if !large {
        return vec![all("all layers, 32 x 64 tokens", 3, 4, 32, 64)];
    }
    let three = vec![layers / 2, layers * 2 / 3, layers * 5 / 6];
    vec![
        all("all layers, 16 x 64 tokens", 7, 8, 16, 64),
        Shape {
            name: "three layers, 16 x 64 tokens",
            layers: three,
            segments: vec![Segment::Last(1)],
            rank: 4,
            rows: 16,
            tokens: 64,
        },
        all("all layers, 8 x 256 tokens", 7, 8, 8, 256),
    ]
}

fn time_step(decoder: &Decoder, shape: &Shape) {
    let block = Intervention {
        name: "edit".to_owned(),
        kind: Kind::Loreft,
        at: At::BlockOutput,
        layers: shape.layers.clone(),
        segments: shape.segments.clone(),
        tied: true,
        rank: shape.rank,
        dropout: 0.0,
        activation: Activation::Linear,
        bias: false,
    };
    let interventions = Interventions::new(&[block], decoder.config().hidden_size, 42, decoder.device()).unwrap();
    let settings = Optimizer { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let mut optimizer = AdamW::new(interventions.parameters(), settings).unwrap();
    // The last token is no input.
    let rows = rows(shape.rows, shape.tokens + 1, shape.tokens + 1 - TARGET, decoder.config().vocabulary);
    let engine = Engine::new(decoder, &interventions.blocks, Passes::ALL, None);
    let batch = LossBatch::new(&engine, &rows.iter().collect::<Vec<_>>()).unwrap();
    let (mut least, mut cpu) = ([f64::INFINITY; 3], f64::INFINITY);
    forget_peak();
    for _ in 0..REPETITIONS {
        let mut times = [0.0; 3];
        let used = cpu_seconds();
        let begun = Instant::now();
        let edits = interventions.edits().unwrap();
        let placed = BatchEdits::new(&interventions, &edits, &batch.packed, None).unwrap();
        let loss = batch.losses(decoder, &placed).unwrap().mean_all().unwrap();
        times[0] = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let gradients = Gradients::of(&loss, optimizer.parameters()).unwrap();
        times[1] = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let report = optimizer.update(&[], &gradients, Some(1.0), 1e-4).unwrap();
        optimizer.finish(&report).unwrap();
        times[2] = begun.elapsed().as_secs_f64();
        cpu = (cpu_seconds() - used).min(cpu);
        least = std::array::from_fn(|part| least[part].min(times[part]));
    }
    let [forward, backward, optimizer] = least;
    let memory = peak_mebibytes();
    println!("{:<32} {forward:>7.3} s {backward:>7.3} s {optimizer:>7.3} s {cpu:>7.2} s {memory:>5.0} MiB", shape.name);
}

fn time_decoding(decoder: &Decoder) {
    let engine = Engine::new(decoder, &[], Passes::ALL, None);
    let generator = Generator::new(&engine, None).unwrap();
    for count in [16, 64] {
        let prompts = rows(count, 54, 54, decoder.config().vocabulary);
        let prompts: Vec<&EncodedRow> = prompts.iter().collect();
        let seconds = |tokens| {
            let begun = Instant::now();
            generator.greedy(&prompts, tokens).unwrap();
            begun.elapsed().as_secs_f64()
        };
        forget_peak();
        let first = seconds(1);
        let after = (seconds(1 + NEW_TOKENS) - first).max(1e-9);
        let rate = (count * NEW_TOKENS) as f64 / after;
        let memory = peak_mebibytes();
        println!("decoding {count} rows: {first:.2} s for the prompts, {rate:.0} tokens/s after, {memory:.0} MiB");
    }
}

/// Rows of tokens that look random but are always the same.
fn rows(count: usize, tokens: usize, prompt_tokens: usize, vocabulary: usize) -> Vec<EncodedRow> {
    let mut state = 1u64;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary as u64) as u32
    };
    let mut ids = || (0..tokens).map(|_| token()).collect();
    (0..count).map(|row| EncodedRow { row, ids: ids(), prompt_tokens, ..Default::default() }).collect()
}

/// CPU seconds of all threads so far; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in hundredths of a second.
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The largest memory held since [`forget_peak`], weights included; 0 where the system does not say.
fn peak_mebibytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}

fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
