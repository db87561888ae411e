//! What models gave out in earlier evaluations: where only the reading of an answer or the metric has changed, no model is asked again.

use super::event::Subject;
use crate::data::encode::EncodedRow;
use crate::plan::Outputs;
use crate::store::result::{RunResult, eval_path};
use crate::store::stages::{History, gives};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What of a line of `eval/NAME.jsonl` matters here.
#[derive(Deserialize)]
struct Line {
    subject: Subject,
    row: usize,
    prompt: String,
    output: String,
}

/// The outputs of one subject for these rows, in their order, where an earlier evaluation on that kind of device has them; the tuned model's
/// are looked for in the run's own folder, those of the untouched model in all runs of the experiment.
pub fn outputs(
    subject: Subject,
    wanted: &Outputs,
    rows: &[EncodedRow],
    own: (&Path, &RunResult),
    history: &History,
    device: &str,
) -> Option<Vec<String>> {
    let (folder, result) = own;
    let path = |name: &str| eval_path(folder, name);
    let paths: Vec<PathBuf> = match subject {
        Subject::Tuned => {
            let same = |known: &Outputs| known.tuned == wanted.tuned;
            result.all_evals().filter(|record| gives(record, device, same)).map(|record| path(&record.name)).collect()
        }
        Subject::Baseline => {
            let same = |known: &Outputs| known.untouched == wanted.untouched;
            let own = result.all_evals().filter(|record| record.baseline.is_some() && gives(record, device, same));
            let elsewhere = history.untouched(wanted, device).map(|(folder, name)| eval_path(folder, name));
            own.map(|record| path(&record.name)).chain(elsewhere).collect()
        }
    };
    paths.iter().find_map(|path| read(path, subject, rows))
}

/// The outputs in a file; `None` where it is not about exactly these rows.
fn read(path: &Path, subject: Subject, rows: &[EncodedRow]) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path).ok()?;
    let lines: Option<Vec<Line>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<Line> = lines?.into_iter().filter(|line| line.subject == subject).collect();
    let same = |(line, row): (&Line, &EncodedRow)| line.row == row.row && line.prompt == row.prompt;
    let is_whole = lines.len() == rows.len() && lines.iter().zip(rows).all(same);
    is_whole.then(|| lines.into_iter().map(|line| line.output).collect())
}
