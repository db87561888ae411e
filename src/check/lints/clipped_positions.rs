//! Segments of more tokens than half of a prompt.

use super::PositionSeen;
use crate::diag::{Code, Diagnostic};
use crate::source::Spanned;

/// Warns where `fN` and `lN` are clipped.
pub(super) fn look(seen: &PositionSeen<'_>) -> Option<Diagnostic> {
    let PositionSeen { segment: Spanned { value: segment, span }, label, report, fit, .. } = seen;
    (fit.clipped.rows > 0).then(|| {
        Diagnostic::at(
            Code::ClippedPositions,
            *span,
            format!("`{segment}` is clipped to half of the prompt in {} of {label}", fit.clipped),
            format!("of {} rows", report.kept()),
        )
        .help("fewer tokens are edited there, as in the reference; a smaller N avoids it")
    })
}
