//! Progress of a run on stderr: bars on a terminal, plain lines elsewhere.

mod download;

pub use download::Download;

use super::output::Output;
use crate::execute::event::{Event, StepDone, Subject};
use crate::report::{table, units};
use crate::store::stages::{AFTER_TRAINING, NEVER, Stage, State};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Plain lines come at most this often,
const LINE_PAUSE: Duration = Duration::from_secs(10);
/// and those at the end of an epoch this often.
const EPOCH_PAUSE: Duration = Duration::from_secs(1);

/// Shows events as they come.
pub struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    /// Of the training: steps of an epoch, epochs, the step that this process began after, and all steps.
    per_epoch: usize,
    epochs: usize,
    begun: usize,
    steps: usize,
    /// Tokens and seconds of the steps so far.
    tokens: usize,
    seconds: f64,
    /// Whether no step is left to take.
    trained: bool,
    /// Rows of the evaluation.
    rows_done: usize,
    rows: usize,
    /// Whether its outputs are those of an earlier one.
    reused: bool,
    begun_at: Instant,
    last_line: Instant,
    /// What an interrupt breaks off.
    under_way: String,
}

impl<'a> Progress<'a> {
    /// Progress that nothing has been shown of.
    pub fn new(output: &'a Output) -> Self {
        Self {
            output,
            bar: None,
            per_epoch: 1,
            epochs: 0,
            begun: 0,
            steps: 0,
            tokens: 0,
            seconds: 0.0,
            trained: true,
            rows_done: 0,
            rows: 0,
            reused: false,
            begun_at: Instant::now(),
            last_line: Instant::now(),
            under_way: String::new(),
        }
    }

