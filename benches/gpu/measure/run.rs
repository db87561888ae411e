//! One training of a workload, timed step by step.

use crate::{machine, told};
use candle_core::Result;
use reftc::data::encode::EncodedRow;
use reftc::execute::batch::Steps;
use reftc::execute::engine::Engine;
use reftc::execute::event::Event;
use reftc::execute::train::{Progress, Task, Trainer};
use reftc::intervention::units::Interventions;
use reftc::model::decoder::Decoder;
use reftc::plan::Experiment;
use reftc::store::frozen::FrozenCache;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Steps that are taken however few the seconds are.
const LEAST_STEPS: usize = 2;

/// What is trained, and how long.
pub struct Training<'a> {
    pub decoder: &'a Decoder,
    pub rows: &'a [EncodedRow],
    pub plan: &'a Experiment,
    pub cache: Option<&'a FrozenCache>,
    /// No step is begun after so long.
    pub seconds: f64,
}

/// What came of it.
pub struct Run {
    /// Seconds of each step.
    pub steps: Vec<f64>,
    /// From the begin of the first step until the device had done the last one.
    pub seconds: f64,
    /// Those of the first epoch.
    first_epoch: f64,
    /// Rows that were taken, in their order, by their numbers.
    pub taken: Vec<usize>,
    pub losses: Vec<f64>,
    pub peak_bytes: Option<u64>,
}

impl Training<'_> {
    /// Trains fresh interventions.
    pub fn run(&self) -> Result<Run> {
        let Self { decoder, rows, plan, cache, seconds } = *self;
        let device = decoder.device();
        let cache = cache.map(|cache| (cache, plan.model.weights.as_deref().unwrap_or_default()));
        let engine = Engine::new(decoder, &plan.interventions, plan.passes, cache);
        let interventions = Interventions::new(&plan.interventions, decoder.config().hidden_size, plan.seed, device)?;
        let task = Task { engine: &engine, rows, plan: &plan.train, seed: plan.seed };
        let mut trainer = Trainer::new(task, interventions).map_err(told)?;
        let steps = Steps::of(&plan.train, rows.len());
        let interrupt = AtomicBool::new(false);
        let mut run = Run {
            steps: Vec::new(),
            seconds: 0.0,
            first_epoch: 0.0,
            taken: Vec::new(),
            losses: Vec::new(),
            peak_bytes: None,
        };
        device.synchronize()?;
        machine::forget_peak(device);
        let begun = Instant::now();
        let mut last = 0.0;
        while last < seconds || run.steps.len() < LEAST_STEPS {
            let losses = &mut run.losses;
            let mut emit = |event| {
                if let Event::StepDone(step) = event {
                    losses.push(step.loss);
                }
            };
            if trainer.advance(&interrupt, &mut emit).map_err(told)? == Progress::Finished {
                break;
            }
            let now = begun.elapsed().as_secs_f64();
            run.taken.extend(steps.batches(run.steps.len(), plan.seed).concat());
            run.steps.push(now - last);
            last = now;
            if run.steps.len() == steps.per_epoch() {
                run.first_epoch = now;
            }
        }
        device.synchronize()?;
        run.seconds = begun.elapsed().as_secs_f64();
        run.peak_bytes = machine::peak_bytes(device);
        Ok(run)
    }
}

impl Run {
    /// Tokens of prompts and targets of the rows that were taken.
    pub fn tokens(&self, rows: &[EncodedRow]) -> f64 {
        tokens(&self.taken, rows)
    }

    /// The rate after the first epoch, where there was more than one.
    pub fn later_tokens_per_second(&self, rows: &[EncodedRow]) -> Option<f64> {
        let later = self.taken.get(rows.len()..).filter(|later| !later.is_empty())?;
        Some(tokens(later, rows) / (self.seconds - self.first_epoch))
    }

    /// The median of the steps.
    pub fn median(&self) -> f64 {
        let mut steps = self.steps.clone();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn tokens(taken: &[usize], rows: &[EncodedRow]) -> f64 {
    taken.iter().map(|&row| rows[row].ids.len()).sum::<usize>() as f64
}
