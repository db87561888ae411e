//! `reftc report`, and the reports that `reftc run` leaves in its run folders.

use super::args::{ReportArgs, RunArgs};
use super::output::Output;
use super::session::{interruptible, on_interrupt};
use crate::diag::{Diagnostic, Result};
use crate::execute::event::Event;
use crate::execute::experiment::Outcome;
use crate::plan::Experiment;
use crate::report::html::{self, Live};
use crate::report::tensorboard::{self, Follower};
use crate::store::cache::Cache;
use crate::store::find::{self, Run};
use crate::store::run_folder::RunFolder;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

const PAGE: &str = "report.html";
/// The time between two looks of `--watch`. They are not events of the system: the folder of a sweep's next point is none of the
/// files that could be watched, and runs may lie on a network disk.
const LOOK: Duration = Duration::from_millis(500);

/// Writes the report of a run, or of all runs of an experiment, and prints its path.
pub fn report(arguments: &ReportArgs, output: &Output) -> ExitCode {
    let found = find::several(&arguments.runs, &arguments.run);
    let written = found.and_then(|runs| match &arguments.tensorboard {
        Some(folder) => event_files(&runs, folder),
        None => page(&runs, arguments, output),
    });
    match written {
        Ok(paths) => {
            paths.iter().for_each(|path| output.data(&format!("{}\n", path.display())));
            ExitCode::SUCCESS
        }
        Err(diagnostic) => {
            output.failure(&diagnostic, &Default::default());
            ExitCode::from(3)
        }
    }
}

/// The event files of one run, or those of each of several in a folder of its own.
fn event_files(runs: &[Run], folder: &Path) -> Result<Vec<PathBuf>> {
    let place = |run: &Run| if runs.len() > 1 { folder.join(&run.digits) } else { folder.to_path_buf() };
    runs.iter().map(|run| tensorboard::write(&run.path, &place(run))).collect()
}

fn page(runs: &[Run], arguments: &ReportArgs, output: &Output) -> Result<Vec<PathBuf>> {
    let cache = Cache::from_env();
    let target = arguments.out.clone().unwrap_or_else(|| place(runs));
    if arguments.watch {
        watch(runs, arguments, &target, &cache, output)?;
    }
    let folders = folders(&find::several(&arguments.runs, &arguments.run)?);
    html::write(&folders, &target, Live::No, &cache)?;
    if arguments.out.is_none() && folders.len() > 1 {
        // The page over all leads to those of its runs.
        for folder in &folders {
            html::write(std::slice::from_ref(folder), &folder.join(PAGE), Live::No, &cache)?;
        }
    }
    Ok(vec![target])
}

/// Writes the page whenever a file of its runs has changed, until Ctrl-C.
fn watch(runs: &[Run], arguments: &ReportArgs, target: &Path, cache: &Cache, output: &Output) -> Result<()> {
    on_interrupt(*output);
    // Between two points of a sweep all runs are finished, and yet there is more to come.
    let live = if runs.len() > 1 { Live::Always } else { Live::Unfinished };
    output.note(&format!("writing {} whenever the run changes; Ctrl-C ends it", target.display()));
    let mut before = None;
    interruptible(|interrupt| {
        while !interrupt.load(Ordering::Relaxed) {
            let folders = folders(&find::several(&arguments.runs, &arguments.run)?);
            let now = html::inputs(&folders).into_iter().map(|path| (stamp(&path), path)).collect::<Vec<_>>();
            if before.as_ref() != Some(&now) {
                html::write(&folders, target, live, cache)?;
                before = Some(now);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    })
}

/// What tells that a file has changed.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn folders(runs: &[Run]) -> Vec<PathBuf> {
    runs.iter().map(|run| run.path.clone()).collect()
}

/// In the folder of the one run, or in the folder of all.
fn place(runs: &[Run]) -> PathBuf {
    match runs {
        [run] => run.path.join(PAGE),
        _ => runs.first().and_then(|run| run.path.parent()).unwrap_or(Path::new(".")).join(PAGE),
    }
}

/// Brings the page of a run up to date. A page that cannot be written is told, and harms no result.
pub fn refresh(folder: &Path, output: &Output) {
    let written = html::write(&[folder.to_path_buf()], &folder.join(PAGE), Live::No, &Cache::from_env());
    if let Err(diagnostic) = written {
        output.findings(&[*diagnostic], &Default::default());
    }
}

/// What `reftc run` writes beside the results of one experiment: its report, and event files if they are asked for. Whatever goes
/// wrong with them is shown and harms no run.
pub struct Extras<'a> {
    runs: &'a Path,
    experiment: &'a Experiment,
    tensorboard: bool,
    follower: Option<Follower>,
    failure: Option<Box<Diagnostic>>,
}

