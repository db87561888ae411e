//! Which stages of an experiment are finished, which are to run, and why: what `reftc plan` tells beforehand and a run goes by.

use super::environment::Environment;
use super::find;
use super::result::{EvalRecord, FORMAT, Outputs, RunResult};
use super::run_folder::{RunFolder, read_result};
use crate::difference::{Difference, FieldChange, Outline};
use crate::intervention::tensor_file;
use crate::plan::{Experiment, Field, Hashes, Schedule, ScheduleShape, Train};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The checkpoint that a training goes on from, in its run folder.
pub const CHECKPOINT: &str = "checkpoints/last.safetensors";

/// The reason of a stage that is new.
pub const NEVER: &str = "it has never run";

/// The reason of an evaluation whose training is to run.
pub const AFTER_TRAINING: &str = "the training comes first";

/// So many reasons are given at most.
const REASONS: usize = 4;

/// One stage of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// `training`, `eval test`
    pub name: String,
    /// Over all that decides it, 64 hexadecimal digits.
    pub hash: String,
    #[serde(flatten)]
    pub state: State,
    /// Why it is not finished; empty where it is.
    pub reasons: Vec<String>,
}

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing is to be done.
    Finished,
    /// Its own checkpoint is there: it goes on after so many of its optimizer steps.
    Resumes { step: usize, steps: usize },
    /// A shorter training took the same steps: it goes on where that one ended.
    Continues { run: String, step: usize },
    /// The outputs of models are there: only answers and scores are taken from them anew.
    Rescores,
    /// It is done from the start.
    Runs,
}

/// The earlier runs of an experiment. They are read when something is to run; what is finished needs its own folder only.
pub struct History {
    experiment: String,
    runs: PathBuf,
    pasts: OnceCell<Vec<Past>>,
}

/// A training whose steps are the first ones of a longer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shorter {
    pub folder: PathBuf,
    /// `experiment/digits`
    pub run: String,
    /// The optimizer steps that its checkpoint has taken, and those and the epochs that it was planned for.
    pub step: usize,
    pub steps: usize,
    pub epochs: usize,
}

struct Past {
    folder: PathBuf,
    name: String,
    changed: SystemTime,
    plan: PastPlan,
    result: RunResult,
}

/// What of an earlier plan tells whether its results still hold.
#[derive(Deserialize)]
struct PastPlan {
    hashes: Hashes,
    train: PastTrain,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct PastTrain {
    epochs: usize,
    schedule: Schedule,
}

/// How far a checkpoint is.
#[derive(Clone, Copy, Deserialize)]
struct Reached {
    step: usize,
    steps: usize,
}

impl History {
    /// The runs of an experiment in a folder of runs.
    pub fn read(runs: &Path, experiment: &str) -> Self {
        Self { experiment: experiment.to_owned(), runs: runs.to_path_buf(), pasts: OnceCell::new() }
    }

    /// Those beside a run folder, itself included.
    pub fn around(folder: &Path, experiment: &str) -> Self {
        let runs = folder.parent().and_then(Path::parent).unwrap_or(folder);
        let name = folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        Self::read(runs, name.as_deref().unwrap_or(experiment))
    }

    /// The stages of a plan, in the order in which they run, on that kind of device.
    pub fn stages(&self, experiment: &Experiment, device: &str) -> Vec<Stage> {
        let folder = RunFolder::find(&self.runs, &self.experiment, &experiment.hashes.training);
        let own = folder.and_then(|folder| Past::read(find::Run::at(folder)?));
        let training = self.training(experiment, own.as_ref(), device);
        let trained = own.as_ref().filter(|_| training.state == State::Finished);
        let mut stages = vec![training];
        for eval in &experiment.evals {
            let hash = experiment.hashes.evals.get(&eval.name).cloned().unwrap_or_default();
            let (state, reasons) = self.eval(experiment, &eval.name, &hash, trained, device);
            stages.push(Stage { name: format!("eval {}", eval.name), hash, state, reasons });
        }
        stages
    }

    /// All that can be read; what is damaged or of another version is left out.
    fn pasts(&self) -> &[Past] {
        self.pasts.get_or_init(|| {
            let runs = find::of(&self.runs, &self.experiment);
            runs.into_iter().filter_map(Past::read).collect()
        })
    }

    fn training(&self, experiment: &Experiment, own: Option<&Past>, device: &str) -> Stage {
        let (state, reasons) = self.training_state(experiment, own, device);
        Stage { name: "training".to_owned(), hash: experiment.hashes.training.clone(), state, reasons }
    }

