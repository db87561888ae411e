//! Names that nothing uses.

use super::super::Checker;
use super::SpecSeen;
use crate::diag::{Code, Diagnostic};

/// Warns about everything that the spec declares and no experiment reaches.
pub(super) fn look(checker: &mut Checker<'_>, seen: &SpecSeen) {
    if seen.experiments == 0 || seen.broken {
        return;
    }
    for entry in checker.scope.unused() {
        checker.sink.push(
            Diagnostic::at(
                Code::UnusedName,
                entry.name.span,
                format!("`{}` is never used", entry.name.text),
                format!("{} that no experiment reaches", entry.declared.description()),
            )
            .help("remove it, or use it in an experiment"),
        );
    }
}
