//! Finding runs: by folder, by `experiment/digits`, by experiment.

use super::run_folder::read_result;
use crate::diag::suggest::{did_you_mean, list};
use crate::diag::{Code, Diagnostic, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One run folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub experiment: String,
    /// The digits of the training hash that name the folder.
    pub digits: String,
    pub path: PathBuf,
    /// Whether it has a `result.json`.
    pub finished: bool,
    /// When a stage was last finished, or the run begun.
    pub changed: SystemTime,
}

impl Run {
    /// The run in that folder, if it is a run folder.
    pub fn at(path: PathBuf) -> Option<Self> {
        let record = ["stages.json", "result.json"].into_iter().find_map(|name| path.join(name).metadata().ok())?;
        let name = |path: Option<&Path>| path?.file_name().map(|name| name.to_string_lossy().into_owned());
        let digits = name(Some(&path))?;
        let recorded = || read_result(&path).map(|result| result.experiment).filter(|name| !name.is_empty());
        Some(Self {
            // The folder's name first: it is what the user sees, also after a move.
            experiment: name(path.parent()).or_else(recorded)?,
            digits,
            finished: path.join("result.json").is_file(),
            changed: record.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            path,
        })
    }

    /// `experiment/digits`
    pub fn name(&self) -> String {
        format!("{}/{}", self.experiment, self.digits)
    }
}

/// Every run under `runs`, sorted by experiment and digits.
pub fn all(runs: &Path) -> Vec<Run> {
    let mut found: Vec<Run> = folders(runs).iter().flat_map(|folder| inside(folder)).collect();
    found.sort_by_key(Run::name);
    found
}

/// The runs of one experiment, sorted by digits.
pub fn of(runs: &Path, experiment: &str) -> Vec<Run> {
    let mut found = inside(&runs.join(experiment));
    found.sort_by_key(Run::name);
    found
}

/// The run that a command line means: a run folder, a folder of runs (the newest), `experiment/digits` or `digits`
/// (the first few will do), or an experiment (the newest).
///
/// # Errors
/// `E0504`, with near misses.
pub fn run(runs: &Path, wanted: &str) -> Result<Run> {
    let found = several(runs, wanted)?;
    newest(found).ok_or_else(|| not_found(runs, wanted, &all(runs)))
}

/// As [`fn@run`], but a folder of runs or an experiment stands for all of them. Never empty.
///
/// # Errors
/// `E0504`, with near misses.
pub fn several(runs: &Path, wanted: &str) -> Result<Vec<Run>> {
    let path = Path::new(wanted);
    if let Some(run) = absolute(path).and_then(Run::at) {
        return Ok(vec![run]);
    }
    let mut inside = inside(path);
    if !inside.is_empty() {
        inside.sort_by_key(Run::name);
        return Ok(inside);
    }
    let all = all(runs);
    let wanted = wanted.trim_end_matches('/');
    let (experiment, digits) = wanted.rsplit_once('/').unwrap_or(("", wanted));
    let of_experiment: Vec<Run> = all.iter().filter(|run| run.experiment == wanted).cloned().collect();
    if !of_experiment.is_empty() {
        return Ok(of_experiment);
    }
    let is_meant = |run: &&Run| (experiment.is_empty() || run.experiment == experiment) && begins(&run.digits, digits);
    match all.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
        [run] => Ok(vec![(*run).clone()]),
        [] => Err(not_found(runs, wanted, &all)),
        several => {
            let names: Vec<String> = several.iter().map(|run| run.name()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("`{wanted}` fits {} runs", several.len());
            Err(Box::new(Diagnostic::new(Code::RunNotFound, message).help(format!("write {}", list(&names)))))
        }
    }
}

fn not_found(runs: &Path, wanted: &str, all: &[Run]) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::new(Code::RunNotFound, format!("there is no run `{wanted}`"));
    if Path::new(wanted).is_dir() {
        diagnostic.note = Some(format!("the folder {wanted} is there, but neither a run nor a folder of runs"));
    }
    let mut names: Vec<String> = all.iter().flat_map(|run| [run.experiment.clone(), run.name()]).collect();
    names.sort();
    names.dedup();
    let near = did_you_mean(wanted, names.iter().map(String::as_str));
    Box::new(diagnostic.help(near.unwrap_or_else(|| {
        format!("{} has no runs: make one with `reftc run SPEC`, or name its folder", runs.display())
    })))
}

/// At least four digits, so that a short word is not taken for the beginning of a hash.
fn begins(digits: &str, wanted: &str) -> bool {
    wanted.len() >= 4 && (digits.starts_with(wanted) || wanted.starts_with(digits))
}

fn newest(runs: Vec<Run>) -> Option<Run> {
    runs.into_iter().max_by(|a, b| (a.changed, &a.digits).cmp(&(b.changed, &b.digits)))
}

fn inside(folder: &Path) -> Vec<Run> {
    folders(folder).into_iter().filter_map(Run::at).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // A hidden folder is one that is being removed.
    let shown = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    shown.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// `.` and `..` have no name of their own.
fn absolute(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}
