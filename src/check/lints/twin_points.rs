//! Points of a sweep that are the same training.

use super::super::Checker;
use super::super::spec::{Experiment, point_text};
use super::ExperimentSeen;
use crate::diag::{Code, Diagnostic};

/// Warns of the first two points that train the same way.
pub(super) fn look(checker: &mut Checker<'_>, seen: &ExperimentSeen<'_>) {
    for (at, point) in seen.points.iter().enumerate() {
        let twin = seen.points.iter().take(at).find(|other| other.seed == point.seed && same_point(other, point));
        if let Some(twin) = twin {
            checker.sink.push(
                Diagnostic::at(
                    Code::TwinPoints,
                    seen.name.span,
                    "two points of this sweep are the same experiment",
                    format!("{} and {}", point_text(&twin.point), point_text(&point.point)),
                )
                .help("remove the value that is there twice"),
            );
            return;
        }
    }
}

/// Whether two points of a sweep train the same way.
fn same_point(left: &Experiment, right: &Experiment) -> bool {
    let train = |experiment: &Experiment| {
        let train = &experiment.train;
        (
            train.epochs,
            train.batch,
            train.accumulate,
            train.learning_rate,
            train.warmup,
            train.clip,
            train.schedule,
            train.optimizer,
            train.keep.clone(),
        )
    };
    left.interventions == right.interventions
        && left.starts == right.starts
        && train(left) == train(right)
        && left.train.splits.iter().map(|part| &part.split).eq(right.train.splits.iter().map(|part| &part.split))
        && left.model.source == right.model.source
        && left.model.precision == right.model.precision
        && left
            .evals
            .iter()
            .map(|eval| (&eval.name, &eval.answer, eval.max_tokens, &eval.split.split))
            .eq(right.evals.iter().map(|eval| (&eval.name, &eval.answer, eval.max_tokens, &eval.split.split)))
}
