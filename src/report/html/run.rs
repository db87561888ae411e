//! A run folder as it lies on disk. What is missing or cannot be read is left out: a report is made of what is there.

use super::rows::EvalRows;
use crate::data::metric::Metric;
use crate::plan::Experiment;
use crate::report::metrics::Metrics;
use crate::report::sweep;
use crate::store::environment::Environment;
use crate::store::result::RunResult;
use crate::store::run_folder::read_result;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// What a report needs of one run.
pub struct Run {
    pub experiment: String,
    /// The folder's name.
    pub digits: String,
    pub finished: bool,
    pub spec: String,
    pub plan: Option<Experiment>,
    pub result: RunResult,
    pub metrics: Metrics,
    /// The rows of evals, by name.
    pub evals: Vec<EvalRows>,
    pub environment: Option<Environment>,
}

/// The score of an eval, as the table of a run has it.
#[derive(Clone, Copy)]
pub struct Score {
    pub metric: Metric,
    pub tuned: f64,
    pub baseline: Option<f64>,
    pub majority: Option<f64>,
    pub rows: usize,
}

/// The files of a run that a report is made of, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let names = ["env.json", "metrics.jsonl", "plan.json", "result.json", "spec.reft", "stages.json"];
    let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let evals = std::fs::read_dir(folder.join("eval")).into_iter().flatten().flatten();
    files.extend(evals.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "jsonl")));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

impl Run {
    /// Reads the run of that folder.
    pub fn read(folder: &Path) -> Self {
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let result = read_result(folder).unwrap_or_default();
        let parse = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        let rows = files(folder).into_iter().filter(|path| path.parent() != Some(folder));
        let evals = rows.map(|path| EvalRows::read(&path, path.file_stem().unwrap_or_default().to_string_lossy()));
        let mut evals: Vec<EvalRows> = evals.collect();
        // In the order of the spec; those of an earlier text of it come last.
        let place = |name: &str| result.evals.iter().position(|eval| eval.name == name).unwrap_or(usize::MAX);
        evals.sort_by_key(|rows| place(&rows.name));
        Self {
            experiment: name(whole.parent()),
            digits: name(Some(&whole)),
            finished: folder.join("result.json").is_file(),
            spec: String::from_utf8_lossy(&parse("spec.reft")).into_owned(),
            plan: serde_json::from_slice(&parse("plan.json")).ok(),
            metrics: Metrics::read(&folder.join("metrics.jsonl")),
            evals,
            environment: serde_json::from_slice(&parse("env.json")).ok(),
            result,
        }
    }

    /// What tells the run from others of its experiment: the values of its sweep, or else its digits.
    pub fn label(&self) -> String {
        match &self.plan {
            Some(plan) if !plan.point.is_empty() => sweep::label(&plan.point),
            _ => self.digits.clone(),
        }
    }

    /// The name and score of every eval that the spec asks for and that is finished.
    pub fn scores(&self) -> Vec<(&str, Score)> {
        let score = |eval: &crate::store::result::EvalRecord| Score {
            metric: eval.metric,
            tuned: eval.tuned,
            baseline: eval.baseline,
            majority: eval.majority,
            rows: eval.rows,
        };
        self.result.evals.iter().map(|eval| (eval.name.as_str(), score(eval))).collect()
    }

    /// The rows of that eval.
    pub fn rows(&self, eval: &str) -> Option<&EvalRows> {
        self.evals.iter().find(|rows| rows.name == eval)
    }

    /// Steps that are done, and all steps where the plan tells.
    pub fn steps(&self) -> (usize, Option<usize>) {
        let done = self.metrics.steps.last().map_or(0, |step| step.step);
        (done, self.plan.as_ref().map(|plan| plan.train.steps))
    }
}

/// Orders runs by the values of their sweep, numbers by size, and by their digits after that.
pub fn order(left: &Run, right: &Run) -> Ordering {
    let values = |run: &Run| run.plan.as_ref().map(|plan| plan.point.clone()).unwrap_or_default();
    let (left_values, right_values) = (values(left), values(right));
    let pairs = left_values.iter().zip(&right_values);
    let by_values = pairs.map(|(left, right)| {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let by_size = match (number(&left.value), number(&right.value)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => left.value.cmp(&right.value),
        };
        left.path.cmp(&right.path).then(by_size)
    });
    let by_values = by_values.fold(Ordering::Equal, Ordering::then);
    by_values.then(left_values.len().cmp(&right_values.len())).then_with(|| left.digits.cmp(&right.digits))
}
