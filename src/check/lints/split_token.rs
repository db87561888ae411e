//! Prompts that end inside a token.

use super::super::split::Use;
use super::RowsSeen;
use crate::diag::{Code, Diagnostic};

/// Warns where the prompt's last token runs into what follows it, so that the model never sees the prompt's own tokens.
pub(super) fn look(seen: &RowsSeen<'_>) -> Option<Diagnostic> {
    let RowsSeen { label, report, .. } = seen;
    if report.split_tokens.rows == 0 || seen.wanted == Use::Generation {
        return None;
    }
    let prompt = seen.data.prompt.as_ref().map_or(seen.source.source.span, |prompt| prompt.span);
    let (what, begin) = match seen.wanted {
        Use::Choices(_) => ("a choice", "begin every choice with the space: `[\" yes\", \" no\"]`"),
        _ => ("the target", "begin the target with the space: `target = \" {answer}\"`"),
    };
    Some(
        Diagnostic::at(
            Code::SplitToken,
            prompt,
            format!("in {} of {label} the prompt's last token runs into {what}", report.split_tokens),
            "the prompt ends inside a token",
        )
        .help(format!("end the prompt with a newline, or {begin}")),
    )
}
