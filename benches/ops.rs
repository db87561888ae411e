//! Times each frozen operation beside a plain composite of candle's own operations, and beside the machine's product of matrices.
//!
//!     cargo bench --bench ops               a table
//!     cargo bench --bench ops -- --peak     only the product of matrices, as JSON
//!
//! The shapes are those of a training step of SmolLM2-135M on 16 rows of 54 tokens. Times are the least of several. Each side runs in a
//! process of its own: candle's pool for elementwise work waits by spinning, and would take the cores from our kernels.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops::{rms_norm_slow, silu, softmax};
use candle_nn::rotary_emb::rope_slow;
use mimalloc::MiMalloc;
use reftc::model::branch::{Branch, Run, Source};
use reftc::model::config::{Rope, RopeScaling};
use reftc::model::ops::attention::{Attention, Rows};
use reftc::model::ops::linear::Linear;
use reftc::model::ops::rms_norm::RmsNorm;
use reftc::model::ops::rope::{Rotary, Turn};
use reftc::model::ops::{cross_entropy, swiglu};
use std::process::Command;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const ROWS: usize = 16;
const ROW_TOKENS: usize = 54;
const TOKENS: usize = ROWS * ROW_TOKENS;
/// Tokens whose loss is taken.
const TARGETS: usize = ROWS * 7;
const HIDDEN: usize = 576;
const INNER: usize = 1536;
const HEADS: usize = 9;
const KEY_VALUE_HEADS: usize = 3;
const HEAD_DIM: usize = 64;
const VOCABULARY: usize = 49_152;
const EPSILON: f64 = 1e-5;
/// Every time is the least of as many runs as fit into this, and of three at least.
const SECONDS: f64 = 0.4;

/// One operation on one side.
struct Timed {
    name: String,
    /// Floating-point operations of the forward pass; 0 where memory and not arithmetic decides.
    flops: f64,
    forward: f64,
    /// Forward and backward together.
    both: f64,
}

fn main() {
    let argument = std::env::args().skip(1).find(|argument| argument != "--bench").unwrap_or_default();
    match argument.as_str() {
        "--peak" => println!("{{\"gflops\":{:.1}}}", peak().unwrap()),
        "--ours" => print_side(&ours().unwrap()),
        "--candle" => print_side(&candle().unwrap()),
        _ => compare(),
    }
}

/// GFLOP/s of the best product of two square matrices.
fn peak() -> Result<f64> {
    let mut best = 0.0f64;
    for size in [512, 1024, 1536, 2048] {
        let (left, right) = (normal(&[size, size])?, normal(&[size, size])?);
        let seconds = least(|| left.matmul(&right))?;
        best = best.max(2e-9 * (size as f64).powi(3) / seconds);
    }
    Ok(best)
}

fn compare() {
    let peak = peak().unwrap();
    let (ours, candle) = (side("--ours", "1"), side("--candle", ""));
    println!("{TOKENS} tokens; a product of matrices reaches {peak:.0} GFLOP/s; milliseconds, GFLOP/s, share of that");
    println!("{:<22} {:>32} {:>32} {:>10} {:>10}", "", "forward", "forward and backward", "candle", "both");
    for (own, other) in ours.iter().zip(&candle) {
        let [forward, both] =
            [(own.forward, own.flops), (own.both, passes(&own.name) * own.flops)].map(|(seconds, flops)| {
                let rate = 1e-9 * flops / seconds;
                let rate = if flops > 0.0 {
                    format!("{rate:.0} GFLOP/s {:>4.0} %", 100.0 * rate / peak)
                } else {
                    String::new()
                };
                format!("{:>9.2} ms {rate:>19}", 1e3 * seconds)
            });
        println!("{:<22} {forward} {both} {:>7.2} ms {:>7.2} ms", own.name, 1e3 * other.forward, 1e3 * other.both);
    }
}

/// How often the operations of the forward pass are done in both passes: attention works out its scores anew and then takes four
/// products for two; all others need one product for the gradient of their input.
fn passes(name: &str) -> f64 {
    if name == "attention" { 3.5 } else { 2.0 }
}

/// What one side measures, in a process of its own. `threads` is for candle's pool; empty leaves its own choice.
fn side(argument: &str, threads: &str) -> Vec<Timed> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if !threads.is_empty() {
        command.env("CANDLE_NUM_THREADS", threads);
    }
    let output = command.arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let parse = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap().to_owned();
        let [flops, forward, both] = std::array::from_fn(|_| fields.next().unwrap().parse().unwrap());
        Timed { name, flops, forward, both }
    };
    text.lines().map(parse).collect()
}

