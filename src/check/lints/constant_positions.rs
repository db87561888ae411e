//! Last tokens that are of the template alone.

use super::super::split::Use;
use super::PositionSeen;
use crate::data::positions::{PromptText, Segment};
use crate::diag::{Code, Diagnostic};

/// Advises where the last N tokens are the same constant text in every row, as they are of a prompt that ends in `Answer:`. That is a good place
/// for an edit, for such tokens attend to the whole row; but they are not the words of the row, and who meant those should know.
pub(super) fn look(seen: &PositionSeen<'_>) -> Option<Diagnostic> {
    let Segment::Last(count) = seen.segment.value else { return None };
    let end = &seen.report.constant_end;
    let prompt = seen.data.prompt.as_ref()?;
    let column = *prompt.template.written_columns().last()?;
    if seen.wanted != Use::Training || end.len() < count {
        return None;
    }
    let segment = &seen.segment.value;
    let tokens: Vec<String> = end.iter().skip(end.len() - count).map(|token| format!("{token:?}")).collect();
    let hit = match tokens.split_last() {
        Some((last, [])) => format!("the token {last}"),
        Some((last, others)) => format!("the tokens {} and {last}", others.join(", ")),
        None => return None,
    };
    let column = PromptText::Column(column.to_owned());
    Some(
        Diagnostic::at(
            Code::ConstantPositions,
            seen.segment.span,
            format!("`{segment}` edits constant text of the prompt in every row of {}", seen.label),
            hit,
        )
        .label(prompt.span, "this ends alike in every row")
        .help(format!("write `{column}.last({count})` to edit the last tokens of what the row says"))
        .note("these tokens see the whole prompt, so that an edit of them is common and often right"),
    )
}
