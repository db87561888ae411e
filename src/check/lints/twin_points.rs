//! Points of a sweep that are the same training.

use super::super::Checker;
use super::super::spec::{Experiment, point_text};
use super::ExperimentSeen;
use crate::diag::{Code, Diagnostic};
use crate::digest;
use std::collections::BTreeMap;

/// Warns of the first two points that train the same way.
pub(super) fn look(checker: &mut Checker<'_>, seen: &ExperimentSeen<'_>) {
    let mut known: BTreeMap<String, &Experiment> = BTreeMap::new();
    for point in seen.points {
        if let Some(twin) = known.insert(work(point), point) {
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

/// All that a point trains and measures, equal for those that do the same. Seeds and orders of entries count.
fn work(point: &Experiment) -> String {
    let train = &point.train;
    let evals: Vec<_> =
        point.evals.iter().map(|eval| (&eval.name, &eval.answer, eval.max_tokens, &eval.split.split)).collect();
    digest::json(&(
        (point.seed, &point.interventions, &point.starts),
        (train.epochs, train.batch, train.accumulate, train.learning_rate, train.warmup, train.clip),
        (train.schedule, train.optimizer, &train.keep),
        train.splits.iter().map(|part| &part.split).collect::<Vec<_>>(),
        (&point.model.source, point.model.precision),
        evals,
    ))
}
