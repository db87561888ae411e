//! Trainings that must agree: passes on and off, the cache of constants on and off, bf16 and f32.

use super::{Checks, Largest};
use crate::oracle::tiny;
use crate::synthetic::{decoder, llama};
use crate::told;
use candle_core::{DType, Device, Result, Tensor};
use reftc::data::encode::EncodedRow;
use reftc::data::positions::Segment;
use reftc::execute::engine::Engine;
use reftc::execute::event::{Event, StepDone};
use reftc::execute::train::{Progress, Task, Trainer};
use reftc::intervention::units::Interventions;
use reftc::intervention::{Activation, At, Intervention, Kind, save};
use reftc::model::config::Precision;
use reftc::model::decoder::Decoder;
use reftc::plan::passes::Passes;
use reftc::store::frozen::{Budget, FrozenCache, Settings};
use std::sync::atomic::AtomicBool;

/// Rows that begin alike in part, two of them with the same prompt.
const ROWS: usize = 8;
const VOCABULARY: usize = 1009;

/// A small model with heads as wide as those of real ones, and livelier weights, so that texts differ.
pub fn model(precision: Precision, device: &Device, seed: u64) -> Result<Decoder> {
    decoder(&llama(4, 192, 500, [3, 1, 64], VOCABULARY), precision, device, seed, 0.1)
}

fn token(row: usize, place: usize) -> u32 {
    (3 + (row * 3167 + place * 1733) % (VOCABULARY - 3)) as u32
}

fn rows() -> Vec<EncodedRow> {
    let make = |number: usize| {
        let own = if number == 6 { 2 } else { number };
        let shared = (0..11).map(|place| token(99, place)).take(if own % 4 == 3 { 0 } else { 11 });
        let prompt: Vec<u32> = shared.chain((0..2 + own * own).map(|place| token(own, place))).collect();
        let target: Vec<u32> = (0..1 + number % 4).map(|place| token(number, 90 + place)).collect();
        tiny::row(number, &prompt, &target)
    };
    (0..ROWS).map(make).collect()
}

/// The prompts of these rows alone.
pub fn prompts() -> Vec<EncodedRow> {
    rows().iter().map(|row| tiny::row(row.row, &row.ids[..row.prompt_tokens], &[])).collect()
}

pub fn block(kind: Kind, at: At, layers: &[usize], segments: &[Segment], dropout: f64) -> Intervention {
    Intervention {
        name: "edit".to_owned(),
        kind,
        at,
        layers: layers.to_vec(),
        segments: segments.to_vec(),
        tied: false,
        rank: 4,
        dropout,
        activation: Activation::Linear,
        bias: false,
    }
}

fn experiments() -> Vec<(&'static str, Intervention)> {
    use At::{AttentionOutput, BlockInput, BlockOutput, MlpOutput};
    const FIRST: Segment = Segment::First(2);
    const LAST: Segment = Segment::Last(2);
    let edit = |at, layers: &[usize], segments: &[Segment]| block(Kind::Loreft, at, layers, segments, 0.0);
    vec![
        ("all layers", Intervention { tied: true, ..edit(BlockOutput, &[0, 1, 2, 3], &[FIRST, LAST]) }),
        ("last token", edit(BlockOutput, &[1, 2], &[Segment::Last(1)])),
        ("first tokens late", edit(BlockOutput, &[2], &[FIRST])),
        ("dropout", block(Kind::Loreft, BlockOutput, &[0, 2], &[FIRST, LAST], 0.3)),
        ("inside of blocks", edit(AttentionOutput, &[1, 3], &[FIRST, LAST])),
        ("mlp output", edit(MlpOutput, &[0, 2], &[LAST])),
        ("free projection", block(Kind::Nodireft, BlockInput, &[1, 2], &[LAST], 0.0)),
    ]
}

pub fn check(checks: &mut Checks) {
    let (device, seed) = (checks.device.clone(), checks.seed);
    let Ok(exact) = model(Precision::F32, &device, seed) else {
        return checks.check("a small model", 0.0, |_| model(Precision::F32, &device, seed).map(|_| ()));
    };
    let cache = || FrozenCache::open(Settings { folder: None, budget: Budget::Bytes(1 << 30) });
    for (name, block) in experiments() {
        let train = |passes, cache: Option<&FrozenCache>| Trained::of(&exact, &block, passes, cache, seed);
        checks.check(&format!("passes on and off, {name}: losses"), 1e-5, |largest| {
            let (on, off) = (train(Passes::ALL, Some(&cache()))?, train(Passes::NONE, None)?);
            on.compare_losses(&off, largest);
            Ok(())
        });
        checks.check(&format!("passes on and off, {name}: parameters"), 1e-4, |largest| {
            let (on, off) = (train(Passes::ALL, Some(&cache()))?, train(Passes::NONE, None)?);
            on.compare(&off, |name, on, off| largest.compare_largest(name, on, off))
        });
        checks.check(&format!("cache on and off, {name}: bits"), 0.0, |largest| {
            let (kept, anew) = (train(Passes::ALL, Some(&cache()))?, train(Passes::ALL, None)?);
            let reused: usize = kept.steps.iter().map(|step| step.reused_rows).sum();
            let constant: usize = kept.steps.iter().map(|step| step.constant_rows).sum();
            if constant > 0 && reused == 0 {
                candle_core::bail!("nothing was taken from the cache");
            }
            kept.compare(&anew, |name, kept, anew| largest.compare_bits(name, kept, anew))
        });
    }
    half_precision(checks, &exact);
}

