//! Scores as tables, each with its 95 % interval.

use super::efficiency::of_score;
use super::markup::{Side, Table, escape};
use super::run::{Run, Score};
use crate::report::{table, units};
use crate::statistics::{Interval, scores};

/// What the intervals are.
const NOTE: &str = "<p class=\"small\">Under each score its 95 % interval: of shares by Wilson's formula, of perplexities by a bootstrap over rows.</p>\n";

/// The evals of one run: the untouched model, the tuned one, the commonest answer, and how many rows changed sides.
pub fn evals(run: &Run) -> String {
    let scores = run.scores();
    if scores.is_empty() {
        return "<p>No eval is finished yet.</p>\n".to_owned();
    }
    let titles = ["untouched model", "tuned", "change", "majority class", "rows", "fixed", "broken"];
    let mut columns = vec![("eval".to_owned(), Side::Text), ("metric".to_owned(), Side::Text)];
    columns.extend(titles.map(|title| (title.to_owned(), Side::Number)));
    let row = |(eval, score): &(&str, Score)| {
        let metric = score.metric;
        let rows = run.rows(eval);
        let before = score.baseline.map(|baseline| {
            let interval = match metric.compares_answers() {
                true => scores::of_share(baseline, score.rows),
                false => rows.and_then(|rows| rows.perplexity(|row| row.baseline.as_ref())),
            };
            with_interval(*score, baseline, interval)
        });
        let flips = rows.filter(|_| metric.compares_answers()).and_then(|rows| rows.flips());
        let flipped = |count: Option<usize>, kind: &str| match count {
            Some(count) => {
                format!("<a href=\"#eval={}&amp;show={kind}\">{}</a>", fragment(eval), units::count(count as u64))
            }
            None => "–".to_owned(),
        };
        let change = score.baseline.map_or_else(|| "–".to_owned(), |before| table::change(metric, before, score.tuned));
        let better = score.baseline.map(|before| (score.tuned > before) != metric.smaller_is_better());
        let class = match better.filter(|_| score.baseline != Some(score.tuned)) {
            Some(true) => "good",
            Some(false) => "bad",
            None => "even",
        };
        vec![
            escape(eval),
            metric.name().to_owned(),
            before.unwrap_or_else(|| "–".to_owned()),
            format!("<strong>{}</strong>", with_interval(*score, score.tuned, of_score(run, eval, *score))),
            format!("<span class=\"{class}\">{}</span>", escape(&change)),
            score.majority.map_or_else(|| "–".to_owned(), units::percent),
            units::count(score.rows as u64),
            flipped(flips.map(|flips| flips.fixed), "fixed"),
            flipped(flips.map(|flips| flips.broken), "broken"),
        ]
    };
    let rows = scores.iter().map(row).collect();
    format!("{}{NOTE}", Table { caption: "Scores of the evals", columns, rows }.html())
}

/// The runs of an experiment, a row each.
pub fn runs(runs: &[Run]) -> String {
    let mut evals: Vec<(&str, Score)> = Vec::new();
    for (name, score) in runs.iter().flat_map(Run::scores) {
        if evals.iter().all(|(known, _)| *known != name) {
            evals.push((name, score));
        }
    }
    let mut columns = vec![("run".to_owned(), Side::Text), ("folder".to_owned(), Side::Text)];
    columns.extend(["parameters", "of the model", "steps"].map(|title| (title.to_owned(), Side::Number)));
    columns.extend(evals.iter().map(|(name, score)| (format!("{name} {}", score.metric.name()), Side::Number)));
    let mut rows = Vec::new();
    if evals.iter().any(|(_, score)| score.baseline.is_some()) {
        let dashes = ["–", "0", "0 %", "0"].map(str::to_owned);
        let untouched = evals.iter().map(|(_, score)| match score.baseline {
            Some(baseline) if score.metric.compares_answers() => {
                with_interval(*score, baseline, scores::of_share(baseline, score.rows))
            }
            Some(baseline) => table::number(score.metric, baseline),
            None => "–".to_owned(),
        });
        rows.push([vec!["untouched model".to_owned()], dashes.to_vec(), untouched.collect()].concat());
    }
    for run in runs {
        let parameters = run.plan.as_ref().map(|plan| plan.parameters);
        let dash = || "–".to_owned();
        let mut row = vec![
            escape(&run.label()),
            format!("<a href=\"{0}/report.html\">{0}</a>", escape(&run.digits)),
            parameters.map_or_else(dash, |parameters| units::count(parameters.interventions)),
            parameters.map_or_else(dash, |parameters| units::small_percent(parameters.share)),
            state(run),
        ];
        let scores = run.scores();
        row.extend(evals.iter().map(|(name, _)| match scores.iter().find(|(own, _)| own == name) {
            Some((_, score)) => {
                let interval = of_score(run, name, *score);
                format!("<strong>{}</strong>", with_interval(*score, score.tuned, interval))
            }
            None => dash(),
        }));
        rows.push(row);
    }
    format!("{}{NOTE}", Table { caption: "Runs and their scores", columns, rows }.html())
}

/// `39`, or `12 of 39` while a run is unfinished.
fn state(run: &Run) -> String {
    let (done, all) = run.steps();
    match all {
        Some(all) if !run.finished => format!("{} of {}", units::count(done as u64), units::count(all as u64)),
        _ => units::count(done as u64),
    }
}

fn with_interval(score: Score, value: f64, interval: Option<Interval>) -> String {
    let written = escape(&table::number(score.metric, value));
    let bare = |value: f64| escape(table::number(score.metric, value).trim_end_matches(" %"));
    match interval {
        Some([low, high]) => format!("{written}<small>{} – {}</small>", bare(low), bare(high)),
        None => written,
    }
}

/// A name for the part of an address behind `#`. Names of evals are words, so this changes nothing but damaged ones.
fn fragment(name: &str) -> String {
    let keep = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    escape(&name.chars().filter(|letter| keep(*letter)).collect::<String>())
}
