//! How a training went: loss, learning rate, gradient norm, and the scores along the way.

use super::plot::{Level, Mark, Plot, Point, Series};
use super::run::Run;
use super::scale::{Axis, number};
use crate::data::metric::Metric;
use crate::report::metrics::Step;
use crate::report::{table, units};
use std::collections::BTreeMap;

/// A line is drawn from the extremes of so many stretches of it.
const STRETCHES: usize = 280;
/// Fewer points are not smoothed.
const SMOOTHED: usize = 30;

/// The plots of one run, or of several in the same axes; empty where nothing was measured.
pub fn html(runs: &[Run]) -> String {
    let last = runs.iter().filter_map(|run| run.metrics.steps.last()).map(|step| step.step).max();
    let Some(last) = last else { return "<p>No step is done yet.</p>\n".to_owned() };
    let plots = [
        of_steps(runs, last, "Loss", "loss", |step| step.loss),
        of_steps(runs, last, "Learning rate", "rate", |step| step.learning_rate),
        of_steps(runs, last, "Gradient norm, before clipping", "norm", |step| step.gradient_norm),
    ];
    let plots: String = plots.into_iter().chain(along(runs, last)).collect();
    format!("<div class=\"plots\">\n{plots}</div>\n")
}

fn of_steps(runs: &[Run], last: usize, title: &str, what: &str, value: impl Fn(&Step) -> f64) -> String {
    let mut series = Vec::new();
    for run in runs.iter().filter(|run| !run.metrics.steps.is_empty()) {
        let steps = &run.metrics.steps;
        let values: Vec<(usize, f64)> = steps.iter().map(|step| (step.step, value(step))).collect();
        let name = if runs.len() > 1 { format!("{}: ", run.label()) } else { String::new() };
        let point = |(step, y): (usize, f64)| Point {
            x: step as f64,
            y,
            interval: None,
            label: format!("{name}step {}, {what} {}", units::count(step as u64), number(y)),
            name: String::new(),
        };
        // The curve itself stays in sight: a mean hides what a single step did.
        if what == "loss" && runs.len() == 1 && steps.len() >= SMOOTHED {
            let points = thinned(&values).into_iter().map(point).collect();
            series.push(Series { name: String::new(), mark: Mark::Faint, points });
            let mean = thinned(&smoothed(&values)).into_iter();
            let raw: BTreeMap<usize, f64> = values.iter().copied().collect();
            let label = |step: usize, mean: f64| {
                let own = raw.get(&step).copied().unwrap_or(f64::NAN);
                format!("step {}, loss {}, mean {}", units::count(step as u64), number(own), number(mean))
            };
            let points = mean.map(|(step, y)| Point { label: label(step, y), ..point((step, y)) }).collect();
            series.push(Series { name: run.label(), mark: Mark::Line, points });
        } else {
            let points = thinned(&values).into_iter().map(point).collect();
            series.push(Series { name: run.label(), mark: Mark::Line, points });
        }
    }
    let all = || runs.iter().flat_map(|run| run.metrics.steps.iter().map(&value));
    let ends = |run: &Run| {
        Some(format!(
            "from {} to {}",
            number(value(run.metrics.steps.first()?)),
            number(value(run.metrics.steps.last()?))
        ))
    };
    let summary: Vec<String> = runs.iter().filter_map(ends).collect();
    Plot {
        title,
        summary: format!("over {}, {}", units::counted(last, "step"), summary.join("; ")),
        x: Axis::counts(1, last, 6),
        y: Axis::linear(all().chain([0.0]), 5),
        x_title: "step",
        x_label: &number,
        y_label: &number,
        series,
        levels: Vec::new(),
    }
    .html()
}

/// A plot for each eval that was measured while the training went on, with its score after it.
fn along(runs: &[Run], last: usize) -> Vec<String> {
    let mut names: Vec<(&str, Metric)> = Vec::new();
    for score in runs.iter().flat_map(|run| &run.metrics.scores) {
        if !names.contains(&(&score.eval, score.metric)) {
            names.push((&score.eval, score.metric));
        }
    }
    names.into_iter().map(|(eval, metric)| of_eval(runs, last, eval, metric)).collect()
}