/// A bf16 model beside the same in f32; parameters are f32 in both.
fn half_precision(checks: &mut Checks, exact: &Decoder) {
    let (device, seed) = (checks.device.clone(), checks.seed);
    let both = |block: &Intervention| -> Result<[Trained; 2]> {
        let half = model(Precision::Bf16, &device, seed)?;
        let train = |decoder| Trained::of(decoder, block, Passes::ALL, None, seed);
        Ok([train(&half)?, train(exact)?])
    };
    for (name, block) in experiments().into_iter().take(2) {
        checks.check(&format!("bf16 beside f32, {name}: loss of the first step"), 1e-2, |largest| {
            let [half, exact] = both(&block)?;
            largest.take("step 1", (half.steps[0].loss / exact.steps[0].loss - 1.0).abs());
            Ok(())
        });
        checks.check(&format!("bf16 beside f32, {name}: 1 - cosine of gradients"), 1e-2, |largest| {
            let half = gradients(&model(Precision::Bf16, &device, seed)?, &block, seed)?;
            let exact = gradients(exact, &block, seed)?;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let norms = (dot(&half, &half) * dot(&exact, &exact)).sqrt();
            largest.take("all parameters as one vector", 1.0 - dot(&half, &exact) / norms);
            Ok(())
        });
        checks.check(&format!("bf16 beside f32, {name}: parameters that are not f32"), 0.0, |largest| {
            let interventions = Interventions::new(std::slice::from_ref(&block), 192, seed, &device)?;
            let other =
                interventions.parameters().iter().filter(|parameter| parameter.variable.dtype() != DType::F32).count();
            largest.take("the variables", other as f64);
            Ok(())
        });
    }
}

/// The gradients of the first step as one vector.
fn gradients(decoder: &Decoder, block: &Intervention, seed: u64) -> Result<Vec<f64>> {
    let interventions =
        Interventions::new(std::slice::from_ref(block), decoder.config().hidden_size, seed, decoder.device())?;
    let loss = crate::oracle::training::mean_loss(decoder, &rows(), &interventions, &interventions.edits()?);
    let gradients = reftc::execute::optimizer::Gradients::of(&loss, &interventions.parameters())?;
    let each: Vec<Vec<f64>> = gradients.0.iter().map(super::values).collect::<Result<_>>()?;
    Ok(each.concat())
}

/// What a training leaves, step by step.
struct Trained {
    steps: Vec<StepDone>,
    tensors: Vec<(String, Tensor)>,
}

impl Trained {
    /// Two epochs of two steps, each of two batches.
    fn of(
        decoder: &Decoder,
        block: &Intervention,
        passes: Passes,
        cache: Option<&FrozenCache>,
        seed: u64,
    ) -> Result<Self> {
        let (rows, blocks) = (rows(), std::slice::from_ref(block));
        let engine = Engine::new(decoder, blocks, passes, cache.map(|cache| (cache, "a small model")));
        let plan = tiny::plan(2, 2, 2, 2e-3, tiny::CONSTANT);
        let interventions = Interventions::new(blocks, decoder.config().hidden_size, seed, decoder.device())?;
        let task = Task { engine: &engine, rows: &rows, plan: &plan, seed };
        let mut trainer = Trainer::new(task, interventions).map_err(told)?;
        let mut steps = Vec::new();
        let mut emit = |event| {
            if let Event::StepDone(step) = event {
                steps.push(step);
            }
        };
        while trainer.advance(&AtomicBool::new(false), &mut emit).map_err(told)? != Progress::Finished {}
        Ok(Self { steps, tensors: save::tensors(trainer.interventions())?.into_iter().collect() })
    }

    fn compare_losses(&self, other: &Self, largest: &mut Largest) {
        for (found, expected) in self.steps.iter().zip(&other.steps) {
            largest.take(format!("step {}", found.step), (found.loss / expected.loss - 1.0).abs());
        }
    }

    fn compare(&self, other: &Self, mut each: impl FnMut(&str, &Tensor, &Tensor) -> Result<()>) -> Result<()> {
        for ((name, found), (_, expected)) in self.tensors.iter().zip(&other.tensors) {
            each(name, found, expected)?;
        }
        Ok(())
    }
}
