//! Files without an experiment.

use super::super::Checker;
use super::SpecSeen;
use crate::diag::{Code, Diagnostic};

/// Warns about a spec that runs nothing.
pub(super) fn look(checker: &mut Checker<'_>, seen: &SpecSeen) {
    if seen.experiments == 0 && !seen.broken {
        checker.sink.push(
            Diagnostic::at(Code::NothingToRun, seen.file, "this file has no experiment", "nothing to run")
                .help("add `experiment NAME { … }`"),
        );
    }
}
