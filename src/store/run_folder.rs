//! The folder of one run, `runs/<experiment>/<first digits of the training hash>/`, held by one process at a time.
//!
//! The record of finished stages is `stages.json` while something is left to do and becomes `result.json` when
//! nothing is: a folder without `result.json` is unfinished, and what it has finished is not done again.

use super::atomic::{self, AtomicFile, unwritable};
use super::clock;
use super::environment::Environment;
use super::metrics::MetricsLog;
use super::result::{EvalRecord, FORMAT, RunResult, Timings, TrainingRecord, TrainingTime, eval_path};
use super::stages::CHECKPOINT;
use crate::diag::{Code, Diagnostic, Result, reason};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many digits of the training hash name a folder; more only where two hashes begin alike.
const DIGITS: [usize; 3] = [8, 16, 64];

/// What to do where another process holds the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenLocked {
    /// Give up with `E0502`.
    Refuse,
    /// Go on when the other process has ended.
    Wait,
}

/// A run folder that this process holds. Dropping it lets go of the lock.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    result: RunResult,
    timings: Timings,
    _lock: File,
}

impl RunFolder {
    /// Opens or creates the folder of a training.
    ///
    /// # Errors
    /// `E0501` where it cannot be written, `E0502` where another process holds it, `E0509` where it is of another version.
    pub fn open(runs: &Path, experiment: &str, training_hash: &str, when_locked: WhenLocked) -> Result<Self> {
        for digits in DIGITS {
            let path = runs.join(experiment).join(training_hash.get(..digits).unwrap_or(training_hash));
            let mut folder = Self::hold(path, when_locked)?;
            if folder.result.training_hash.is_empty() {
                folder.result.format = FORMAT;
                folder.result.experiment = experiment.to_owned();
                folder.result.training_hash = training_hash.to_owned();
                folder.save()?;
            }
            if folder.result.training_hash == training_hash {
                return Ok(folder);
            }
        }
        Err(unwritable(&runs.join(experiment).join(training_hash), &ErrorKind::AlreadyExists.into()))
    }

    /// Opens the folder of an earlier run, as [`super::find::run`] finds it.
    ///
    /// # Errors
    /// `E0501` where it cannot be written, `E0502` where another process holds it, `E0509` where it is of another version.
    pub fn reopen(path: &Path, when_locked: WhenLocked) -> Result<Self> {
        Self::hold(path.to_path_buf(), when_locked)
    }

    /// The folder of a training, where it has one.
    pub fn find(runs: &Path, experiment: &str, training_hash: &str) -> Option<PathBuf> {
        let paths =
            DIGITS.map(|digits| runs.join(experiment).join(training_hash.get(..digits).unwrap_or(training_hash)));
        paths.into_iter().find(|path| read_result(path).is_some_and(|result| result.training_hash == training_hash))
    }

