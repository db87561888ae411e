//! `metrics.jsonl`: one line for each thing measured during training, appended as it happens.

use super::atomic::{self, unwritable};
use crate::diag::Result;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The open metrics file of one training.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

/// What every line has.
#[derive(Deserialize)]
struct Line {
    step: usize,
}

impl MetricsLog {
    /// Opens the file for a training that has done `steps` optimizer steps: 0 at its start, or those of the checkpoint
    /// it goes on from. Lines of later steps, which will be done again, are cut off, and so is half a line.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn open(path: &Path, steps: usize) -> Result<Self> {
        let failed = |cause: std::io::Error| unwritable(path, &cause);
        let content = match std::fs::read_to_string(path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(failed(cause)),
            content => content.unwrap_or_default(),
        };
        let whole = content.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let is_done = |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.step <= steps);
        let kept: String = if steps == 0 { String::new() } else { whole.filter(is_done).collect() };
        atomic::write(path, kept.as_bytes())?;
        let file = File::options().append(true).open(path).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends one line; `entry` must be an object with a whole number `step`, the optimizer steps done.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn append(&mut self, entry: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(entry).map_err(|cause| unwritable(&self.path, &cause.into()))?;
        // One write for each line: a reader that follows the file sees whole lines.
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|cause| unwritable(&self.path, &cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_on_from_a_checkpoint_cuts_what_will_be_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        for step in 1..=4 {
            log.append(&serde_json::json!({"step": step, "loss": 1.5})).unwrap();
        }
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"step\":2,\"lo").unwrap();
        let mut log = MetricsLog::open(&path, 2).unwrap();
        log.append(&serde_json::json!({"step": 3})).unwrap();
        let content = std::fs::read_to_string(&path).unwrap();
        assert_eq!(content, "{\"loss\":1.5,\"step\":1}\n{\"loss\":1.5,\"step\":2}\n{\"step\":3}\n");
        MetricsLog::open(&path, 0).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
