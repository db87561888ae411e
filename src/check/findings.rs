//! What is wrong, or likely wrong, with the rows of a split.

use super::Checker;
use super::data::{DataDeclaration, SplitSource};
use super::lints::RowsSeen;
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
        let max_length = context.max_length;
        self.look_at_rows(&RowsSeen { label: &label, data, source, report, max_length, wanted });
        Some(())
    }
}