    fn hold(path: PathBuf, when_locked: WhenLocked) -> Result<Self> {
        atomic::create_folder(&path)?;
        let lock = hold_lock(&path, when_locked)?;
        atomic::clear_leftovers(&path);
        let result = recorded(&path)?;
        if let Some(format) = result.as_ref().map(|result| result.format).filter(|format| *format != FORMAT) {
            return Err(of_another_version(&path, format));
        }
        let timings = read_timings(&path);
        Ok(Self { result: result.unwrap_or_default(), path, timings, _lock: lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The finished stages so far.
    pub fn result(&self) -> &RunResult {
        &self.result
    }

    /// How long they took.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Whether every stage of the spec that last ran here is done.
    pub fn is_finished(&self) -> bool {
        self.path.join("result.json").is_file()
    }

    /// The folder for checkpoints of the training; it may not be there yet.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// What the training goes on from; it may not be there yet.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// The folder for the interventions that were measured best so far; it may not be there.
    pub fn best(&self) -> PathBuf {
        self.checkpoints().join("best")
    }

    /// The folder for the trained intervention; it may not be there yet.
    pub fn intervention(&self) -> PathBuf {
        self.path.join("intervention")
    }

    /// Writes `spec.reft` and `plan.json`.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn describe(&self, spec: &str, plan: &str) -> Result<()> {
        atomic::write(&self.path.join("spec.reft"), spec.as_bytes())?;
        atomic::write(&self.path.join("plan.json"), plan.as_bytes())
    }

    /// Writes `env.json`, before stages are run.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn record_environment(&self, environment: &Environment) -> Result<()> {
        write_json(&self.path.join("env.json"), environment)
    }

    /// The finished training, if it ran on that kind of device and its intervention is still there.
    pub fn trained(&self, device: &str) -> Option<&TrainingRecord> {
        self.result.trained(&self.path, device)
    }

    /// The finished eval of that name and stage hash, if it ran on that kind of device and its rows are still there.
    pub fn evaluated(&self, name: &str, hash: &str, device: &str) -> Option<&EvalRecord> {
        self.result.evaluated(&self.path, name, hash, device)
    }

    /// Forgets the training and all that was made from it, before it is done anew.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn discard_training(&mut self) -> Result<()> {
        let RunResult { format, experiment, training_hash, .. } = std::mem::take(&mut self.result);
        self.result = RunResult { format, experiment, training_hash, ..RunResult::default() };
        self.save()?;
        for folder in [self.checkpoints(), self.intervention(), self.path.join("eval")] {
            match std::fs::remove_dir_all(&folder) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(unwritable(&folder, &cause)),
                _ => {}
            }
        }
        Ok(())
    }

    /// `metrics.jsonl`, for a training that has done `steps` optimizer steps; what lies beyond them is cut off.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn metrics(&self, steps: usize) -> Result<MetricsLog> {
        MetricsLog::open(&self.path.join("metrics.jsonl"), steps)
    }

    /// Begins `eval/<name>.jsonl`, which gets its name when it is finished.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn eval_rows(&self, name: &str) -> Result<AtomicFile> {
        atomic::create_folder(&self.path.join("eval"))?;
        AtomicFile::create(&eval_path(&self.path, name))
    }

    /// Records that the training is finished and its intervention saved. Evals of an earlier training are forgotten.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn record_training(&mut self, record: TrainingRecord, time: TrainingTime) -> Result<()> {
        self.timings = Timings { training: Some(time), evals: BTreeMap::new() };
        write_json(&self.path.join("timings.json"), &self.timings)?;
        self.result.training = Some(record);
        self.result.evals.clear();
        self.result.earlier.clear();
        self.save()
    }

    /// Records that an eval is finished and its rows written, after so many seconds of work.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn record_eval(&mut self, record: EvalRecord, seconds: f64) -> Result<()> {
        self.timings.evals.insert(record.name.clone(), seconds);
        write_json(&self.path.join("timings.json"), &self.timings)?;
        self.result.put_eval(record);
        self.save()
    }

    /// Forgets an eval before its rows are replaced.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn forget_eval(&mut self, name: &str) -> Result<()> {
        if self.result.eval(name).is_none() {
            return Ok(());
        }
        self.result.evals.retain(|eval| eval.name != name);
        self.result.earlier.retain(|eval| eval.name != name);
        self.save()
    }

    /// Writes `result.json`: all is done that a spec with evals of these names, in this order, asks for.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn finish(&mut self, evals: &[&str]) -> Result<()> {
        let before = self.result.clone();
        self.result.arrange(evals);
        if self.is_finished() && self.result == before {
            return Ok(());
        }
        self.save()?;
        let (stages, result) = (self.path.join("stages.json"), self.path.join("result.json"));
        std::fs::rename(stages, &result).map_err(|cause| unwritable(&result, &cause))
    }

    /// Adds a line to `log.txt`, after the time of day. A log that cannot be written does not stop a run.
    pub fn log(&self, line: &str) {
        if let Ok(mut file) = File::options().create(true).append(true).open(self.path.join("log.txt")) {
            let _ = file.write_all(format!("{} {line}\n", clock::utc(SystemTime::now())).as_bytes());
        }
    }

    /// Writes the record as that of an unfinished run.
    fn save(&self) -> Result<()> {
        let (stages, result) = (self.path.join("stages.json"), self.path.join("result.json"));
        if result.is_file() {
            std::fs::rename(&result, &stages).map_err(|cause| unwritable(&result, &cause))?;
        }
        write_json(&stages, &self.result)
    }
}

