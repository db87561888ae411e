//! Progress of a run on stderr: bars on a terminal, plain lines elsewhere.

use super::output::Output;
use crate::execute::event::{Event, StepDone, Subject};
use crate::model::hub;
use crate::report::{table, units};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Plain lines come at most this often.
const LINE_PAUSE: Duration = Duration::from_secs(10);

/// Shows events as they come.
pub struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    /// Tokens and seconds of the steps so far.
    tokens: usize,
    seconds: f64,
    rows_done: usize,
    rows: usize,
    last_line: Instant,
}

impl<'a> Progress<'a> {
    /// Progress that nothing has been shown of.
    pub fn new(output: &'a Output) -> Self {
        Self { output, bar: None, tokens: 0, seconds: 0.0, rows_done: 0, rows: 0, last_line: Instant::now() }
    }

    /// Takes one event.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::TrainingStarted { step, steps, epochs, rows } => {
                self.tokens = 0;
                self.seconds = 0.0;
                let resumed = if *step > 0 { format!(", going on after step {step}") } else { String::new() };
                let plural = if *epochs == 1 { "epoch" } else { "epochs" };
                self.output.note(&format!("training on {rows} rows, {epochs} {plural}, {steps} steps{resumed}"));
                self.begin(*steps, *step, "  {bar:24} {pos}/{len} steps  {msg}  ETA {eta}");
            }
            Event::StepDone(done) => self.step(done),
            Event::EpochDone(done) if self.bar.is_none() => {
                self.output.note(&format!("  epoch {} of {} done", done.epoch, done.epochs));
            }
            Event::EpochDone(_) => {}
            Event::TrainingDone { steps, seconds } => {
                self.end();
                let speed = if self.seconds > 0.0 { self.tokens as f64 / self.seconds } else { 0.0 };
                let time = units::duration(Duration::from_secs_f64(*seconds));
                self.output.note(&format!("trained {steps} steps in {time}, {speed:.0} tokens/s"));
            }
            Event::EvalStarted { eval, subject, rows } => {
                self.rows_done = 0;
                self.rows = *rows;
                self.last_line = Instant::now();
                let who = who(*subject);
                if self.output.lively {
                    self.end();
                    self.begin(
                        *rows,
                        0,
                        &format!("  {{bar:24}} {{pos}}/{{len}} rows  eval {eval}, {who}  ETA {{eta}}"),
                    );
                }
            }
            Event::EvalRow { eval, subject, .. } => {
                self.rows_done += 1;
                match &self.bar {
                    Some(bar) => bar.inc(1),
                    None if self.last_line.elapsed() >= LINE_PAUSE => {
                        self.last_line = Instant::now();
                        let (done, rows) = (self.rows_done, self.rows);
                        self.output.note(&format!("  eval {eval}, {}: {done} of {rows} rows", who(*subject)));
                    }
                    None => {}
                }
            }
            Event::EvalDone { eval, subject, score } => {
                self.end();
                let time = units::duration(Duration::from_secs_f64(score.seconds));
                let value = table::number(score.metric, score.value);
                let metric = table::name(score.metric);
                self.output.note(&format!(
                    "eval {eval}, {}: {metric} {value} on {} rows in {time}",
                    who(*subject),
                    score.rows
                ));
            }
        }
    }

    fn step(&mut self, done: &StepDone) {
        self.tokens += done.tokens;
        self.seconds += done.seconds;
        let speed = self.tokens as f64 / self.seconds.max(1e-9);
        match &self.bar {
            Some(bar) => {
                bar.set_position(done.step as u64);
                bar.set_message(format!("loss {:.4}  {speed:.0} tokens/s", done.loss));
            }
            None => {
                let edge = done.step == 1 || done.step == done.steps;
                if edge || self.last_line.elapsed() >= LINE_PAUSE {
                    self.last_line = Instant::now();
                    let left = (done.steps - done.step) as f64 * self.seconds / done.step.max(1) as f64;
                    let left = units::duration(Duration::from_secs_f64(left));
                    let (step, steps, loss) = (done.step, done.steps, done.loss);
                    self.output
                        .note(&format!("  step {step}/{steps}  loss {loss:.4}  {speed:.0} tokens/s  ETA {left}"));
                }
            }
        }
    }

    fn begin(&mut self, length: usize, position: usize, template: &str) {
        self.last_line = Instant::now();
        if !self.output.lively {
            return;
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            ProgressBar::new(length as u64).with_style(style.progress_chars("━╸ ")).with_position(position as u64);
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar = Some(bar);
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn who(subject: Subject) -> &'static str {
    match subject {
        Subject::Baseline => "untouched model",
        Subject::Tuned => "tuned",
    }
}

/// Progress of downloads.
pub struct Download<'a> {
    output: &'a Output,
    file: String,
    bar: Option<ProgressBar>,
}

impl<'a> Download<'a> {
    /// No download yet.
    pub fn new(output: &'a Output) -> Self {
        Self { output, file: String::new(), bar: None }
    }

    /// Takes one report of a download.
    pub fn show(&mut self, progress: hub::Progress<'_>) {
        if self.file != progress.file {
            progress.file.clone_into(&mut self.file);
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            self.output.note(&format!("fetching {} ({})", progress.file, units::bytes(progress.total)));
            if self.output.lively {
                let style =
                    ProgressStyle::with_template("  {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ");
                self.bar = Some(ProgressBar::new(progress.total).with_style(style));
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
            if progress.done >= progress.total {
                bar.finish_and_clear();
            }
        }
    }
}