impl<'a> Extras<'a> {
    /// Of an experiment that is about to run.
    pub fn new(arguments: &'a RunArgs, experiment: &'a Experiment) -> Self {
        let RunArgs { runs, tensorboard, .. } = arguments;
        Self { runs, experiment, tensorboard: *tensorboard, follower: None, failure: None }
    }

    /// Takes in what happens, after it was written to `metrics.jsonl`.
    pub fn take(&mut self, event: &Event) {
        if !self.tensorboard {
            return;
        }
        let done = match (event, &mut self.follower) {
            (Event::TrainingStarted { .. }, _) => {
                let Experiment { name, hashes, .. } = self.experiment;
                let folder = RunFolder::find(self.runs, name, &hashes.training);
                folder.map_or(Ok(()), |folder| Follower::begin(&folder).map(|follower| self.follower = Some(follower)))
            }
            (Event::StepDone(_) | Event::EvalDone { .. }, Some(follower)) => follower.follow(),
            _ => Ok(()),
        };
        if let Err(diagnostic) = done {
            self.follower = None;
            self.failure.get_or_insert(diagnostic);
        }
    }

    /// Writes what is due at the end of a run, and the report over all points after the last one of a sweep. Gives the pages that are new.
    pub fn end(mut self, outcome: &Outcome, is_last: bool, output: &Output) -> Vec<PathBuf> {
        let events = self.event_file(outcome);
        let cache = Cache::from_env();
        let mut pages = Vec::new();
        let mut page = |folders: &[PathBuf], path: &Path| -> Result<()> {
            if html::write(folders, path, Live::No, &cache)? {
                pages.push(path.to_path_buf());
            }
            Ok(())
        };
        let own = page(std::slice::from_ref(&outcome.folder), &outcome.folder.join(PAGE));
        let over_all = match self.experiment.point.is_empty() || !(is_last || outcome.interrupted) {
            true => Ok(()),
            false => {
                let folder = self.runs.join(&self.experiment.name);
                let several = find::several(self.runs, &folder.to_string_lossy());
                several.and_then(|runs| page(&folders(&runs), &folder.join(PAGE)))
            }
        };
        let failures = [events, own, over_all].into_iter().filter_map(Result::err).chain(self.failure);
        let failures: Vec<Diagnostic> = failures.map(|failure| *failure).collect();
        if !failures.is_empty() {
            output.findings(&failures, &Default::default());
        }
        pages
    }

    /// The scores after the training; of a run that was trained earlier all there is.
    fn event_file(&mut self, outcome: &Outcome) -> Result<()> {
        let folder = outcome.folder.join("tensorboard");
        match self.follower.take() {
            _ if !self.tensorboard => Ok(()),
            Some(follower) if !outcome.interrupted => follower.finish(),
            Some(_) => Ok(()),
            None if outcome.interrupted || (outcome.up_to_date && folder.is_dir()) => Ok(()),
            None => tensorboard::write(&outcome.folder, &folder).map(|_| ()),
        }
    }
}