fn of_eval(runs: &[Run], last: usize, eval: &str, metric: Metric) -> String {
    let (mut series, mut levels) = (Vec::new(), Vec::new());
    for run in runs {
        let own = run.metrics.scores.iter().filter(|score| score.eval == eval);
        let mut values: Vec<(usize, f64)> = own.map(|score| (score.step, score.value)).collect();
        if values.is_empty() {
            continue;
        }
        let end = run.scores().into_iter().find(|(name, _)| *name == eval).map(|(_, score)| score);
        let steps = run.steps().0;
        if let Some(end) = end.filter(|_| values.iter().all(|(step, _)| *step < steps)) {
            values.push((steps, end.tuned));
        }
        if let Some(baseline) = end.and_then(|end| end.baseline).filter(|_| levels.is_empty()) {
            levels.push(Level { y: baseline, name: format!("untouched model {}", table::number(metric, baseline)) });
        }
        let name = if runs.len() > 1 { format!("{}: ", run.label()) } else { String::new() };
        let point = |(step, y): (usize, f64)| Point {
            x: step as f64,
            y,
            interval: None,
            label: format!("{name}step {}, {}", units::count(step as u64), table::number(metric, y)),
            name: String::new(),
        };
        series.push(Series { name: run.label(), mark: Mark::Line, points: values.into_iter().map(point).collect() });
    }
    let all = series.iter().flat_map(|series| series.points.iter().map(|point| point.y));
    let all: Vec<f64> = all.chain(levels.iter().map(|level| level.y)).collect();
    let label = |value: f64| tick(metric, value);
    Plot {
        title: &format!("{eval}, {}", metric.name()),
        summary: format!("{}, measured while the training went on", units::counted(series.len(), "run")),
        x: Axis::counts(1, last, 6),
        y: Axis::linear(all.into_iter(), 5),
        x_title: "step",
        x_label: &number,
        y_label: &label,
        series,
        levels,
    }
    .html()
}

/// A score beside an axis: `75 %`, `12.5`.
pub fn tick(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Accuracy | Metric::ExactMatch => format!("{} %", number((value * 1e6).round() / 1e4)),
        Metric::Perplexity => number(value),
    }
}

/// What is drawn of a long line: of each stretch its first, lowest, highest and last point.
fn thinned(values: &[(usize, f64)]) -> Vec<(usize, f64)> {
    if values.len() <= 4 * STRETCHES {
        return values.to_vec();
    }
    let mut kept = Vec::new();
    for stretch in values.chunks(values.len().div_ceil(STRETCHES)) {
        let by_size = |left: &&(usize, f64), right: &&(usize, f64)| left.1.total_cmp(&right.1);
        let extremes =
            [stretch.first(), stretch.iter().min_by(by_size), stretch.iter().max_by(by_size), stretch.last()];
        let mut extremes: Vec<(usize, f64)> = extremes.into_iter().flatten().copied().collect();
        extremes.sort_by_key(|(step, _)| *step);
        extremes.dedup_by_key(|(step, _)| *step);
        kept.extend(extremes);
    }
    kept
}

/// An exponential mean over about a twentieth of the line, whose beginning is not pulled towards 0.
fn smoothed(values: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let keep = 1.0 - 1.0 / (values.len() as f64 / 20.0).clamp(3.0, 200.0);
    let (mut mean, mut weight) = (0.0, 0.0);
    let smooth = |&(step, value): &(usize, f64)| {
        if value.is_finite() {
            mean = mean * keep + value * (1.0 - keep);
            weight = weight * keep + (1.0 - keep);
        }
        (step, if weight > 0.0 { mean / weight } else { f64::NAN })
    };
    values.iter().map(smooth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_extremes() {
        let mut values: Vec<(usize, f64)> = (1..=100_000).map(|step| (step, 1.0 / step as f64)).collect();
        values[54_321].1 = 7.0;
        values[77_777].1 = -3.0;
        let kept = thinned(&values);
        assert!(kept.len() <= 4 * STRETCHES && kept.is_sorted_by_key(|(step, _)| *step));
        assert!(kept.contains(&(54_322, 7.0)) && kept.contains(&(77_778, -3.0)));
        assert_eq!((kept.first(), kept.last()), (values.first(), values.last()));
    }

    #[test]
    fn a_mean_begins_at_the_first_value() {
        let mean = smoothed(&[(1, 2.0), (2, f64::NAN), (3, 2.0), (4, 5.0)]);
        assert!((mean[0].1 - 2.0).abs() < 1e-12 && (mean[2].1 - 2.0).abs() < 1e-12);
        assert!(mean[3].1 > 2.0 && mean[3].1 < 5.0);
    }
}
