//! What is chosen by a measure: the best point of a sweep, the best parameters of a training.

use super::Checker;
use super::scope::unknown_name;
use super::spec::{Eval, Expectation, Experiment, Keep, Promised, Selection, Train, When};
use super::value::Value;
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::Ident;

impl Checker<'_> {
    /// `select`: the measure must be one of the experiment's, on rows that nothing else is reported on.
    pub(super) fn selection(&mut self, select: &Spanned<Value>, experiment: &Experiment) -> Option<Selection> {
        let Value::Form(form) = &select.value else { return None };
        let eval = self.measured_by(&form.argument("measure")?.value, &experiment.evals)?;
        let mut others = experiment.evals.iter().filter(|other| other.name != eval.name);
        let reported = others.find(|other| same_rows(eval, other)).map(|other| other.span);
        if let Some(place) = reported.or_else(|| promised(eval, &experiment.evals, &experiment.expectations)) {
            self.chosen_by_reported("the best point is", eval, select.span, place);
            return None;
        }
        Some(Selection { eval: eval.name.clone(), metric: eval.metric, highest: form.form.name == "max" })
    }

    /// `keep`: the measure must be taken along the way, on rows that are not reported at the end.
    pub(super) fn keep(
        &mut self,
        keep: &Spanned<Value>,
        train: &Train,
        evals: &[Eval],
        expectations: &[Expectation],
    ) -> Option<Keep> {
        let Value::Form(form) = &keep.value else { return None };
        if form.form.name != "best" {
            return Some(Keep::Last);
        }
        let eval = self.measured_by(&form.argument("measure")?.value, evals)?;
        let never = match eval.when {
            When::End => Some("it is measured after the training only".to_owned()),
            When::Steps(count) if count > train.steps() => {
                Some(format!("the training has {} steps, fewer than {count}", train.steps()))
            }
            When::Epoch | When::Steps(_) => None,
        };
        if let Some(never) = never {
            self.sink.push(
                Diagnostic::at(
                    Code::NothingToKeep,
                    keep.span,
                    format!("`{}` measures nothing during the training to choose by", eval.name),
                    "chosen by this",
                )
                .label(eval.span, never)
                .help(format!("let it be measured along the way: `eval {} {{ when = epoch, … }}`", eval.name)),
            );
            return None;
        }
        let at_end = |other: &&Eval| other.when == When::End && same_rows(eval, other);
        let reported = evals.iter().find(at_end).map(|other| other.span);
        if let Some(place) = reported.or_else(|| promised(eval, evals, expectations)) {
            self.chosen_by_reported("the parameters that are kept are", eval, keep.span, place);
            return None;
        }
        let patience = usize::try_from(form.argument("patience")?.value.as_int()?).ok()?;
        let patience = (patience > 0).then_some(patience);
        Some(Keep::Best { eval: eval.name.clone(), metric: eval.metric, patience })
    }

    /// The eval that a measure names.
    fn measured_by<'e>(&mut self, measure: &Value, evals: &'e [Eval]) -> Option<&'e Eval> {
        let Value::Measure { eval: wanted, metric } = measure else { return None };
        let Some(eval) = evals.iter().find(|eval| eval.name == wanted.value) else {
            let names: Vec<&str> = evals.iter().map(|eval| eval.name.as_str()).collect();
            let name = Ident { text: wanted.value.clone(), span: wanted.span };
            self.sink.push(unknown_name(&name, "eval", &names, "`eval NAME { … }`"));
            return None;
        };
        if eval.metric.name() != metric.value {
            self.sink.push(
                Diagnostic::at(
                    Code::UnknownName,
                    metric.span,
                    format!("`{}` does not measure `{}`", eval.name, metric.value),
                    format!("it measures `{}`", eval.metric.name()),
                )
                .label(eval.span, "measured here")
                .help(format!("write `eval.{}.{}`", eval.name, eval.metric.name()))
                .fix(metric.span, eval.metric.name()),
            );
            return None;
        }
        Some(eval)
    }

    fn chosen_by_reported(&mut self, what: &str, eval: &Eval, span: Span, place: Span) {
        self.sink.push(
            Diagnostic::at(
                Code::SelectedOnReported,
                span,
                format!("{what} chosen by rows that are reported, those of `{}`", eval.name),
                "chosen by these",
            )
            .label(place, "reported on the same rows")
            .help("choose by a split of its own: `validation = rows[-200..]`, `eval dev { on = data.validation }`"),
        );
    }
}

fn same_rows(left: &Eval, right: &Eval) -> bool {
    left.split.split.source == right.split.split.source
}

/// The expectation that is about the rows of an eval.
fn promised(eval: &Eval, evals: &[Eval], expectations: &[Expectation]) -> Option<Span> {
    let about = |expectation: &&Expectation| match expectation.promised {
        Promised::Measured(at) => evals.get(at).is_some_and(|other| same_rows(eval, other)),
        _ => false,
    };
    expectations.iter().find(about).map(|expectation| expectation.span)
}
