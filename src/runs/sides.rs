//! What `reftc compare` compares: runs, and runs that differ by their seed alone.

use super::listing::by_seed;
use super::record::Record;
use crate::diag::{Code, Diagnostic, Result};
use crate::store::find;
use std::path::Path;

/// One side of a comparison. Never empty.
#[derive(Clone, Debug)]
pub struct Side {
    /// `small/136fda95`, or `small (3 seeds)`.
    pub label: String,
    /// In the order of their seeds.
    pub members: Vec<Record>,
    /// Runs of the experiment that were left out, as they differ by more than the seed.
    pub others: usize,
}

impl Side {
    /// The sides that some words mean: runs; with `seeds` each with those that differ from it by the seed alone; and experiments with all
    /// seeds of their newest setting.
    ///
    /// # Errors
    /// `E0504` where there is no such run, `E0517` where two words mean the same.
    pub fn find(runs: &Path, words: &[String], seeds: bool) -> Result<Vec<Self>> {
        let mut sides: Vec<Self> = Vec::new();
        for word in words {
            let side = Self::of(runs, word, seeds)?;
            if let Some(twin) = sides.iter().find(|other| other.shares_a_run(&side)) {
                let message = format!("`{word}` means {}, which is compared already", twin.label);
                let help = "name two runs, or two experiments; a sweep's settings are told apart by naming a run of each, with `--seeds`";
                return Err(Box::new(Diagnostic::new(Code::NothingToCompare, message).help(help)));
            }
            sides.push(side);
        }
        Ok(sides)
    }

    fn of(runs: &Path, word: &str, seeds: bool) -> Result<Self> {
        let found = find::several(runs, word)?;
        let named = found.len() == 1 && found.first().is_some_and(|run| run.experiment != word.trim_end_matches('/'));
        if named && !seeds {
            let members: Vec<Record> = found.into_iter().map(Record::read).collect();
            let label = members.first().map(Record::name).unwrap_or_default();
            return Ok(Self { label, members, others: 0 });
        }
        let beside = match found.first().filter(|_| named) {
            Some(run) => find::several(
                run.path.parent().unwrap_or(runs),
                &run.path.parent().unwrap_or(runs).display().to_string(),
            )?,
            None => found.clone(),
        };
        let mut all: Vec<Record> = beside.into_iter().map(Record::read).collect();
        all.sort_by(|a, b| (b.run.changed, a.name()).cmp(&(a.run.changed, b.name())));
        // What has measured something is meant before what is still on its way.
        let measured = |record: &Record| record.evals().next().is_some();
        if all.iter().any(measured) && !named {
            all.retain(measured);
        }
        let wanted = |record: &&Record| !named || found.first().is_some_and(|run| run.digits == record.run.digits);
        let groups = by_seed(&all.iter().collect::<Vec<_>>());
        let group = groups.into_iter().find(|group| group.iter().any(wanted)).unwrap_or_default();
        let mut members: Vec<Record> = group.into_iter().cloned().collect();
        members.sort_by_key(|record| record.plan.seed);
        let others = if named { 0 } else { all.len() - members.len() };
        let label = match members.as_slice() {
            [only] => only.name(),
            several => {
                let name = several.first().map(|record| record.run.experiment.clone()).unwrap_or_default();
                let digits = found.first().filter(|_| named).map(|run| format!("/{}", run.digits)).unwrap_or_default();
                format!("{name}{digits} ({} seeds)", several.len())
            }
        };
        Ok(Self { label, members, others })
    }

    fn shares_a_run(&self, other: &Self) -> bool {
        let has = |record: &Record| other.members.iter().any(|own| own.run.path == record.run.path);
        self.members.iter().any(has)
    }

    /// The first of its runs, which stands for the settings of all.
    pub fn first(&self) -> Option<&Record> {
        self.members.first()
    }
}
