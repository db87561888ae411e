//! Progress of downloads.

use super::{LINE_PAUSE, style};
use crate::cli::output::Output;
use crate::model::hub;
use crate::report::units;
use indicatif::ProgressBar;
use std::time::Instant;

/// Shows one file after the other.
pub struct Download {
    output: Output,
    file: String,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Download {
    /// No download yet.
    pub fn new(output: Output) -> Self {
        Self { output, file: String::new(), bar: None, last_line: Instant::now() }
    }

    /// Takes one report of a download.
    pub fn show(&mut self, progress: hub::Progress<'_>) {
        if self.file != progress.file {
            progress.file.clone_into(&mut self.file);
            self.end();
            self.last_line = Instant::now();
            self.output.note(&format!("fetching {} ({})", progress.file, units::bytes(progress.total)));
            if self.output.bars {
                let template = "  {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}";
                self.bar = Some(ProgressBar::new(progress.total).with_style(style(template)));
            }
        }
        match &self.bar {
            Some(bar) => bar.set_position(progress.done),
            None if self.last_line.elapsed() >= LINE_PAUSE => {
                self.last_line = Instant::now();
                self.output.note(&format!("  {} of {}", units::bytes(progress.done), units::bytes(progress.total)));
            }
            None => {}
        }
        if progress.done >= progress.total {
            self.end();
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