/// The record of a run folder, finished or not; `None` where there is none that can be read.
pub fn read_result(path: &Path) -> Option<RunResult> {
    recorded(path).ok().flatten()
}

/// As [`read_result`], but one that is damaged is an error: what it recorded must not be done again unasked.
fn recorded(path: &Path) -> Result<Option<RunResult>> {
    Ok(read_record(&path.join("stages.json"))?.or(read_record(&path.join("result.json"))?))
}

/// What a JSON file of a run folder says; `None` where it is not there.
///
/// # Errors
/// E0512 where it cannot be read.
pub fn read_record<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let damaged = |problem: &str| {
        let message = format!("the record `{}` {problem}", path.display());
        let help = format!("restore it from a copy, or delete it and run the spec again: `rm {}`", path.display());
        Box::new(Diagnostic::new(Code::RecordDamaged, message).in_file(path, None).help(help))
    };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| damaged(&format!("is damaged, or of another version of reftc: {error}"))),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(damaged(&format!("cannot be read: {}", reason(&cause)))),
    }
}

/// How long the stages of a run took; nothing where that is not recorded.
pub fn read_timings(path: &Path) -> Timings {
    let text = std::fs::read(path.join("timings.json")).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn of_another_version(folder: &Path, format: u32) -> Box<Diagnostic> {
    let whose = if format < FORMAT { "an older" } else { "a newer" };
    let message = format!("the run folder {} was written by {whose} reftc", folder.display());
    let note = format!("it is of version {format}, and this reftc writes version {FORMAT}");
    let help = match format < FORMAT {
        true => "move the folder away or delete it, and run again: its stages are then done anew",
        false => "update reftc, or name another folder with `--runs FOLDER`",
    };
    Box::new(Diagnostic::new(Code::RunFormat, message).in_file(folder, None).note(note).help(help))
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|cause| unwritable(path, &cause.into()))?;
    atomic::write(path, format!("{text}\n").as_bytes())
}

/// Takes the lock of a run folder; the file names the process that holds it.
pub(crate) fn hold_lock(folder: &Path, when_locked: WhenLocked) -> Result<File> {
    let path = folder.join(".lock");
    let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = open.map_err(|cause| unwritable(&path, &cause))?;
    let taken = match file.try_lock() {
        Err(TryLockError::WouldBlock) if when_locked == WhenLocked::Wait => file.lock(),
        Err(TryLockError::WouldBlock) => return Err(locked(folder, &mut file)),
        Err(TryLockError::Error(cause)) => Err(cause),
        Ok(()) => Ok(()),
    };
    let named = taken.and_then(|()| file.set_len(0)).and_then(|()| file.rewind());
    let named = named.and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map(|()| file).map_err(|cause| {
        let message = format!("cannot lock {}: {}", folder.display(), reason(&cause));
        let help = "put the runs on a local disk with `--runs FOLDER`: some network disks cannot lock files";
        Box::new(Diagnostic::new(Code::RunUnwritable, message).in_file(path, None).help(help))
    })
}

fn locked(folder: &Path, file: &mut File) -> Box<Diagnostic> {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => "another process".to_owned(),
        process => format!("process {process}"),
    };
    let message = format!("{holder} is working on the run {}", folder.display());
    let help = "wait until it has ended and run again: what it has finished is not done twice";
    Box::new(Diagnostic::new(Code::RunLocked, message).in_file(folder, None).help(help))
}
