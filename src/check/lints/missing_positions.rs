//! Segments that hit nothing in some rows.

use super::super::placed::no_tokens;
use super::PositionSeen;
use crate::diag::{Code, Diagnostic};
use crate::source::Spanned;

/// Warns of rows in which a segment edits nothing. Where prompts are short, that it is clipped says so already.
pub(super) fn look(seen: &PositionSeen<'_>) -> Option<Diagnostic> {
    let PositionSeen { segment: Spanned { value: segment, span }, label, report, fit, empty, .. } = seen;
    if empty.rows == 0 || fit.clipped.rows > 0 {
        return None;
    }
    let (_, help) = no_tokens(segment, seen.max_length);
    Some(
        Diagnostic::at(
            Code::MissingPositions,
            *span,
            format!("`{segment}` hits no token in {empty} of {label}"),
            format!("of {} rows", report.kept()),
        )
        .help(format!("nothing is edited there by this segment; {help}")),
    )
}
