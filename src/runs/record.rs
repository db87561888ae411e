//! One run as its folder tells it.

use crate::difference::by_role;
use crate::plan::{Field, Hashes, Parameters};
use crate::store::environment::Environment;
use crate::store::find::{self, Run};
use crate::store::result::{RunResult, TrainingTime};
use crate::store::run_folder::read_result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A run folder that was read; whatever of it is missing or damaged is left out.
#[derive(Clone, Debug)]
pub struct Record {
    pub run: Run,
    pub state: State,
    pub plan: Planned,
    pub result: RunResult,
    pub environment: Option<Environment>,
    /// The fields of the plan under what they are to the experiment: `model`, `data.train`.
    pub roles: Vec<Field>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum State {
    Finished,
    /// Optimizer steps that were taken, of all.
    Training {
        step: usize,
        steps: usize,
    },
    /// Trained; evaluations are left to do.
    Evaluating,
    Damaged {
        why: String,
    },
}

/// What is read of `plan.json`; less than the plan, so that those of other versions can be read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Planned {
    pub doc: String,
    pub seed: Option<u64>,
    pub parameters: Option<Parameters>,
    pub train: PlannedTraining,
    pub hashes: Hashes,
    pub fields: Vec<Field>,
}

/// The part of a plan about its training.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PlannedTraining {
    pub steps: usize,
    pub rows: usize,
}

/// What of `timings.json` is asked for, and what older records have of it.
#[derive(Deserialize)]
struct Timings {
    training: Option<TrainingTime>,
}

impl State {
    /// `finished`, `training`, `evaluating`, `damaged`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Training { .. } => "training",
            Self::Evaluating => "evaluating",
            Self::Damaged { .. } => "damaged",
        }
    }

    /// With the step: `training 3/8`.
    pub fn text(&self) -> String {
        match self {
            Self::Training { step, steps } => format!("training {step}/{steps}"),
            _ => self.name().to_owned(),
        }
    }
}

impl Record {
    /// Reads every run under a folder, the newest first.
    pub fn all(runs: &Path) -> Vec<Self> {
        let mut all: Vec<Self> = find::all(runs).into_iter().map(Self::read).collect();
        all.sort_by(|a, b| (b.run.changed, a.name()).cmp(&(a.run.changed, b.name())));
        all
    }

    /// Reads one run.
    pub fn read(run: Run) -> Self {
        let result = read_result(&run.path);
        let plan = read_json::<Planned>(&run.path.join("plan.json"));
        let environment = read_json(&run.path.join("env.json"));
        let state = state(&run, result.as_ref(), plan.as_ref());
        let plan = plan.unwrap_or_default();
        let roles = by_role(&plan.fields);
        Self { run, state, plan, result: result.unwrap_or_default(), environment, roles }
    }

    /// `experiment/digits`
    pub fn name(&self) -> String {
        self.run.name()
    }

    /// The optimizer steps that were taken.
    pub fn steps(&self) -> usize {
        match (&self.result.training, &self.state) {
            (Some(training), _) => training.steps,
            (None, State::Training { step, .. }) => *step,
            _ => 0,
        }
    }

    /// How long the finished training took.
    pub fn timing(&self) -> Option<TrainingTime> {
        self.result.training.as_ref()?;
        // Older folders have it in their record.
        let files = ["timings.json", "stages.json", "result.json"];
        files.into_iter().find_map(|name| read_json::<Timings>(&self.run.path.join(name))?.training)
    }
}

fn state(run: &Run, result: Option<&RunResult>, plan: Option<&Planned>) -> State {
    let damaged = |why: &str| State::Damaged { why: why.to_owned() };
    let Some(result) = result else {
        return damaged(if run.finished { "result.json cannot be read" } else { "stages.json cannot be read" });
    };
    match (plan, &result.training) {
        // Its folder is made a moment before its plan is written.
        (None, None) if !run.path.join("plan.json").exists() => State::Training { step: 0, steps: 0 },
        (None, _) => damaged("plan.json cannot be read"),
        (Some(_), Some(_)) if run.finished => State::Finished,
        (Some(_), Some(_)) => State::Evaluating,
        (Some(plan), None) => State::Training { step: last_step(&run.path), steps: plan.train.steps },
    }
}

/// The last lines of `metrics.jsonl` are enough to know the step.
const TAIL: u64 = 1 << 16;

/// The last optimizer step that `metrics.jsonl` tells of; 0 where it tells of none.
fn last_step(folder: &Path) -> usize {
    #[derive(Deserialize)]
    struct Line {
        step: usize,
    }
    let tail = || {
        let mut file = File::open(folder.join("metrics.jsonl"))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let text = tail().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find_map(|line| Some(serde_json::from_str::<Line>(line).ok()?.step)).unwrap_or(0)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