    fn training_state(&self, experiment: &Experiment, own: Option<&Past>, device: &str) -> (State, Vec<String>) {
        if own.is_some_and(|own| own.result.trained(&own.folder, device).is_some()) {
            return (State::Finished, Vec::new());
        }
        if let Some(own) = own {
            let elsewhere = own.result.training.as_ref().filter(|training| training.device != device);
            if let Some(training) = elsewhere {
                return (State::Runs, vec![format!("it was finished on {}, and this is {device}", training.device)]);
            }
            if let Some(Reached { step, steps }) = reached(&own.folder) {
                return (State::Resumes { step, steps }, vec!["it was interrupted".to_owned()]);
            }
        }
        if let Some(Shorter { run, step, .. }) = self.shorter(experiment, device) {
            let reason = format!("its first {step} steps are those of {run}");
            return (State::Continues { run, step }, vec![reason]);
        }
        let mut reasons = match self.nearest(experiment, &experiment.hashes.training) {
            Some(changes) => changes,
            None => vec![NEVER.to_owned()],
        };
        reasons.extend(self.bound_to_length(experiment));
        (State::Runs, reasons)
    }

    /// The longest training that took the first steps of this one.
    pub fn shorter(&self, experiment: &Experiment, device: &str) -> Option<Shorter> {
        let same = self.of_the_same_course(experiment).filter(|past| ran_on(&past.folder, device));
        let shorter = same.filter_map(|past| {
            let Reached { step, steps } = reached(&past.folder)?;
            let all = experiment.train.steps;
            let fits = (1..=all).contains(&step) && past.plan.train.rates_agree(steps, &experiment.train, step);
            let Past { folder, name, plan, .. } = past;
            let shorter =
                || Shorter { folder: folder.clone(), run: name.clone(), step, steps, epochs: plan.train.epochs };
            fits.then(shorter)
        });
        shorter.max_by(|one, other| (one.step, &one.run).cmp(&(other.step, &other.run)))
    }

    fn of_the_same_course<'s>(&'s self, experiment: &'s Experiment) -> impl Iterator<Item = &'s Past> {
        let Hashes { course, training, .. } = &experiment.hashes;
        self.pasts()
            .iter()
            .filter(move |past| past.plan.hashes.course == *course && past.result.training_hash != *training)
    }

    /// Why a training of another length is of no use, where one is there.
    fn bound_to_length(&self, experiment: &Experiment) -> Option<String> {
        self.of_the_same_course(experiment)
            .find(|past| past.plan.train.schedule.shape == experiment.train.schedule.shape)?;
        let Schedule { shape, warmup, .. } = experiment.train.schedule;
        let what = match shape {
            ScheduleShape::Linear => "`schedule = linear`",
            ScheduleShape::Cosine => "`schedule = cosine`",
            ScheduleShape::Constant if warmup > 0 => "a warm-up that is a share of all steps",
            ScheduleShape::Constant => return None,
        };
        Some(format!("from the start, for with {what} the rate of every step depends on the number of steps"))
    }

    /// What differs from the run that is most like this one; `None` where there is none with another training.
    fn nearest(&self, experiment: &Experiment, training: &str) -> Option<Vec<String>> {
        let others = self.pasts().iter().filter(|past| past.result.training_hash != training);
        let changes = others.map(|past| {
            let mut changes = changes(&past.plan.fields, &experiment.fields);
            changes.retain(decides_training);
            (changes, past)
        });
        let newest_first = |past: &Past| std::cmp::Reverse(past.changed);
        let (changes, _) =
            changes.min_by_key(|(changes, past)| (changes.len(), newest_first(past), past.name.clone()))?;
        Some(reasons(&changes))
    }

    fn eval(
        &self,
        experiment: &Experiment,
        name: &str,
        hash: &str,
        trained: Option<&Past>,
        device: &str,
    ) -> (State, Vec<String>) {
        let Some(own) = trained else { return (State::Runs, vec![AFTER_TRAINING.to_owned()]) };
        if own.result.evaluated(&own.folder, name, hash, device).is_some() {
            return (State::Finished, Vec::new());
        }
        let reasons = match own.result.eval(name) {
            Some(record) if record.hash == hash && record.device == device => vec!["its rows are gone".to_owned()],
            Some(record) if record.hash == hash => vec![format!("it was finished on {}", record.device)],
            Some(_) => {
                let mut changes = changes(&own.plan.fields, &experiment.fields);
                let block = format!("eval.{name}.");
                changes.retain(|change| change.path.starts_with(&block) || !change.path.starts_with("eval."));
                changes.retain(|change| !change.path.starts_with("expect"));
                reasons(&changes)
            }
            None => vec![NEVER.to_owned()],
        };
        let wanted = experiment.hashes.outputs.get(name);
        let baseline = experiment.evals.iter().any(|eval| eval.name == name && eval.baseline);
        let is_there = |wanted: &Outputs| {
            let tuned = own.result.all_evals().any(|record| gives(record, device, |known| known.tuned == wanted.tuned));
            tuned && (!baseline || self.untouched(wanted, device).is_some())
        };
        match wanted.is_some_and(is_there) {
            true => (State::Rescores, reasons),
            false => (State::Runs, reasons),
        }
    }

