//! Rows that are left out, as no token of them can be learned or asked.

use super::super::split::Use;
use super::RowsSeen;
use crate::diag::{Code, Diagnostic};

/// Warns of rows that are not used.
pub(super) fn look(seen: &RowsSeen<'_>) -> Option<Diagnostic> {
    let RowsSeen { label, report, .. } = seen;
    (report.dropped.rows > 0).then(|| {
        Diagnostic::at(
            Code::DroppedRows,
            seen.source.source.span,
            format!(
                "{} of {label} {} left out, as no {} token is left",
                report.dropped,
                if report.dropped.rows == 1 { "is" } else { "are" },
                if matches!(seen.wanted, Use::Choices(_)) { "prompt" } else { "target" },
            ),
            format!("{} of {} rows are used", report.kept(), report.rows),
        )
        .help(format!("write `max_length = {}` to keep them", report.longest_uncut))
    })
}
