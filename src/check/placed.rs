//! Positions against the prompts of a split: the texts that they name, and the tokens that they hit.

use super::Checker;
use super::data::{DataDeclaration, Table};
use super::lints::PositionSeen;
use super::split::{SplitContext, Use};
use crate::data::positions::{PromptText, Segment};
use crate::data::report::EncodeReport;
use crate::data::text_report::TextReport;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::{Span, Spanned};

/// Constants are shown in messages up to this many characters.
const SHOWN: usize = 40;

impl Checker<'_> {
    /// Reports columns that the prompt does not write, and constants that it does not have.
    pub(super) fn named_texts(
        &mut self,
        data: &DataDeclaration,
        table: &Table,
        segments: &[Spanned<Segment>],
    ) -> Option<()> {
        let prompt = data.prompt.as_ref()?;
        let (columns, constants) = (prompt.template.written_columns(), prompt.template.constants());
        let mut sound = Some(());
        for (segment, text) in
            segments.iter().flat_map(|segment| segment.value.texts().into_iter().map(move |text| (segment, text)))
        {
            let diagnostic = match text {
                PromptText::Column(name) if !columns.contains(&name.as_str()) => {
                    unknown_column(segment, name, &columns, table, &data.name.text)
                }
                PromptText::Constant(text) if !constants.iter().any(|constant| constant.contains(text.as_str())) => {
                    unknown_constant(segment.span, text, &constants, &data.name.text)
                }
                _ => continue,
            };
            let writes = match text {
                PromptText::Column(_) if columns.is_empty() => "this template writes no column".to_owned(),
                PromptText::Column(_) => format!("this template writes {}", suggest::list(&columns)),
                PromptText::Constant(_) => "its constant text is looked at, not that of columns".to_owned(),
            };
            self.sink.push(diagnostic.label(prompt.span, writes));
            sound = None;
        }
        sound
    }

    /// Reports segments that hit nothing, in all rows or in some, or fewer tokens than they say.
    pub(super) fn judge_positions(
        &mut self,
        data: &DataDeclaration,
        split: &str,
        context: &SplitContext<'_>,
        wanted: Use<'_>,
        reports: (&EncodeReport, &TextReport),
    ) -> Option<()> {
        let (report, texts) = reports;
        let label = format!("`{}.{split}`", data.name.text);
        let mut sound = true;
        for written in context.segments {
            let Spanned { value: segment, span } = written;
            let names_texts = !segment.texts().is_empty();
            // An evaluation may have other data; what is wrong with the training's was said there.
            if names_texts && wanted != Use::Training && self.sink.has_error_at(*span) {
                sound = false;
                continue;
            }
            // Decoded tokens are not among these rows, and a choice may well be a single token.
            if segment.is_generated() && !matches!(wanted, Use::Training | Use::Loss) {
                continue;
            }
            if names_texts && texts.hidden.rows > 0 {
                self.sink.push(hidden_texts(segment, *span, data, &label, texts));
                sound = false;
                continue;
            }
            let of_texts = texts.empty.iter().find(|(of, _)| of == segment).map(|(_, empty)| *empty);
            let fit = report.fit(segment);
            let empty = of_texts.unwrap_or(fit.empty);
            if empty.rows == report.kept() {
                let (place, help) = no_tokens(segment, context.max_length);
                self.sink.push(
                    Diagnostic::at(
                        Code::NoPositions,
                        *span,
                        format!("`{segment}` hits no token in any row of {label}"),
                        place,
                    )
                    .help(help),
                );
                sound = false;
            } else {
                let max_length = context.max_length;
                let seen =
                    PositionSeen { segment: written, label: &label, data, report, fit, empty, max_length, wanted };
                self.look_at_position(&seen);
            }
        }
        sound.then_some(())
    }
}

fn unknown_column(segment: &Spanned<Segment>, name: &str, columns: &[&str], table: &Table, data: &str) -> Diagnostic {
    let label = match table.columns.iter().any(|column| column == name) {
        true => "a column of the rows, but its text is not in the prompt",
        false => "no such column",
    };
    let message = format!("the prompt of `{data}` does not write the column `{name}`");
    let diagnostic = Diagnostic::at(Code::UnknownColumn, segment.span, message, label);
    let written = |name: &str| PromptText::Column(name.to_owned()).to_string();
    let near = suggest::near(name, columns.iter().copied());
    let meant = match (near.as_slice(), columns) {
        ([only], _) => only,
        (_, []) => return diagnostic.help("write `fN`, `lN` or `all`: this prompt is the same for every row"),
        (_, [only]) => return diagnostic.help(format!("write `{}`", written(only))),
        (_, columns) => {
            return diagnostic.help(format!("the columns that it writes: {}", suggest::list(columns)));
        }
    };
    let diagnostic = diagnostic.help(format!("did you mean `{}`?", written(meant)));
    match &segment.value {
        Segment::Text { share, .. } => {
            let of = PromptText::Column((*meant).to_owned());
            diagnostic.fix(segment.span, Segment::Text { of, share: *share }.to_string())
        }
        _ => diagnostic,
    }
}

fn unknown_constant(span: Span, text: &str, constants: &[&str], data: &str) -> Diagnostic {
    let message = format!("{text:?} is in no constant text of the prompt of `{data}`");
    let diagnostic = Diagnostic::at(Code::NoPositions, span, message, "it would never be found");
    let shown = |constant: &&str| match constant.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &constant[..end]),
        None => format!("{constant:?}"),
    };
    match constants.iter().map(shown).collect::<Vec<_>>().as_slice() {
        [] => diagnostic.help("the template is of columns alone: write `field(question)` for the text of one"),
        texts => diagnostic.help(format!("write a text of the template, or a piece of one: {}", texts.join(", "))),
    }
}

fn hidden_texts(segment: &Segment, span: Span, data: &DataDeclaration, label: &str, texts: &TextReport) -> Diagnostic {
    let mut diagnostic = Diagnostic::at(
        Code::NoPositions,
        span,
        format!("where `{segment}` is in the prompt cannot be told in {} of {label}", texts.hidden),
        "asks for a place in the prompt",
    );
    if let Some(prompt) = &data.prompt {
        diagnostic =
            diagnostic.label(prompt.span, "the model's chat template does not write these messages as they are");
    }
    diagnostic.help("write `fN`, `lN` or `all`, or the prompt as a text: `prompt = \"{question}\\n\"`")
}

/// Why a segment may hit nothing, and what to do about it.
pub(super) fn no_tokens(segment: &Segment, max_length: usize) -> (&'static str, String) {
    match segment {
        Segment::First(_) | Segment::Last(_) | Segment::All => (
            "every prompt is too short",
            "`fN` and `lN` reach at most half of a prompt; write `all`, or a longer prompt".to_owned(),
        ),
        Segment::Text { .. } => (
            "without a token in these prompts",
            format!(
                "the text is empty, cut away by `max_length = {max_length}`, or in a branch of `when` that is not taken"
            ),
        ),
        Segment::Generated => (
            "every target is a single token",
            "the last token of a target is never an input: write `l1` for the token that predicts the first".to_owned(),
        ),
        Segment::Without { .. } => ("nothing is left", "take less away".to_owned()),
    }
}
