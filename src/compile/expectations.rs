//! Whether an experiment keeps what it promises: what a plan decides before a run, and what was measured after it.

use crate::check::spec::{self, Expectation, Promised, Quantity, Spec, point_text};
use crate::diag::{Code, Diagnostic};
use crate::plan::{Experiment, Plan, PointValue, Sweep};
use crate::report::sweep::{best, groups, label, mean_and_deviation};
use crate::report::table::{Align, Table, number};
use crate::report::units;
use crate::store::result::RunResult;

/// The planned expectations that do not hold, each told once, at the first point of a sweep that violates it.
pub fn violated(spec: &Spec, plan: &Plan) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for (checked, experiment) in spec.experiments.iter().zip(&plan.experiments) {
        for expectation in &checked.expectations {
            let told = found.iter().any(|other| other.span() == Some(expectation.span));
            found.extend(violation(expectation, checked, experiment).filter(|_| !told));
        }
    }
    found
}

fn violation(expectation: &Expectation, checked: &spec::Experiment, experiment: &Experiment) -> Option<Diagnostic> {
    let Promised::Planned(quantity) = expectation.promised else { return None };
    let planned = value(experiment, quantity);
    if expectation.comparison.holds(planned, expectation.value) {
        return None;
    }
    let Expectation { name, comparison, written, .. } = expectation;
    let diagnostic = Diagnostic::at(
        Code::ExpectationViolated,
        expectation.span,
        format!("`{name}` is {}, not {} {written}", text(planned, quantity), comparison.sign()),
        format!("does not hold for `{}`", checked.name),
    )
    .help("change the experiment, or what it promises");
    Some(match checked.point.as_slice() {
        [] => diagnostic,
        point => diagnostic.note(format!("at the point {}", point_text(point))),
    })
}

fn value(experiment: &Experiment, quantity: Quantity) -> f64 {
    let (parameters, cost) = (&experiment.parameters, &experiment.cost);
    match quantity {
        Quantity::Interventions => parameters.interventions as f64,
        Quantity::Model => parameters.model as f64,
        Quantity::Share => parameters.share,
        Quantity::Weights => cost.weight_bytes as f64,
        Quantity::Training => cost.training_bytes as f64,
        Quantity::Cache => cost.cache_bytes as f64,
        Quantity::Written => cost.written_flops,
        Quantity::Planned => cost.planned_flops,
        Quantity::Constant => cost.constant_flops,
        Quantity::Steps => experiment.train.steps as f64,
    }
}

fn text(value: f64, quantity: Quantity) -> String {
    match quantity {
        Quantity::Share => units::small_percent(value),
        _ if quantity.is_size() => units::bytes(value as u64),
        Quantity::Written | Quantity::Planned | Quantity::Constant => units::flops(value),
        _ => units::count(value as u64),
    }
}

/// A measured expectation after the run.
pub struct Judged {
    pub experiment: String,
    /// The point that was measured; empty without a sweep.
    pub point: String,
    /// `eval.test.exact_match >= 72%`
    pub promised: String,
    /// What was found; for a point with several seeds their mean.
    pub found: String,
    pub held: bool,
}

/// Every measured expectation of experiments and their results: of a sweep for the best point, and without `select` for each, over the
/// mean of its seeds.
pub fn judged(experiments: &[(&spec::Experiment, &RunResult)], sweeps: &[Sweep]) -> Vec<Judged> {
    let mut judged = Vec::new();
    let mut rest = experiments.to_vec();
    while let Some((first, _)) = rest.first().copied() {
        let count = rest.iter().take_while(|(other, _)| other.name == first.name).count();
        let later = rest.split_off(count);
        let points: Vec<(&[PointValue], Option<&RunResult>)> =
            rest.iter().map(|(checked, result)| (checked.point.as_slice(), Some(*result))).collect();
        let groups = groups(points.iter().map(|(values, _)| *values));
        let sweep = sweeps.iter().find(|sweep| sweep.experiment == first.name);
        let only = sweep.and_then(|sweep| best(sweep, &points));
        for (at, group) in groups.iter().enumerate() {
            if only.is_some_and(|only| only != at) {
                continue;
            }
            let members: Vec<(&spec::Experiment, &RunResult)> =
                group.iter().filter_map(|&member| rest.get(member).copied()).collect();
            judge(&members, &mut judged);
        }
        rest = later;
    }
    judged
}

fn judge(members: &[(&spec::Experiment, &RunResult)], judged: &mut Vec<Judged>) {
    let Some((first, _)) = members.first() else { return };
    for expectation in &first.expectations {
        let found: Option<Vec<f64>> = members
            .iter()
            .map(|(checked, result)| match expectation.promised {
                Promised::Planned(_) => None,
                Promised::Loss => result.training.as_ref().map(|training| training.final_loss),
                Promised::Measured(at) => Some(result.eval(&checked.evals.get(at)?.name)?.tuned),
            })
            .collect();
        let Some((mean, _)) = found.and_then(|found| mean_and_deviation(&found)) else { continue };
        let metric = match expectation.promised {
            Promised::Measured(at) => first.evals.get(at).map(|eval| eval.metric),
            _ => None,
        };
        judged.push(Judged {
            experiment: first.name.clone(),
            point: label(&first.point.iter().filter(|value| value.path != "seed").cloned().collect::<Vec<_>>()),
            promised: format!("{} {} {}", expectation.name, expectation.comparison.sign(), expectation.written),
            found: metric.map_or_else(|| format!("{mean:.4}"), |metric| number(metric, mean)),
            held: expectation.comparison.holds(mean, expectation.value),
        });
    }
}

/// The table of which expectations held.
pub fn table(judged: &[Judged]) -> Table {
    let left = ["experiment", "point", "expected"].map(|title| (title, Align::Left));
    let columns = [left.as_slice(), &[("found", Align::Right), ("", Align::Left)]].concat();
    let swept = judged.iter().any(|judged| !judged.point.is_empty());
    let mut table =
        Table::new(&columns.into_iter().filter(|(title, _)| swept || *title != "point").collect::<Vec<_>>());
    for one in judged {
        let point = swept.then(|| one.point.clone());
        let held = if one.held { "held" } else { "VIOLATED" };
        let cells = [Some(one.experiment.clone()), point, Some(one.promised.clone()), Some(one.found.clone())];
        table.push(cells.into_iter().flatten().chain([held.to_owned()]));
    }
    table
}