fn print_side(timed: &[Timed]) {
    for Timed { name, flops, forward, both } in timed {
        println!("{name}\t{flops}\t{forward}\t{both}");
    }
}

/// Width of a token's queries, keys and values together.
const fn projected() -> usize {
    (HEADS + 2 * KEY_VALUE_HEADS) * HEAD_DIM
}

/// Name, tokens, inputs and outputs of the products with weights.
const LINEARS: [(&str, usize, usize, usize); 5] = [
    ("queries, keys, values", TOKENS, HIDDEN, projected()),
    ("attention output", TOKENS, HIDDEN, HIDDEN),
    ("gate and up", TOKENS, HIDDEN, 2 * INNER),
    ("down", TOKENS, INNER, HIDDEN),
    ("gate and up, decoding", ROWS, HIDDEN, 2 * INNER),
];

fn product(tokens: usize, inputs: usize, outputs: usize) -> f64 {
    2.0 * (tokens * inputs * outputs) as f64
}

fn attention_flops() -> f64 {
    (4 * HEADS * HEAD_DIM * ROWS * ROW_TOKENS * (ROW_TOKENS + 1) / 2) as f64
}

fn ours() -> Result<Vec<Timed>> {
    let mut timed = Vec::new();
    let mut add = |name: &str, flops, forward: &dyn Fn() -> Result<Tensor>, backward: &dyn Fn() -> Result<Tensor>| {
        let both = || {
            forward()?;
            backward()
        };
        timed.push(Timed { name: name.to_owned(), flops, forward: least(forward)?, both: least(both)? });
        Ok::<(), candle_core::Error>(())
    };
    for (name, tokens, inputs, outputs) in LINEARS {
        let linear = Linear::new(normal(&[outputs, inputs])?, None);
        let (input, gradient) = (normal(&[tokens, inputs])?, normal(&[tokens, outputs])?);
        let flops = product(tokens, inputs, outputs);
        add(name, flops, &|| linear.forward(&input), &|| linear.backward(&gradient))?;
    }

    let attention = Attention { heads: HEADS, key_value_heads: KEY_VALUE_HEADS, head_dim: HEAD_DIM, window: None };
    let branches = (0..ROWS).map(|row| {
        let run = Run { source: Source::Fresh, start: row * ROW_TOKENS, length: ROW_TOKENS, position: 0 };
        Branch { queries: vec![run], keys: vec![run] }
    });
    let rows = Rows::new(branches.collect(), TOKENS, 0, None, DType::F32, &Device::Cpu)?;
    let (input, gradient) = (normal(&[TOKENS, projected()])?, normal(&[TOKENS, HEADS * HEAD_DIM])?);
    let forward = || attention.forward(&input, None, &rows);
    add("attention", attention_flops(), &forward, &|| attention.backward(&input, None, &rows, &gradient))?;

    let positions: Vec<usize> = (0..ROWS).flat_map(|_| 0..ROW_TOKENS).collect();
    let rope = Rope { theta: 1e5, scaling: RopeScaling::None };
    let angles = Rotary::new(&rope, HEAD_DIM).angles(&positions, DType::F32, &Device::Cpu)?;
    let turn = |turn| angles.rotate(&input, HEADS + KEY_VALUE_HEADS, turn);
    add("rope", 0.0, &|| turn(Turn::Forward), &|| turn(Turn::Backward))?;

    let norm = RmsNorm::new(&normal(&[HIDDEN])?, EPSILON)?;
    let (input, gradient) = (normal(&[TOKENS, HIDDEN])?, normal(&[TOKENS, HIDDEN])?);
    add("rms norm", 0.0, &|| norm.forward(&input), &|| norm.backward(&input, &gradient))?;

    let (input, gradient) = (normal(&[TOKENS, 2 * INNER])?, normal(&[TOKENS, INNER])?);
    add("swiglu", 0.0, &|| swiglu::forward(&input), &|| swiglu::backward(&input, &gradient))?;

    let (head, input, targets) = (Linear::new(head()?, None), normal(&[TARGETS, HIDDEN])?, targets()?);
    let forward = || cross_entropy::losses(head.forward(&input)?, &targets);
    // The gradient is worked out while the logits are there: both passes are one function.
    let both = || head.backward(&cross_entropy::losses_and_gradient(head.forward(&input)?, &targets)?.1);
    let flops = product(TARGETS, HIDDEN, VOCABULARY);
    timed.push(Timed { name: "loss over the head".to_owned(), flops, forward: least(forward)?, both: least(both)? });
    Ok(timed)
}