    /// The folder of a run of this experiment in which the untouched model gave these outputs, and the name of the eval.
    pub fn untouched(&self, wanted: &Outputs, device: &str) -> Option<(&Path, &str)> {
        self.pasts().iter().find_map(|past| {
            let same = |known: &Outputs| known.untouched == wanted.untouched;
            let mut evals = past.result.all_evals().filter(|record| record.baseline.is_some());
            let record = evals.find(|record| gives(record, device, same))?;
            Some((past.folder.as_path(), record.name.as_str()))
        })
    }
}

impl Past {
    fn read(run: find::Run) -> Option<Self> {
        let result = read_result(&run.path).filter(|result| result.format == FORMAT)?;
        let plan = serde_json::from_slice(&std::fs::read(run.path.join("plan.json")).ok()?).ok()?;
        Some(Self { name: run.name(), folder: run.path, changed: run.changed, plan, result })
    }
}

impl PastTrain {
    /// Whether the first `taken` steps of this training of `steps` had the rates that `other` gives them. The rate that the schedule
    /// starts from is the same where the courses are.
    fn rates_agree(&self, steps: usize, other: &Train, taken: usize) -> bool {
        let rate = |step| (self.schedule.factor(step, steps), other.schedule.factor(step, other.steps));
        (0..taken).map(rate).all(|(own, other)| own == other)
    }
}

/// Whether an eval was measured from such outputs on that kind of device.
pub fn gives(record: &EvalRecord, device: &str, same: impl FnOnce(&Outputs) -> bool) -> bool {
    record.device == device && record.outputs.as_ref().is_some_and(same)
}

/// How far the checkpoint of a run is, if it has one.
fn reached(folder: &Path) -> Option<Reached> {
    tensor_file::about(&folder.join(CHECKPOINT)).ok()
}

fn ran_on(folder: &Path, device: &str) -> bool {
    let read = || serde_json::from_slice::<Environment>(&std::fs::read(folder.join("env.json")).ok()?).ok();
    read().is_some_and(|environment| environment.device.split(':').next() == Some(device))
}

/// The fields that differ between an earlier plan and this one.
fn changes(before: &[Field], after: &[Field]) -> Vec<FieldChange> {
    let outline = |fields: &[Field]| [Outline { experiment: String::new(), fields: fields.to_vec() }];
    let difference = Difference::of(&outline(before), &outline(after));
    difference.experiments.into_iter().flat_map(|changed| changed.fields).collect()
}

/// Leaves out what evaluations, expectations and means of computing are about, and rows that are not trained on.
fn decides_training(change: &FieldChange) -> bool {
    let path = change.path.as_str();
    let (first, name) = (path.split('.').next().unwrap_or_default(), path.rsplit('.').next().unwrap_or_default());
    let side = change.after.as_ref().or(change.before.as_ref());
    let is_split = first == "data" && side.is_some_and(|field| field.content.is_some());
    !matches!(first, "eval" | "expect") && path != "train.recompute" && (!is_split || name == "train")
}

/// `changed: train.lr 9e-4 → 1e-3 at spec.reft:31`
fn reasons(changes: &[FieldChange]) -> Vec<String> {
    let mut all: Vec<String> = changes.iter().take(REASONS).map(reason).collect();
    match changes.len() {
        0 => all.push("something that no field says has changed: the version of the numerics, or a file".to_owned()),
        count if count > REASONS => all.push(format!("and {} more changes", count - REASONS)),
        _ => {}
    }
    all
}

fn reason(change: &FieldChange) -> String {
    let place = change.after.as_ref().map(Field::set_at).filter(|place| place != "default");
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let path = &change.path;
    let text = |field: &Option<Field>| field.as_ref().map(|field| short(&field.value));
    match (text(&change.before), text(&change.after)) {
        (Some(before), Some(after)) if before == after && change.contents().is_some() => {
            format!("changed: the content of {path}, {after}")
        }
        (Some(before), Some(after)) => format!("changed: {path} {before} → {after}{place}"),
        (None, Some(after)) => format!("added: {path} {after}{place}"),
        (Some(before), None) => format!("removed: {path} {before}"),
        (None, None) => format!("changed: {path}"),
    }
}

/// A value on one line, cut where it is long.
fn short(value: &str) -> String {
    const WIDTH: usize = 40;
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