    /// Takes one event.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::TrainingStarted { step, steps, epochs, rows } => {
                self.trained = false;
                self.steps = *steps;
                (self.begun, self.epochs, self.per_epoch) = (*step, *epochs, (steps / epochs.max(&1)).max(1));
                let resumed = if *step > 0 { format!(", going on after step {step}") } else { String::new() };
                let (rows, epochs) = (units::counted(*rows, "row"), units::counted(*epochs, "epoch"));
                self.output.note(&format!("training on {rows}, {epochs}, {}{resumed}", units::counted(*steps, "step")));
                self.under_way = format!("after step {step} of {steps}");
                self.begin(*step, *steps, "steps", String::new());
            }
            Event::StepDone(done) => self.step(done),
            Event::Stage(stage) => self.stage(stage),
            Event::EpochDone(_) | Event::Improved { .. } | Event::Artefact { .. } => {}
            Event::TrainingDone { steps, kept, .. } => {
                self.trained = true;
                self.end();
                // Of the steps alone: evaluations along the way have lines of their own.
                let time = units::duration(Duration::from_secs_f64(self.seconds));
                let taken = units::counted(steps.saturating_sub(self.begun), "step");
                let early = if *steps < self.steps { ", as none of the last measurements was better" } else { "" };
                self.output.note(&format!("trained {taken} in {time}, {}{early}", self.speed()));
                if let Some(step) = kept {
                    self.output.note(&format!("kept: the parameters after step {step}, which were measured best"));
                }
            }
            Event::EvalStarted { eval, subject, rows, reused } => {
                self.end();
                self.reused = *reused;
                (self.rows_done, self.rows) = (0, *rows);
                self.begin(0, *rows, "rows", format!("eval {eval}, {}", who(*subject)));
                if self.trained {
                    self.under_way = format!("in eval {eval}");
                }
            }
            Event::EvalRow { eval, subject, .. } => {
                self.rows_done += 1;
                let (done, rows, seconds) = (self.rows_done, self.rows, self.begun_at.elapsed().as_secs_f64());
                let left = left(done, rows, seconds);
                if let Some(bar) = &self.bar {
                    bar.set_position(done as u64);
                    bar.set_message(format!("eval {eval}, {}{left}", who(*subject)));
                } else if self.last_line.elapsed() >= LINE_PAUSE {
                    self.line(&format!("eval {eval}, {}: {done} of {rows} rows{left}", who(*subject)));
                }
            }
            Event::EvalDone { eval, subject, score } => {
                self.end();
                let time = units::duration(Duration::from_secs_f64(score.seconds));
                let result = format!("{} {}", table::name(score.metric), table::number(score.metric, score.value));
                let rows = units::counted(score.rows, "row");
                let who = if self.trained { who(*subject) } else { self.under_way.as_str() };
                let reused = if self.reused { ", from the outputs that were there" } else { "" };
                self.output.note(&format!("eval {eval}, {who}: {result} on {rows} in {time}{reused}"));
            }
        }
    }

    /// What was under way last: `after step 3 of 8`, `in eval test`; empty before anything was.
    pub fn under_way(&self) -> &str {
        &self.under_way
    }

    /// Why something is done that an earlier run seemed to have done.
    fn stage(&mut self, stage: &Stage) {
        // What is measured before the first step belongs to the steps of an earlier process.
        if let State::Resumes { step, .. } | State::Continues { step, .. } = stage.state {
            (self.trained, self.under_way) = (false, format!("after step {step}"));
        }
        let is_new = stage.reasons.first().is_none_or(|reason| [NEVER, AFTER_TRAINING].contains(&reason.as_str()));
        if !is_new && stage.state != State::Finished {
            self.output.note(&format!("{}: {}", stage.name, stage.reasons.join("; ")));
        }
    }

    fn step(&mut self, done: &StepDone) {
        self.tokens += done.tokens;
        self.seconds += done.seconds;
        self.under_way = format!("after step {} of {}", done.step, done.steps);
        if self.output.bars && self.bar.is_none() {
            // An evaluation along the way has taken its place.
            self.begin(done.step, done.steps, "steps", String::new());
        }
        let (taken, all) = (done.step - self.begun, done.steps - self.begun);
        let numbers = format!("loss {:.4}  {}{}", done.loss, self.speed(), left(taken, all, self.seconds));
        if let Some(bar) = &self.bar {
            bar.set_position(done.step as u64);
            bar.set_message(numbers);
            return;
        }
        let ends_epoch = done.step.is_multiple_of(self.per_epoch);
        let pause = if ends_epoch { EPOCH_PAUSE } else { LINE_PAUSE };
        if taken == 1 || taken == all || self.last_line.elapsed() >= pause {
            let width = done.steps.to_string().len();
            let epoch =
                if ends_epoch { format!("  epoch {} of {} done", done.epoch, self.epochs) } else { String::new() };
            self.line(&format!("step {:>width$}/{}  {numbers}{epoch}", done.step, done.steps));
        }
    }

    fn speed(&self) -> String {
        format!("{} tokens/s", units::count((self.tokens as f64 / self.seconds.max(1e-9)).round() as u64))
    }

    /// A plain line below the stage that it belongs to.
    fn line(&mut self, text: &str) {
        self.last_line = Instant::now();
        self.output.note(&format!("  {text}"));
    }

    fn begin(&mut self, position: usize, length: usize, unit: &str, message: String) {
        (self.begun_at, self.last_line) = (Instant::now(), Instant::now());
        if self.output.bars {
            let style = style(&format!("  {{bar:24}} {{pos}}/{{len}} {unit}  {{msg}}"));
            let bar = ProgressBar::new(length as u64).with_style(style).with_position(position as u64);
            bar.set_message(message);
            bar.enable_steady_tick(Duration::from_millis(250));
            self.output.show_bar(Some(bar.clone()));
            self.bar = Some(bar);
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            self.output.show_bar(None);
            bar.finish_and_clear();
        }
    }
}

/// The time that is left at the pace so far, where there is a pace and something left.
fn left(done: usize, all: usize, seconds: f64) -> String {
    if done == 0 || done >= all {
        return String::new();
    }
    let left = seconds / done as f64 * (all - done) as f64;
    format!("  ETA {}", units::duration(Duration::from_secs_f64(left)))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ")
}

fn who(subject: Subject) -> &'static str {
    match subject {
        Subject::Baseline => "untouched model",
        Subject::Tuned => "tuned",
    }
}
