//! `result.json`: which stages of a run are finished, and their numbers; `timings.json`: how long they took.
//!
//! What depends on the clock stands apart, so that the results of one spec on two machines are equal files.

use crate::data::metric::Metric;
pub use crate::plan::Outputs;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of run folders. One of another version is not touched.
pub const FORMAT: u32 = 1;

/// The record of a run. A record belongs to one training hash; everything in it was made by that training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`FORMAT`] when it was written; 0 in folders from before it was recorded.
    #[serde(default)]
    pub format: u32,
    pub experiment: String,
    /// 64 hexadecimal digits; the run's folder is named by the first eight.
    pub training_hash: String,
    /// Present once the training is finished and its intervention saved.
    pub training: Option<TrainingRecord>,
    /// The evals of the spec, in written order once the run is finished.
    pub evals: Vec<EvalRecord>,
    /// Evals of an earlier text of the spec, kept because they measured the same training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EvalRecord>,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The kind of device, `cpu`, `cuda` or `metal`.
    pub device: String,
    /// Optimizer steps.
    pub steps: usize,
    /// The loss of the last optimizer step.
    #[serde(deserialize_with = "number_or_nan")]
    pub final_loss: f64,
    /// The step whose parameters were kept, where the best measurement decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
}

/// A finished evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    pub name: String,
    /// The hash of the stage, 64 hexadecimal digits.
    pub hash: String,
    /// The hashes of what the model with the intervention and the untouched model gave out, from which the scores are
    /// taken; present where texts are generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// The kind of device, `cpu`, `cuda` or `metal`.
    pub device: String,
    pub metric: Metric,
    /// The score with the intervention: a share from 0 to 1, or a perplexity.
    #[serde(deserialize_with = "number_or_nan")]
    pub tuned: f64,
    /// The score of the untouched model, where it was asked for.
    pub baseline: Option<f64>,
    /// The share of rows with the most frequent gold, where the metric has golds.
    pub majority: Option<f64>,
    pub rows: usize,
}

/// How long stages took, in seconds of work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    pub training: Option<TrainingTime>,
    /// By the name of the eval.
    pub evals: BTreeMap<String, f64>,
}

/// The time of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingTime {
    pub seconds: f64,
    /// Prompt and target tokens of training rows in a second.
    pub tokens_per_second: f64,
}

impl RunResult {
    /// The finished training in that folder, if it ran on that kind of device and its intervention is still there.
    pub fn trained(&self, folder: &Path, device: &str) -> Option<&TrainingRecord> {
        let is_kept = folder.join("intervention").is_dir();
        self.training.as_ref().filter(|training| is_kept && training.device == device)
    }

    /// The finished eval of that name and stage hash, if it ran on that kind of device and its rows are still there.
    pub fn evaluated(&self, folder: &Path, name: &str, hash: &str, device: &str) -> Option<&EvalRecord> {
        let same = |eval: &&EvalRecord| eval.hash == hash && eval.device == device;
        let is_kept = |name: &str| self.trained(folder, device).is_some() && eval_path(folder, name).is_file();
        self.eval(name).filter(same).filter(|eval| is_kept(&eval.name))
    }

    /// Every finished eval, those of earlier texts of the spec last.
    pub fn all_evals(&self) -> impl Iterator<Item = &EvalRecord> {
        self.evals.iter().chain(&self.earlier)
    }

    /// The finished eval of that name, wherever it is kept.
    pub fn eval(&self, name: &str) -> Option<&EvalRecord> {
        self.all_evals().find(|eval| eval.name == name)
    }

    /// Adds an eval in the place of an older one of the same name.
    pub fn put_eval(&mut self, record: EvalRecord) {
        self.earlier.retain(|eval| eval.name != record.name);
        match self.evals.iter_mut().find(|eval| eval.name == record.name) {
            Some(eval) => *eval = record,
            None => self.evals.push(record),
        }
    }

    /// Puts the evals of `names` first, in that order; all others become earlier ones.
    pub(crate) fn arrange(&mut self, names: &[&str]) {
        let place = |eval: &EvalRecord| names.iter().position(|name| *name == eval.name);
        let all = std::mem::take(&mut self.evals).into_iter().chain(std::mem::take(&mut self.earlier));
        (self.evals, self.earlier) = all.partition(|eval| place(eval).is_some());
        self.evals.sort_by_key(place);
    }
}

/// Where the rows of an eval are kept.
pub fn eval_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("eval").join(format!("{name}.jsonl"))
}

/// JSON has no number for "not a number" or infinity; it is written as `null`.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn eval(name: &str, hash: &str) -> EvalRecord {
        EvalRecord {
            name: name.into(),
            hash: hash.into(),
            device: "cpu".into(),
            metric: Metric::Accuracy,
            tuned: 0.765,
            baseline: Some(0.5),
            majority: Some(0.5),
            rows: 200,
            outputs: None,
        }
    }

    fn names(evals: &[EvalRecord]) -> Vec<&str> {
        evals.iter().map(|eval| eval.name.as_str()).collect()
    }

    #[test]
    fn evals_stand_in_written_order_and_earlier_ones_apart() {
        let mut result = RunResult::default();
        for name in ["test", "old", "dev"] {
            result.put_eval(eval(name, "1"));
        }
        result.arrange(&["dev", "test"]);
        assert_eq!((names(&result.evals), names(&result.earlier)), (vec!["dev", "test"], vec!["old"]));
        result.put_eval(eval("old", "2"));
        assert_eq!((names(&result.evals), names(&result.earlier)), (vec!["dev", "test", "old"], vec![]));
        assert_eq!(result.eval("old").unwrap().hash, "2");
    }

    #[test]
    fn an_infinite_perplexity_survives_the_file() {
        let mut record = eval("test", "1");
        record.tuned = f64::INFINITY;
        let back: EvalRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert!(back.tuned.is_nan());
    }
}
