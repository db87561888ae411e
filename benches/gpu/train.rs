//! A training by the ordinary path: the spec of the quickstart through parser, checker, plan and engine into a run folder.

use candle_core::Device;
use reftc::compile::compile_text;
use reftc::diag::{Code, Diagnostic, Result};
use reftc::execute::event::Event;
use reftc::execute::experiment::{self, Run};
use reftc::execute::loaded::Models;
use reftc::lock::Library;
use reftc::model::hub::HubSettings;
use reftc::model::located::Locator;
use reftc::plan::Means;
use reftc::source::Sources;
use reftc::store::cache::Cache;
use reftc::store::frozen::{FrozenCache, Settings};
use reftc::store::run_folder::WhenLocked;
use reftc::world::RealWorld;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const SPEC: &str = include_str!("../../examples/quickstart/quickstart.reft");
const TRAIN: &str = include_str!("../../examples/quickstart/data/train.jsonl");
const TEST: &str = include_str!("../../examples/quickstart/data/test.jsonl");

/// What the training came to.
#[derive(Serialize)]
pub struct Trained {
    /// The loss fell, and the model learnt what it did not know.
    pub learnt: bool,
    first_loss: f64,
    /// The mean of the last tenth of the steps.
    last_loss: f64,
    steps: usize,
    baseline: Option<f64>,
    accuracy: Option<f64>,
}

/// Trains the tiny model that is part of reftc, evaluates it, and prints what came of it.
pub fn train(device: &Device, tiny: bool) -> Result<Trained> {
    let folder = tempfile::tempdir().map_err(unwritable)?;
    let path = folder.path().join("quickstart.reft");
    // A third of the training shows as much.
    let spec = if tiny { SPEC.replace("epochs   = 3", "epochs   = 1") } else { SPEC.to_owned() };
    write(&path, &spec)?;
    write(&folder.path().join("data/train.jsonl"), TRAIN)?;
    write(&folder.path().join("data/test.jsonl"), TEST)?;

    let locator = Locator::new(HubSettings::from_variables(|_| None), Cache::default());
    let world = RealWorld::new(locator.clone());
    let mut sources = Sources::default();
    let id = sources.add(&path, spec.clone());
    let compiled = compile_text(id, sources, &[], &world);
    let plan = compiled.plan(Means::default());
    if let Some(finding) = compiled.diagnostics.into_iter().next() {
        return Err(Box::new(finding));
    }
    let Some(experiment) = plan.experiments.first() else { return Err(broken("the spec has no experiment")) };
    let mut models = Models::new(device.clone(), locator, FrozenCache::open(Settings::default()));
    let mut losses = Vec::new();
    let outcome = experiment::run(Run {
        experiment,
        path: &path,
        spec: &spec,
        library: &Library::default(),
        runs: &folder.path().join("runs"),
        force: false,
        when_locked: WhenLocked::Refuse,
        models: &mut models,
        interrupt: &AtomicBool::new(false),
        emit: &mut |event| {
            if let Event::StepDone(step) = event {
                losses.push(step.loss);
            }
        },
    })?;
    let tenth = (losses.len() / 10).max(1);
    let last_loss = losses.iter().rev().take(tenth).sum::<f64>() / tenth as f64;
    let first_loss = losses.first().copied().unwrap_or(f64::NAN);
    let eval = outcome.result.evals.first();
    let learnt = eval.is_some_and(|eval| eval.baseline.is_some_and(|before| eval.tuned > before + 0.2));
    let trained = Trained {
        learnt: learnt && last_loss < 0.9 * first_loss,
        first_loss,
        last_loss,
        steps: losses.len(),
        baseline: eval.and_then(|eval| eval.baseline),
        accuracy: eval.map(|eval| eval.tuned),
    };
    println!("{} steps, loss {first_loss:.3} to {last_loss:.3}", trained.steps);
    if let (Some(before), Some(after)) = (trained.baseline, trained.accuracy) {
        println!("accuracy {before:.2} before, {after:.2} after");
    }
    Ok(trained)
}

fn write(path: &Path, text: &str) -> Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text)).map_err(unwritable)
}

fn unwritable(error: std::io::Error) -> Box<Diagnostic> {
    broken(&format!("a temporary folder cannot be written: {error}"))
}

fn broken(message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::EngineFailed, message))
}
