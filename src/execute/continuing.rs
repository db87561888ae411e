//! A training that goes on where a shorter one ended, with the bits that it would have had from the start.

use crate::diag::Result;
use crate::store::atomic::{self, unwritable};
use crate::store::run_folder::{RunFolder, WhenLocked};
use crate::store::stages::Shorter;
use std::path::Path;

/// Takes over what a shorter training wrote down: its metrics, and the interventions that it measured best. Gives what keeps others from
/// changing it meanwhile; `None` where another process is at work on it, or it is gone.
///
/// # Errors
/// E0501 where something cannot be written.
pub fn adopt(shorter: &Shorter, folder: &RunFolder, steps: usize, epochs: usize) -> Result<Option<RunFolder>> {
    let Ok(held) = RunFolder::reopen(&shorter.folder, WhenLocked::Refuse) else { return Ok(None) };
    let Ok(metrics) = std::fs::read_to_string(shorter.folder.join("metrics.jsonl")) else { return Ok(None) };
    let lines = metrics.lines().map(|line| format!("{}\n", line_of_longer(line, shorter, steps, epochs)));
    atomic::write(&folder.path().join("metrics.jsonl"), lines.collect::<String>().as_bytes())?;
    copy_files(&held.best(), &folder.best())?;
    Ok(Some(held))
}

/// Steps and epochs say of how many they are one. The text is changed, not the numbers: a float keeps its digits.
fn line_of_longer(line: &str, shorter: &Shorter, steps: usize, epochs: usize) -> String {
    if !["{\"event\":\"step_done\",", "{\"event\":\"epoch_done\","].iter().any(|begin| line.starts_with(begin)) {
        return line.to_owned();
    }
    let number = |name: &str, value: usize| format!("\"{name}\":{value},");
    let line = line.replacen(&number("steps", shorter.steps), &number("steps", steps), 1);
    line.replacen(&number("epochs", shorter.epochs), &number("epochs", epochs), 1)
}

/// Copies the files of a folder; nothing where there is none.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let content = std::fs::read(entry.path()).map_err(|cause| unwritable(&entry.path(), &cause))?;
        atomic::write(&to.join(entry.file_name()), &content)?;
    }
    Ok(())
}
