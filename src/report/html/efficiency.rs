//! Scores against the share of parameters that were trained, over the points of a sweep.

use super::curves::tick;
use super::plot::{Level, Mark, Plot, Point, Series};
use super::run::{Run, Score};
use super::scale::{Axis, number};
use crate::plan::PointValue;
use crate::report::{sweep, table, units};
use crate::statistics::{Interval, scores};

/// More dots than this have no name beside them.
const NAMED: usize = 12;

/// One point of a sweep: its runs, which differ by their seed alone.
struct Group<'a> {
    name: String,
    /// Of the model's parameters.
    share: f64,
    scores: Vec<(&'a Run, Score)>,
}

/// A plot for each eval; empty for less than two points.
pub fn html(runs: &[Run]) -> String {
    let mut evals: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(Run::scores) {
        if !evals.contains(&name) {
            evals.push(name);
        }
    }
    let plots: String = evals.into_iter().filter_map(|eval| plot(runs, eval)).collect();
    if plots.is_empty() { plots } else { format!("<div class=\"plots\">\n{plots}</div>\n") }
}

fn plot(runs: &[Run], eval: &str) -> Option<String> {
    let groups = groups(runs, eval);
    let (_, first) = groups.first()?.scores.first()?;
    let metric = first.metric;
    if groups.len() < 2 {
        return None;
    }
    let points: Vec<Point> = groups.iter().map(|group| point(group, eval, groups.len() <= NAMED)).collect();
    let mut levels = Vec::new();
    let all = || groups.iter().flat_map(|group| group.scores.iter().map(|(_, score)| *score));
    if let Some(baseline) = all().find_map(|score| score.baseline) {
        levels.push(Level { y: baseline, name: format!("untouched model {}", table::number(metric, baseline)) });
    }
    if let Some(majority) = all().find_map(|score| score.majority) {
        levels.push(Level { y: majority, name: format!("majority class {}", units::percent(majority)) });
    }
    let intervals = points.iter().filter_map(|point| point.interval).flatten();
    let values: Vec<f64> =
        points.iter().map(|point| point.y).chain(levels.iter().map(|level| level.y)).chain(intervals).collect();
    let shares: Vec<f64> = points.iter().map(|point| point.x).collect();
    let label = |value: f64| tick(metric, value);
    let percent = |value: f64| format!("{} %", number(value));
    let summary: Vec<String> = points.iter().map(|point| point.label.clone()).collect();
    let plot = Plot {
        title: &format!("{eval}, {}", metric.name()),
        summary: summary.join("; "),
        x: Axis::logarithmic(shares.into_iter()),
        y: Axis::linear(values.into_iter(), 5),
        x_title: "trained parameters, % of the model (logarithmic)",
        x_label: &percent,
        y_label: &label,
        series: vec![Series { name: eval.to_owned(), mark: Mark::Dots, points }],
        levels,
    };
    Some(plot.html())
}

/// Runs that differ by their seed alone are one point; those without this eval are left out.
fn groups<'a>(runs: &'a [Run], eval: &str) -> Vec<Group<'a>> {
    let scored: Vec<(&Run, f64, Score)> = runs
        .iter()
        .filter_map(|run| {
            let score = run.scores().into_iter().find(|(name, _)| *name == eval)?.1;
            Some((run, run.plan.as_ref()?.parameters.share, score))
        })
        .collect();
    let point = |run: &'a Run| run.plan.as_ref().map_or(&[][..], |plan| plan.point.as_slice());
    // Runs of other texts of the spec may have no point, or other parameters at the same one.
    let keys: Vec<Vec<PointValue>> = scored
        .iter()
        .map(|(run, share, _)| {
            let own = if point(run).is_empty() { run.digits.clone() } else { String::new() };
            let extra = PointValue { path: "run".to_owned(), value: format!("{own} {share}") };
            point(run).iter().cloned().chain([extra]).collect()
        })
        .collect();
    let groups = sweep::groups(keys.iter().map(Vec::as_slice));
    groups
        .into_iter()
        .filter_map(|members| {
            let members: Vec<&(&Run, f64, Score)> =
                members.into_iter().filter_map(|member| scored.get(member)).collect();
            let (run, share, _) = **members.first()?;
            let values: Vec<PointValue> = point(run).iter().filter(|value| value.path != "seed").cloned().collect();
            let name = if values.is_empty() { run.label() } else { sweep::label(&values) };
            Some(Group { name, share, scores: members.iter().map(|(run, _, score)| (*run, *score)).collect() })
        })
        .collect()
}

/// Mean over seeds ± the standard deviation; of one run its own score and interval.
fn point(group: &Group<'_>, eval: &str, named: bool) -> Point {
    let scores: Vec<f64> = group.scores.iter().map(|(_, score)| score.tuned).collect();
    let (mean, deviation) = sweep::mean_and_deviation(&scores).unwrap_or((f64::NAN, None));
    let interval = match (deviation, group.scores.as_slice()) {
        (Some(deviation), _) => Some([mean - deviation, mean + deviation]),
        (None, [(run, score)]) => of_score(run, eval, *score),
        _ => None,
    };
    let metric = group.scores.first().map(|(_, score)| score.metric);
    let written = |value: f64| metric.map_or_else(String::new, |metric| table::number(metric, value));
    let spread = match (deviation, interval) {
        (Some(deviation), _) => format!(" ± {} over {}", written(deviation), units::counted(scores.len(), "seed")),
        (None, Some([low, high])) => format!(", 95 % interval {} to {}", written(low), written(high)),
        _ => String::new(),
    };
    let share = units::small_percent(group.share);
    Point {
        x: group.share * 100.0,
        y: mean,
        interval,
        label: format!("{}: {}{spread}, {share} of the model", group.name, written(mean)),
        name: if named { short(&group.name) } else { String::new() },
    }
}

/// The 95 % interval of a run's score.
pub fn of_score(run: &Run, eval: &str, score: Score) -> Option<Interval> {
    match score.metric.compares_answers() {
        true => scores::of_share(score.tuned, score.rows),
        false => run.rows(eval)?.perplexity(|row| row.tuned.as_ref()),
    }
}

/// `rank = 4` for `intervene.edit.rank = 4`: the title of the page tells the rest.
fn short(name: &str) -> String {
    let part = |part: &str| match part.split_once(" = ") {
        Some((path, value)) => format!("{} = {value}", path.rsplit('.').next().unwrap_or(path)),
        None => part.to_owned(),
    };
    name.split(", ").map(part).collect::<Vec<_>>().join(", ")
}
