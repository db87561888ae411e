//! Splits of which only the first rows were looked at.

use super::RowsSeen;
use crate::diag::{Code, Diagnostic};

/// Warns that a check does not look at all rows.
pub(super) fn look(seen: &RowsSeen<'_>) -> Option<Diagnostic> {
    let RowsSeen { label, report, .. } = seen;
    let all = seen.source.table.rows;
    (all > report.rows).then(|| {
        Diagnostic::at(
            Code::RowsSampled,
            seen.source.source.span,
            format!("{label} has {all} rows, and the first {} were checked", report.rows),
            "checked in part",
        )
        .help("the rest is checked when the run reads it; a slice keeps to what was checked")
    })
}
