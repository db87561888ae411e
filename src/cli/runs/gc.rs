//! `reftc runs gc`: removes runs that no spec denotes.

use crate::cli::args::GcArgs;
use crate::cli::output::Output;
use crate::compile::compile;
use crate::digest;
use crate::plan::Means;
use crate::report::table::{Align, Table};
use crate::report::units;
use crate::runs::garbage::{Denoted, Judged, Rules, judge, leftovers, remove, remove_leftover};
use crate::runs::record::Record;
use crate::store::clock;
use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    runs: &'a [Judged],
    leftovers: &'a [PathBuf],
    removed: bool,
    failed: Vec<String>,
}

/// Shows what would be removed, and removes it after `--yes` or a yes; 3 where something could not be removed.
pub fn gc(arguments: &GcArgs, world: &dyn World, output: &Output) -> ExitCode {
    let denoted = denoted(&arguments.spec, &arguments.runs, world, output);
    let rules = Rules { now: SystemTime::now(), older_than: arguments.older_than, keep: arguments.keep };
    let judged = judge(&Record::all(&arguments.runs), &denoted, rules);
    let leftovers = leftovers(&arguments.runs, rules.now);
    let doomed: Vec<&Judged> = judged.iter().filter(|run| run.remove).collect();
    let is_empty = doomed.is_empty() && leftovers.is_empty();
    if !arguments.json {
        show(&judged, &doomed, &leftovers, output);
    }
    let question = format!("remove {}?", amount(&doomed, &leftovers));
    let is_meant = !is_empty && (arguments.yes || (!arguments.json && output.ask(&question).unwrap_or(false)));
    let mut failed = Vec::new();
    if is_meant {
        let runs = doomed.iter().map(|run| remove(&run.folder));
        let results: Vec<_> = runs.chain(leftovers.iter().map(|path| remove_leftover(path))).collect();
        for diagnostic in results.into_iter().filter_map(Result::err) {
            output.failure(&diagnostic, &Default::default());
            failed.push(diagnostic.message);
        }
    }
    let code = if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) };
    if arguments.json {
        let report = Report { runs: &judged, leftovers: &leftovers, removed: is_meant, failed };
        output.data(&format!("{}\n", digest::json(&report)));
    } else if is_meant && failed.is_empty() {
        output.note(&format!("removed {}", amount(&doomed, &leftovers)));
    } else if !is_meant && !is_empty {
        output.note("nothing was removed; `--yes` removes it");
    }
    code
}

/// `3 runs (1.2 MiB) and 1 file of a killed process`
fn amount(doomed: &[&Judged], leftovers: &[PathBuf]) -> String {
    let bytes: u64 = doomed.iter().map(|run| run.bytes).sum();
    let runs = format!("{} ({})", units::counted(doomed.len(), "run"), units::bytes(bytes));
    match leftovers.len() {
        0 => runs,
        count => format!("{runs} and {} of killed processes", units::counted(count, "file")),
    }
}

fn show(judged: &[Judged], doomed: &[&Judged], leftovers: &[PathBuf], output: &Output) {
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    judged.iter().filter(|run| !run.remove).for_each(|run| *kept.entry(run.why.as_str()).or_default() += 1);
    for (why, count) in kept {
        output.note(&format!("kept {}: {why}", units::counted(count, "run")));
    }
    if doomed.is_empty() && leftovers.is_empty() {
        return output.note("nothing to remove");
    }
    let columns =
        [("to remove", Align::Left), ("size", Align::Right), ("last written", Align::Left), ("why", Align::Left)];
    let mut table = Table::new(&columns);
    for run in doomed {
        let time = clock::utc(run.changed);
        let time = time.get(..16).unwrap_or(&time).replace('T', " ");
        table.push([run.name.clone(), units::bytes(run.bytes), time, run.why.clone()]);
    }
    for path in leftovers {
        let size = path.metadata().map_or(0, |data| data.len());
        let why = "left by a process that was killed".to_owned();
        table.push([path.display().to_string(), units::bytes(size), String::new(), why]);
    }
    output.data(&table.text(output.style()));
}

/// What the specs under a folder denote. A spec that does not compile is told, and protects its experiments by their names.
fn denoted(folder: &Path, runs: &Path, world: &dyn World, output: &Output) -> Denoted {
    let mut denoted = Denoted::default();
    for spec in specs(folder, runs) {
        let Ok(text) = std::fs::read_to_string(&spec) else {
            output.note(&format!("{} cannot be read: no run is removed", spec.display()));
            denoted.unreadable.push(spec);
            continue;
        };
        let compiled = compile(&spec, &[], world);
        if compiled.has_errors() {
            let names = experiments(&text);
            if !names.is_empty() {
                let list = names.join("`, `");
                output.note(&format!("{} does not compile: all runs of `{list}` are kept", spec.display()));
            }
            denoted.experiments.extend(names.into_iter().map(|name| (name, spec.clone())));
            continue;
        }
        for experiment in compiled.plan(Means::default()).experiments {
            if experiment.hashes.provisional {
                output.note(&format!(
                    "{}: the weights of `{}` are not at hand: all its runs are kept",
                    spec.display(),
                    experiment.name
                ));
                denoted.experiments.insert(experiment.name, spec.clone());
            } else {
                denoted.hashes.entry(experiment.hashes.training).or_insert_with(|| spec.clone());
            }
        }
    }
    denoted
}

/// Every word that stands behind `experiment` in a text: at least the names of its experiments, however broken it is.
fn experiments(text: &str) -> Vec<String> {
    let words: Vec<&str> = text
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-')
        .filter(|word| !word.is_empty())
        .collect();
    let mut names: Vec<String> =
        words.windows(2).filter(|pair| pair[0] == "experiment").map(|pair| pair[1].to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Every spec under a folder, sorted; hidden folders, links and runs aside, which hold copies of specs.
fn specs(folder: &Path, runs: &Path) -> Vec<PathBuf> {
    let runs = runs.canonicalize().ok();
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let is_runs = runs.is_some() && folder.canonicalize().ok() == runs;
        let is_run = folder.join("plan.json").is_file() && folder.join("spec.reft").is_file();
        if is_runs || is_run {
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, hidden) = (entry.path(), entry.file_name().to_string_lossy().starts_with('.'));
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !hidden => folders.push(path),
                Ok(kind) if !kind.is_dir() && path.extension().is_some_and(|own| own == "reft") => found.push(path),
                _ => {}
            }
        }
    }
    let tidy = |path: PathBuf| path.strip_prefix(".").map_or(path.clone(), Path::to_path_buf);
    let mut found: Vec<PathBuf> = found.into_iter().map(tidy).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_broken_specs() {
        let text = "experiment one {{{ \n experiment\ntwo extends one {\n// an experiment three\nexperimental four";
        assert_eq!(experiments(text), ["one", "three", "two"]);
    }
}
