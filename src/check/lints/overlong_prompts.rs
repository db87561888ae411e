//! Prompts that `max_length` cuts.

use super::RowsSeen;
use crate::diag::{Code, Diagnostic};

/// Warns of prompts that do not fit.
pub(super) fn look(seen: &RowsSeen<'_>) -> Option<Diagnostic> {
    let RowsSeen { label, report, max_length, .. } = seen;
    (report.cut_prompts.rows > 0).then(|| {
        Diagnostic::at(
            Code::OverlongPrompts,
            seen.source.source.span,
            format!("`max_length = {max_length}` cuts the prompt of {} of {label}", report.cut_prompts),
            format!("the longest prompt has {} tokens", report.longest_prompt_uncut),
        )
        .help(format!("write `max_length = {}` to keep every row whole", report.longest_uncut))
    })
}
