//! The head of a page: what it is about, how far it is, and the numbers that matter most.

use super::markup::escape;
use super::run::{Run, Score};
use crate::report::{sweep, table, units};

/// Tiles beyond so many are left to the table.
const TILES: usize = 4;

/// What a browser shows for the page.
pub fn title(runs: &[Run]) -> String {
    match runs {
        [run] => format!("{}/{}", run.experiment, run.digits),
        _ => runs
            .first()
            .map_or_else(String::new, |run| format!("{}, {}", run.experiment, units::counted(runs.len(), "run"))),
    }
}

/// Name, state and tiles.
pub fn header(runs: &[Run]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let doc = first.plan.as_ref().map(|plan| plan.doc.as_str()).filter(|doc| !doc.is_empty());
    let doc = doc.map(|doc| format!("<p class=\"doc\">{}</p>\n", escape(doc))).unwrap_or_default();
    let (name, tiles) = match runs {
        [run] => {
            let point = run.plan.as_ref().map(|plan| sweep::label(&plan.point)).unwrap_or_default();
            let point =
                if point.is_empty() { point } else { format!("<span class=\"point\">{}</span>", escape(&point)) };
            (format!("<code>{}</code>{point}", escape(&run.digits)), tiles_of_run(run))
        }
        _ => (units::counted(runs.len(), "run"), tiles_of_runs(runs)),
    };
    let (class, state) = state(runs);
    format!(
        "<header>\n<p class=\"kind\">experiment</p>\n<h1>{} <small>{name}</small></h1>\n{doc}<p class=\"state {class}\">{}</p>\n\
         <ul class=\"tiles\">\n{}</ul>\n</header>\n",
        escape(&first.experiment),
        escape(&state),
        tiles.concat()
    )
}

/// One line of state, and its class.
fn state(runs: &[Run]) -> (&'static str, String) {
    if let [run] = runs {
        let (done, all) = run.steps();
        let scores: Vec<String> = run
            .scores()
            .iter()
            .map(|(eval, score)| {
                let before =
                    score.baseline.map(|before| format!(" (untouched {})", table::number(score.metric, before)));
                format!(
                    "{eval} {} {}{}",
                    score.metric.name(),
                    table::number(score.metric, score.tuned),
                    before.unwrap_or_default()
                )
            })
            .collect();
        let scores = if scores.is_empty() { String::new() } else { format!(": {}", scores.join(", ")) };
        return match all {
            _ if run.finished => ("finished", format!("finished after {}{scores}", units::counted(done, "step"))),
            Some(all) => (
                "unfinished",
                format!("unfinished, at step {} of {}{scores}", units::count(done as u64), units::count(all as u64)),
            ),
            None => ("unfinished", format!("unfinished, at step {}{scores}", units::count(done as u64))),
        };
    }
    let finished = runs.iter().filter(|run| run.finished).count();
    match finished == runs.len() {
        true => ("finished", format!("all {} finished", units::counted(finished, "run"))),
        false => ("unfinished", format!("{finished} of {} finished", units::counted(runs.len(), "run"))),
    }
}

fn tile(title: &str, value: &str, under: &str) -> String {
    format!(
        "<li><span class=\"what\">{}</span><span class=\"value\">{}</span><span class=\"under\">{}</span></li>\n",
        escape(title),
        escape(value),
        escape(under)
    )
}

fn tiles_of_run(run: &Run) -> Vec<String> {
    let of_score = |(eval, score): &(&str, Score)| {
        let under = match score.baseline {
            Some(before) => format!("untouched {}", table::number(score.metric, before)),
            None => units::counted(score.rows, "row"),
        };
        tile(&format!("{eval}, {}", score.metric.name()), &table::number(score.metric, score.tuned), &under)
    };
    let mut tiles: Vec<String> = run.scores().iter().take(TILES).map(of_score).collect();
    if let Some(plan) = &run.plan {
        let share = format!("{} of the model", units::small_percent(plan.parameters.share));
        tiles.push(tile("trained parameters", &units::count(plan.parameters.interventions), &share));
    }
    if let Some(last) = run.metrics.steps.last() {
        let under = format!("loss {}", super::scale::number(last.loss));
        tiles.push(tile("steps", &units::count(last.step as u64), &under));
    }
    tiles
}

/// The best score of each eval.
fn tiles_of_runs(runs: &[Run]) -> Vec<String> {
    let mut evals: Vec<(&str, Score, &Run)> = Vec::new();
    for run in runs {
        for (name, score) in run.scores() {
            match evals.iter_mut().find(|(known, ..)| *known == name) {
                Some(best) => {
                    let better = match score.metric.smaller_is_better() {
                        true => score.tuned < best.1.tuned,
                        false => score.tuned > best.1.tuned,
                    };
                    if better {
                        *best = (name, score, run);
                    }
                }
                None => evals.push((name, score, run)),
            }
        }
    }
    let best = |(name, score, run): &(&str, Score, &Run)| {
        tile(&format!("best {name}, {}", score.metric.name()), &table::number(score.metric, score.tuned), &run.label())
    };
    evals.iter().take(TILES).map(best).collect()
}
