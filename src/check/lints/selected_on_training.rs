//! Choices between trainings that are made by rows which were trained on.

use super::super::Checker;
use super::ExperimentSeen;
use crate::diag::{Code, Diagnostic};

/// Warns where the best point of a sweep is chosen by rows that are trained on: it is the one that remembers them best.
pub(super) fn look(checker: &mut Checker<'_>, seen: &ExperimentSeen<'_>) {
    let evals = || seen.points.iter().flat_map(|point| &point.evals);
    for &(name, place) in &seen.choices {
        let Some(eval) = evals().find(|eval| eval.name == name && eval.trained_rows.rows > 0) else { continue };
        let (trained, all) = (eval.trained_rows.rows, eval.split.facts.rows);
        let rows = match trained == all {
            true => "rows that are trained on".to_owned(),
            false => format!("{all} rows, of which {trained} are trained on"),
        };
        checker.sink.push(
            Diagnostic::at(
                Code::SelectedOnTraining,
                place,
                format!("the best is chosen by {rows}"),
                "the choice falls on what remembers them best",
            )
            .label(eval.span, "measured on them here")
            .help("keep rows apart to choose by: `train = rows[..-200]`, `validation = rows[-200..]`"),
        );
    }
}