/// The same with candle's operations and its gradients.
fn candle() -> Result<Vec<Timed>> {
    let mut timed = Vec::new();
    let mut add = |name: &str, input: &Tensor, forward: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let variable = Var::from_tensor(input)?;
        let gradient = normal(forward(input)?.dims())?;
        let both = || (forward(variable.as_tensor())? * &gradient)?.sum_all()?.backward();
        let plain = || forward(input);
        timed.push(Timed { name: name.to_owned(), flops: 0.0, forward: least(plain)?, both: least(both)? });
        Ok::<(), candle_core::Error>(())
    };
    for (name, tokens, inputs, outputs) in LINEARS {
        let weight = normal(&[outputs, inputs])?;
        add(name, &normal(&[tokens, inputs])?, &|x| x.matmul(&weight.t()?))?;
    }
    let steps = Tensor::arange(0u32, ROW_TOKENS as u32, &Device::Cpu)?;
    let (query, key) = (steps.unsqueeze(1)?, steps.unsqueeze(0)?);
    let mask = query.broadcast_lt(&key)?.to_dtype(DType::F32)?.affine(-1e9, 0.0)?;
    let heads = HEADS + 2 * KEY_VALUE_HEADS;
    add("attention", &normal(&[ROWS, heads, ROW_TOKENS, HEAD_DIM])?, &|x| attend(x, &mask))?;

    let frequencies: Vec<f32> = (0..HEAD_DIM / 2).map(|i| 1e5f32.powf(-2.0 * i as f32 / HEAD_DIM as f32)).collect();
    let frequencies = Tensor::from_vec(frequencies, (1, HEAD_DIM / 2), &Device::Cpu)?;
    let angles = steps.to_dtype(DType::F32)?.unsqueeze(1)?.matmul(&frequencies)?;
    let (cosine, sine) = (angles.cos()?, angles.sin()?);
    let input = normal(&[ROWS, HEADS + KEY_VALUE_HEADS, ROW_TOKENS, HEAD_DIM])?;
    add("rope", &input, &|x| rope_slow(x, &cosine, &sine))?;

    let weight = normal(&[HIDDEN])?;
    add("rms norm", &normal(&[TOKENS, HIDDEN])?, &|x| rms_norm_slow(x, &weight, EPSILON as f32))?;
    add("swiglu", &normal(&[TOKENS, 2 * INNER])?, &|x| silu(&x.narrow(1, 0, INNER)?)? * x.narrow(1, INNER, INNER)?)?;
    let (head, targets) = (head()?, targets()?);
    let loss = |x: &Tensor| candle_nn::loss::cross_entropy(&x.matmul(&head.t()?)?, &targets);
    add("loss over the head", &normal(&[TARGETS, HIDDEN])?, &loss)?;
    Ok(timed)
}

/// Queries, keys and values of all heads, `[rows, heads, tokens, head_dim]`, to the mixed values.
fn attend(projected: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let part = |start, heads| projected.narrow(1, start, heads);
    let repeat = |heads: Tensor| {
        let shape = (ROWS, KEY_VALUE_HEADS, HEADS / KEY_VALUE_HEADS, ROW_TOKENS, HEAD_DIM);
        heads.unsqueeze(2)?.expand(shape)?.reshape((ROWS, HEADS, ROW_TOKENS, HEAD_DIM))
    };
    let queries = part(0, HEADS)?.contiguous()?;
    let keys = repeat(part(HEADS, KEY_VALUE_HEADS)?)?;
    let values = repeat(part(HEADS + KEY_VALUE_HEADS, KEY_VALUE_HEADS)?)?;
    let scores = (queries.matmul(&keys.t()?)? * (HEAD_DIM as f64).powf(-0.5))?;
    softmax(&scores.broadcast_add(mask)?, D::Minus1)?.matmul(&values)
}

fn head() -> Result<Tensor> {
    normal(&[VOCABULARY, HIDDEN])? * 0.02
}

fn targets() -> Result<Tensor> {
    Tensor::from_iter((0..TARGETS as u32).map(|row| row * 431), &Device::Cpu)
}

fn normal(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu)
}

/// The least time of a run, in seconds.
fn least<T>(mut run: impl FnMut() -> Result<T>) -> Result<f64> {
    let (begun, mut least, mut runs) = (Instant::now(), f64::INFINITY, 0);
    while runs < 3 || begun.elapsed().as_secs_f64() < SECONDS {
        let started = Instant::now();
        std::hint::black_box(run()?);
        least = least.min(started.elapsed().as_secs_f64());
        runs += 1;
    }
    Ok(least)
}
