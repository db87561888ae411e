//! What is written down of a training while it goes on, and the lines of `log.txt`.

use super::event::{Event, Subject};
use crate::diag::{Diagnostic, Result};
use crate::store::metrics::MetricsLog;
use crate::store::result::{TrainingRecord, TrainingTime};
use crate::store::run_folder::RunFolder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// `metrics.jsonl` of a training, and the sums over its lines, those of earlier processes included.
pub struct TrainingLog {
    metrics: MetricsLog,
    step: usize,
    seconds: f64,
    tokens: usize,
    loss: f64,
    measured: BTreeSet<String>,
    failure: Option<Box<Diagnostic>>,
}

/// What sums and resuming need of a line.
#[derive(Deserialize)]
struct Line {
    event: String,
    step: usize,
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    tokens: usize,
    loss: Option<f64>,
    eval: Option<String>,
}

impl TrainingLog {
    /// Opens the log of a training that has taken `step` steps; lines beyond them are cut off.
    ///
    /// # Errors
    /// E0501 with the path and the cause.
    pub fn open(folder: &RunFolder, step: usize) -> Result<Self> {
        let metrics = folder.metrics(step)?;
        let (measured, failure) = (BTreeSet::new(), None);
        let mut log = Self { metrics, step, seconds: 0.0, tokens: 0, loss: f64::NAN, measured, failure };
        let kept = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap_or_default();
        for line in kept.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            match (line.event.as_str(), line.eval) {
                ("step_done", _) => log.sum(line.tokens, line.seconds, line.loss.unwrap_or(f64::NAN)),
                ("eval_done", Some(eval)) if line.step == step => {
                    log.measured.insert(eval);
                }
                _ => {}
            }
        }
        Ok(log)
    }

    /// The evaluations that were measured after the step that the log was opened at.
    pub fn measured(&self) -> &BTreeSet<String> {
        &self.measured
    }

    /// Writes an event down: steps and scores, not single rows. Every line says after which step it was written.
    pub fn take(&mut self, event: &Event) {
        #[derive(Serialize)]
        struct Scored<'a> {
            step: usize,
            #[serde(flatten)]
            event: &'a Event,
        }
        let written = match event {
            Event::StepDone(done) => {
                self.step = done.step;
                self.sum(done.tokens, done.seconds, done.loss);
                self.metrics.append(event)
            }
            Event::EpochDone(_) | Event::Improved { .. } => self.metrics.append(event),
            Event::EvalDone { .. } => self.metrics.append(&Scored { step: self.step, event }),
            _ => Ok(()),
        };
        if let Err(diagnostic) = written {
            self.failure.get_or_insert(diagnostic);
        }
    }

    /// The first failure to write, once.
    ///
    /// # Errors
    /// E0501 with the path and the cause.
    pub fn check(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The record of the finished training.
    pub fn record(&self, device: &str) -> TrainingRecord {
        TrainingRecord { device: device.to_owned(), steps: self.step, final_loss: self.loss, kept: None }
    }

    /// How long its steps took, in all processes that took them.
    pub fn time(&self) -> TrainingTime {
        TrainingTime { seconds: self.seconds, tokens_per_second: self.tokens as f64 / self.seconds.max(1e-9) }
    }

    fn sum(&mut self, tokens: usize, seconds: f64, loss: f64) {
        self.tokens += tokens;
        self.seconds += seconds;
        self.loss = loss;
    }
}

/// The line of `log.txt` about an event, for those that deserve one.
pub fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::TrainingStarted { step: 0, steps, epochs, rows } => {
            format!("training: {rows} rows, {epochs} epochs, {steps} steps")
        }
        Event::TrainingStarted { step, steps, .. } => format!("training goes on after step {step} of {steps}"),
        Event::TrainingDone { steps, seconds, .. } => {
            format!("training finished: {steps} steps, the last ones in {seconds:.2} s")
        }
        Event::Improved { eval, value, step, .. } => {
            format!("eval {eval} is best so far after step {step}: {value:.4}")
        }
        Event::EvalDone { eval, subject, score } => {
            let who = match subject {
                Subject::Baseline => "untouched model",
                Subject::Tuned => "tuned",
            };
            let (value, rows, seconds) = (score.value, score.rows, score.seconds);
            format!("eval {eval}, {who}: {value:.4} on {rows} rows in {seconds:.2} s")
        }
        _ => return None,
    })
}
