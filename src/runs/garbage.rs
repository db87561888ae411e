//! `reftc runs gc`: which runs nobody needs, and how a folder is removed so that it is never half there.

use super::record::{Record, State};
use crate::diag::Result;
use crate::store::atomic::unwritable;
use crate::store::run_folder::{WhenLocked, hold_lock};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// What specs say about the runs that they mean.
#[derive(Clone, Debug, Default)]
pub struct Denoted {
    /// Training hashes, each with a spec that denotes it.
    pub hashes: BTreeMap<String, PathBuf>,
    /// Experiments whose hashes are not known, as their spec does not compile or its weights are not at hand.
    pub experiments: BTreeMap<String, PathBuf>,
    /// Specs that cannot be read, so that nothing is known of their experiments.
    pub unreadable: Vec<PathBuf>,
}

/// What else is kept.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub now: SystemTime,
    /// Younger runs are kept.
    pub older_than: Option<Duration>,
    /// So many of the newest runs of each experiment are kept.
    pub keep: usize,
}

/// A run, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    pub name: String,
    pub folder: PathBuf,
    pub state: State,
    pub bytes: u64,
    /// When any of its files was last written.
    #[serde(skip)]
    pub changed: SystemTime,
    pub remove: bool,
    pub why: String,
}

/// Decides about each run, the newest first. The last finished run of a denoted hash always stays.
pub fn judge(records: &[Record], denoted: &Denoted, rules: Rules) -> Vec<Judged> {
    let mut last: BTreeSet<&Path> = BTreeSet::new();
    for hash in denoted.hashes.keys() {
        let of_hash = || records.iter().filter(|record| is_of(record, hash));
        let finished = of_hash().find(|record| record.state == State::Finished);
        last.extend(finished.or_else(|| of_hash().next()).map(|record| record.run.path.as_path()));
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let judged = records.iter().map(|record| {
        let rank = seen.entry(record.run.experiment.as_str()).or_default();
        *rank += 1;
        let (bytes, changed) = extent(record);
        let kept = reason_to_keep(record, &last, denoted).or_else(|| {
            let age = rules.now.duration_since(changed).unwrap_or_default();
            if record.state != State::Finished && age < DAY {
                return Some(format!("{}, and younger than a day", record.state.name()));
            }
            if *rank <= rules.keep {
                return Some(format!("among the {} newest of its experiment", rules.keep));
            }
            rules.older_than.filter(|limit| age < *limit).map(|_| "too young".to_owned())
        });
        let kept = kept.or_else(|| hold_lock(&record.run.path, WhenLocked::Refuse).err().map(|held| held.message));
        let remove = kept.is_none();
        let why = kept.unwrap_or_else(|| match denoted.hashes.keys().any(|hash| is_of(record, hash)) {
            true => "there is a newer run of the same training".to_owned(),
            false => "no spec denotes it".to_owned(),
        });
        let (name, folder, state) = (record.name(), record.run.path.clone(), record.state.clone());
        Judged { name, folder, state, bytes, changed, remove, why }
    });
    judged.collect()
}

/// What specs say for a run.
fn reason_to_keep(record: &Record, last: &BTreeSet<&Path>, denoted: &Denoted) -> Option<String> {
    if let Some(spec) = denoted.unreadable.first() {
        return Some(format!("{} cannot be read, and may denote it", spec.display()));
    }
    if let Some(spec) = denoted.experiments.get(&record.run.experiment) {
        return Some(format!("{} may denote it", spec.display()));
    }
    let spec = denoted.hashes.iter().find(|(hash, _)| is_of(record, hash)).map(|(_, spec)| spec)?;
    last.contains(record.run.path.as_path()).then(|| format!("{} denotes it", spec.display()))
}

/// Whether a run is of that training; where its record is damaged, by the name of its folder.
fn is_of(record: &Record, hash: &str) -> bool {
    let recorded = [&record.result.training_hash, &record.plan.hashes.training];
    match recorded.into_iter().find(|recorded| !recorded.is_empty()) {
        Some(recorded) => recorded == hash,
        None => hash.starts_with(&record.run.digits),
    }
}

/// The bytes of a run folder, and when any of its files was last written.
fn extent(record: &Record) -> (u64, SystemTime) {
    let files = super::show::files(&record.run.path);
    let written = |file: &super::show::StoredFile| {
        // The lock is touched by whoever looks whether it is held.
        let is_lock = file.path == Path::new(".lock");
        let data = record.run.path.join(&file.path).metadata().ok().filter(|_| !is_lock);
        data.and_then(|data| data.modified().ok())
    };
    let changed = files.iter().filter_map(written).chain([record.run.changed]).max();
    (files.iter().map(|file| file.bytes).sum(), changed.unwrap_or(record.run.changed))
}

/// What processes that were killed have left under a folder of runs: hidden files and folders that end in `.tmp` and were not written
/// for a day. Sorted.
pub fn leftovers(runs: &Path, now: SystemTime) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![runs.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let age = data.modified().ok().and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
            if name.starts_with('.') && name.ends_with(".tmp") {
                found.extend((age >= DAY).then(|| entry.path()));
            } else if data.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Removes a run: first its folder gets a hidden name, so that it is there as a whole or not at all.
///
/// # Errors
/// `E0502` where a process holds it, `E0501` where it cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    let lock = hold_lock(folder, WhenLocked::Refuse)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hidden = folder.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    std::fs::rename(folder, &hidden).map_err(|cause| unwritable(folder, &cause))?;
    delete(&hidden)?;
    drop(lock);
    // The folder of the experiment goes with its last run; where it is not empty this does nothing.
    let _ = folder.parent().map(std::fs::remove_dir);
    Ok(())
}

/// Removes what a killed process has left, unless a process works on the run that it lies in.
///
/// # Errors
/// `E0502` where a process holds the run, `E0501` where it cannot be removed.
pub fn remove_leftover(path: &Path) -> Result<()> {
    let is_run = |folder: &&Path| folder.join("stages.json").is_file() || folder.join("result.json").is_file();
    let run = path.parent().and_then(|parent| parent.ancestors().find(is_run));
    let _lock = run.map(|run| hold_lock(run, WhenLocked::Refuse)).transpose()?;
    delete(path)
}

fn delete(path: &Path) -> Result<()> {
    let done = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match done {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(unwritable(path, &cause)),
        _ => Ok(()),
    }
}
