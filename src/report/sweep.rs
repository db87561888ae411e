//! Sweeps as tables: their points before a run, and their scores after it.

use super::table::{Align, Table, number};
use super::units;
use crate::plan::{Experiment, PointValue, Sweep};
use crate::store::result::{EvalRecord, RunResult};
use std::collections::BTreeMap;

/// What a sweep will do: its runs, what they cost together, and a row for each.
pub fn planned(points: &[&Experiment], style: super::table::Style) -> String {
    let paths = paths(points.iter().map(|point| point.point.as_slice()));
    let numbers = ["parameters", "of the model", "steps", "compute"].map(|title| (title, Align::Right));
    let columns: Vec<(&str, Align)> = paths.iter().map(|path| (path.as_str(), Align::Right)).collect();
    let mut table = Table::new(&[columns.as_slice(), &numbers, &[("training", Align::Left)]].concat());
    for point in points {
        let values = paths.iter().map(|path| value(&point.point, path));
        let numbers = [
            units::count(point.parameters.interventions),
            units::small_percent(point.parameters.share),
            units::count(point.train.steps as u64),
            units::flops(point.cost.planned_flops),
            units::short_hash(&point.hashes.training).to_owned(),
        ];
        table.push(values.chain(numbers));
    }
    let total: f64 = points.iter().map(|point| point.cost.planned_flops).sum();
    let steps: usize = points.iter().map(|point| point.train.steps).sum();
    let name = points.first().map_or("", |point| point.name.as_str());
    format!(
        "sweep {name}: {}{}, {}, {} in all\n{}",
        units::counted(points.len(), "run"),
        repeats(points),
        units::counted(steps, "step"),
        units::flops(total),
        table.text(style)
    )
}

/// ` (4 points × 3 seeds)`
fn repeats(points: &[&Experiment]) -> String {
    let groups = groups(points.iter().map(|point| point.point.as_slice())).len();
    let repeats = points.len() / groups.max(1);
    if repeats > 1 && groups > 1 {
        return format!(" ({} × {})", units::counted(groups, "point"), units::counted(repeats, "seed"));
    }
    String::new()
}

/// The points of a finished sweep: each score as a mean over seeds ± the standard deviation, the best point marked.
///
/// Points without a result, because they failed, have dashes.
pub fn results(sweep: &Sweep, points: &[(&[PointValue], Option<&RunResult>)]) -> Table {
    let paths = paths(points.iter().map(|(values, _)| *values));
    let paths: Vec<&String> = paths.iter().filter(|path| *path != SEED || points.len() == 1).collect();
    let first = points.iter().find_map(|(_, result)| *result);
    let evals: Vec<&EvalRecord> = first.map_or_else(Vec::new, |result| result.evals.iter().collect());
    let groups = groups(points.iter().map(|(values, _)| *values));
    let best = best(sweep, points);
    let titles: Vec<String> =
        evals.iter().map(|eval| format!("{} {}", eval.name, super::table::name(eval.metric))).collect();
    let mut columns: Vec<(&str, Align)> = vec![("", Align::Left)];
    columns.extend(paths.iter().map(|path| (path.as_str(), Align::Right)));
    columns.push(("seeds", Align::Right));
    columns.extend(titles.iter().map(|title| (title.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for (at, group) in groups.iter().enumerate() {
        let members: Vec<&RunResult> = group.iter().filter_map(|&point| points.get(point)?.1).collect();
        let values = group.first().and_then(|&point| points.get(point)).map_or(&[][..], |(values, _)| *values);
        let mut row = vec![if best == Some(at) { "*".to_owned() } else { String::new() }];
        row.extend(paths.iter().map(|path| value(values, path)));
        row.push(format!("{}/{}", members.len(), group.len()));
        for eval in &evals {
            let scores: Vec<f64> = members.iter().filter_map(|result| Some(result.eval(&eval.name)?.tuned)).collect();
            row.push(with_deviation(&scores, |score| number(eval.metric, score)));
        }
        table.push(row);
    }
    table
}

/// The best group of points, by the mean over its seeds; the first of equals. `None` without `select`, or where no group is complete.
pub fn best(sweep: &Sweep, points: &[(&[PointValue], Option<&RunResult>)]) -> Option<usize> {
    let select = sweep.select.as_ref()?;
    let mut found: Option<(usize, f64)> = None;
    for (at, group) in groups(points.iter().map(|(values, _)| *values)).iter().enumerate() {
        let scores: Option<Vec<f64>> =
            group.iter().map(|&point| Some(points.get(point)?.1?.eval(&select.eval)?.tuned)).collect();
        let Some((mean, _)) = scores.and_then(|scores| mean_and_deviation(&scores)) else { continue };
        let better = found.is_none_or(|(_, best)| if select.highest { mean > best } else { mean < best });
        if better && mean.is_finite() {
            found = Some((at, mean));
        }
    }
    found.map(|(at, _)| at)
}

/// The points that differ by their seed alone, in the order of the first of each.
pub fn groups<'p>(points: impl Iterator<Item = &'p [PointValue]>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<Vec<(&str, &str)>, usize> = BTreeMap::new();
    for (at, values) in points.enumerate() {
        let values = values.iter().filter(|value| value.path != SEED);
        let key: Vec<(&str, &str)> = values.map(|value| (value.path.as_str(), value.value.as_str())).collect();
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.push(at);
        }
    }
    groups
}

const SEED: &str = "seed";

/// Mean, and for two or more the standard deviation of the sample.
pub fn mean_and_deviation(scores: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = scores.len() as f64;
    if scores.is_empty() {
        return None;
    }
    let mean = scores.iter().sum::<f64>() / count;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    Some((mean, (scores.len() > 1).then(|| (squares / (count - 1.0)).sqrt())))
}

/// `76.5 % ± 1.2`: the mean of scores and their deviation, where there are two or more; a dash where there is none.
pub fn with_deviation(scores: &[f64], text: impl Fn(f64) -> String) -> String {
    match mean_and_deviation(scores) {
        Some((mean, Some(deviation))) => format!("{} ± {}", text(mean), text(deviation).replace(" %", "")),
        Some((mean, None)) => text(mean),
        None => "–".to_owned(),
    }
}

/// Every path of the points, in the order of the first.
fn paths<'p>(points: impl Iterator<Item = &'p [PointValue]>) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for value in points.flatten() {
        if !paths.contains(&value.path) {
            paths.push(value.path.clone());
        }
    }
    paths
}

fn value(values: &[PointValue], path: &str) -> String {
    values.iter().find(|value| value.path == path).map_or_else(String::new, |value| value.value.clone())
}

/// `train.lr = 1e-3, seed = 42`
pub fn label(point: &[PointValue]) -> String {
    point.iter().map(|value| format!("{} = {}", value.path, value.value)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(values: &[(&str, &str)]) -> Vec<PointValue> {
        values.iter().map(|(path, value)| PointValue { path: (*path).into(), value: (*value).into() }).collect()
    }

    #[test]
    fn seeds_are_one_group() {
        let points = [[("rank", "1"), ("seed", "1")], [("rank", "1"), ("seed", "2")], [("rank", "2"), ("seed", "1")]];
        let points: Vec<Vec<PointValue>> = points.iter().map(|values| point(values)).collect();
        assert_eq!(groups(points.iter().map(Vec::as_slice)), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        assert_eq!(mean_and_deviation(&[]), None);
        assert_eq!(mean_and_deviation(&[0.5]), Some((0.5, None)));
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), Some((2.0, Some(2.0_f64.sqrt()))));
    }
}
