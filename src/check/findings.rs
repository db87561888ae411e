//! What is wrong, or likely wrong, with the rows of a split.

use super::Checker;
use super::data::{DataDeclaration, SplitSource};
use super::split::{SplitContext, Use};
use crate::data::report::EncodeReport;
use crate::diag::{Code, Diagnostic};
use crate::source::Spanned;

impl Checker<'_> {
    /// Turns a report into findings; `None` where the split cannot be used.
    pub(super) fn judge(
        &mut self,
        data: &DataDeclaration,
        source: &SplitSource,
        named: &Spanned<String>,
        context: &SplitContext<'_>,
        wanted: Use<'_>,
        report: &EncodeReport,
    ) -> Option<()> {
        let label = format!("`{}.{}`", data.name.text, named.value);
        let rows_span = source.source.span;
        let file = &source.source.value.path;
        let table_rows = source.table.rows;
        if table_rows > report.rows {
            self.sink.push(
                Diagnostic::at(
                    Code::RowsSampled,
                    rows_span,
                    format!("{label} has {table_rows} rows, and the first {} were checked", report.rows),
                    "checked in part",
                )
                .help("the rest is checked when the run reads it; a slice keeps to what was checked"),
            );
        }
        if report.empty_targets.rows > 0 && matches!(wanted, Use::Training | Use::Loss) {
            let target = data.target.as_ref().map_or(rows_span, |target| target.span);
            self.sink.push(
                Diagnostic::at(
                    Code::EmptyTarget,
                    target,
                    format!("the target of {} of {label} makes no token", report.empty_targets),
                    "empty for these rows",
                )
                .in_file(file, None)
                .help("fill the column in, or leave the rows out"),
            );
            return None;
        }
        if report.kept() == 0 {
            let cause = data.prompt.as_ref().map_or(rows_span, |prompt| prompt.span);
            self.sink.push(
                Diagnostic::at(
                    Code::NoRowsLeft,
                    cause,
                    format!("no row of {label} keeps a target token within `max_length = {}`", context.max_length),
                    format!("the shortest rows are longer; the longest has {} tokens", report.longest_uncut),
                )
                .help(format!("write `max_length = {}`, or shorten the prompt", report.longest_uncut)),
            );
            return None;
        }
        if report.cut_prompts.rows > 0 {
            self.sink.push(
                Diagnostic::at(
                    Code::OverlongPrompts,
                    rows_span,
                    format!(
                        "`max_length = {}` cuts the prompt of {} of {label}",
                        context.max_length, report.cut_prompts
                    ),
                    format!("the longest prompt has {} tokens", report.longest_prompt_uncut),
                )
                .help(format!("write `max_length = {}` to keep every row whole", report.longest_uncut)),
            );
        }
        if report.dropped.rows > 0 {
            self.sink.push(
                Diagnostic::at(
                    Code::DroppedRows,
                    rows_span,
                    format!(
                        "{} of {label} {} left out, as no {} token is left",
                        report.dropped,
                        if report.dropped.rows == 1 { "is" } else { "are" },
                        if matches!(wanted, Use::Choices(_)) { "prompt" } else { "target" },
                    ),
                    format!("{} of {} rows are used", report.kept(), report.rows),
                )
                .help(format!("write `max_length = {}` to keep them", report.longest_uncut)),
            );
        }
        if report.split_tokens.rows > 0 && wanted != Use::Generation {
            let prompt = data.prompt.as_ref().map_or(rows_span, |prompt| prompt.span);
            let (what, begin) = match wanted {
                Use::Choices(_) => ("a choice", "begin every choice with the space: `[\" yes\", \" no\"]`"),
                _ => ("the target", "begin the target with the space: `target = \" {answer}\"`"),
            };
            self.sink.push(
                Diagnostic::at(
                    Code::SplitToken,
                    prompt,
                    format!("in {} of {label} the prompt's last token runs into {what}", report.split_tokens),
                    "the prompt ends inside a token",
                )
                .help(format!("end the prompt with a newline, or {begin}")),
            );
        }
        Some(())
    }
}
