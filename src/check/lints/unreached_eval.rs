//! Evaluations that are due only after the training has ended.

use super::super::Checker;
use super::super::spec::{Eval, When};
use super::ExperimentSeen;
use crate::diag::{Code, Diagnostic};

/// Warns where `when = steps(N)` is beyond the last step, at every point of a sweep: nothing is measured along the way.
pub(super) fn look(checker: &mut Checker<'_>, seen: &ExperimentSeen<'_>) {
    let Some(first) = seen.points.first() else { return };
    for eval in &first.evals {
        let every = |eval: &Eval| if let When::Steps(count) = eval.when { Some(count) } else { None };
        let reached = seen.points.iter().any(|point| {
            let same = point.evals.iter().find(|other| other.name == eval.name);
            same.and_then(every).is_none_or(|count| count <= point.train.steps())
        });
        let (Some(count), false) = (every(eval), reached) else { continue };
        let path = format!("eval.{}.when", eval.name);
        let written = first.origins.iter().find(|origin| origin.path == path).and_then(|origin| origin.place);
        let steps = seen.points.iter().map(|point| point.train.steps()).max().unwrap_or_default();
        checker.sink.push(
            Diagnostic::at(
                Code::UnreachedEval,
                written.unwrap_or(eval.span),
                format!("step {count} is never reached: the training has {steps} steps"),
                format!("`{}` is measured at the end alone", eval.name),
            )
            .label(first.train.span, "trained here")
            .help(format!("write `when = steps({})`, `when = epoch`, or leave `when` out", (steps / 4).max(1))),
        );
    }
}
