//! Rows that are both trained on and measured.

use super::super::Checker;
use super::super::data::{DataDeclaration, SplitSource};
use crate::data::report::Count;
use crate::data::source::select;
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use std::collections::BTreeSet;

impl Checker<'_> {
    /// The rows of an evaluated split that are rows of the training split too: of the same file, by their numbers. Warns where there are
    /// any, but not of the training split itself; whoever names that means it.
    pub(in crate::check) fn overlap(
        &mut self,
        trained: &DataDeclaration,
        data: &DataDeclaration,
        split: &Spanned<String>,
        on: Span,
    ) -> Count {
        let training = trained.splits.get("train").and_then(Option::as_ref);
        let measured = data.splits.get(&split.value).and_then(Option::as_ref);
        let (Some(training), Some(measured)) = (training, measured) else { return Count::default() };
        let shared = shared(training, measured);
        let Some(first) = shared.first.filter(|_| split.value != "train") else { return shared };
        let label = format!("`{}.{}`", data.name.text, split.value);
        let of = measured.table.rows;
        let what = match shared.rows == of {
            true => format!("all {of} rows of {label} are trained on"),
            false => format!("{} of {of} rows of {label} are trained on (the first is row {})", shared.rows, first + 1),
        };
        self.sink.push(
            Diagnostic::at(Code::OverlappingRows, on, what, "a score on them measures memory")
                .label(measured.source.span, "these rows are measured")
                .label(training.source.span, "these are trained on")
                .help("slice the file into parts: `train = rows[..-200]`, `test = rows[-200..]`"),
        );
        shared
    }
}

fn shared(training: &SplitSource, measured: &SplitSource) -> Count {
    let mut shared = Count::default();
    let same_file =
        training.table.digest == measured.table.digest && training.source.value.format == measured.source.value.format;
    if same_file {
        let rows = |split: &SplitSource| select(split.table.file_rows, &split.source.value.steps);
        let trained: BTreeSet<usize> = rows(training).into_iter().collect();
        let hits = rows(measured).into_iter().enumerate().filter(|(_, number)| trained.contains(number));
        hits.for_each(|(row, _)| shared.add(row));
    }
    shared
}
