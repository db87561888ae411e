//! The rows of evals as data for the page's script, which shows a few at a time.

use super::markup::json;
use super::rows::{Output, Row};
use super::run::Run;
use serde::Serialize;
use std::collections::BTreeMap;

/// Texts of rows beyond so many bytes are left out: a browser has to hold all of them.
const BYTES: usize = 48 << 20;

/// What the script reads.
#[derive(Default, Serialize)]
struct Data<'a> {
    /// Each text once: prompts and outputs of the untouched model are the same for every point of a sweep.
    texts: Vec<&'a str>,
    views: Vec<View<'a>>,
}

/// The rows of one eval of one run.
#[derive(Serialize)]
struct View<'a> {
    run: String,
    eval: &'a str,
    /// `answers`, `choices` or `losses`
    kind: &'static str,
    /// The untouched model was measured too.
    paired: bool,
    /// Rows of the split; some of them may be left out.
    total: usize,
    rows: Vec<Sample>,
}

/// Number, prompt, gold, what the untouched model gave, what the tuned one gave; texts by their number.
type Sample = (usize, usize, usize, Option<Shown>, Option<Shown>);

/// What one of the two gave.
#[derive(Serialize)]
struct Shown {
    text: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<usize>,
    correct: bool,
    /// The mean loss of the target's tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<(usize, Option<f64>)>,
}

/// Texts by number.
#[derive(Default)]
struct Texts<'a> {
    numbers: BTreeMap<&'a str, usize>,
    texts: Vec<&'a str>,
    bytes: usize,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        *self.numbers.entry(text).or_insert_with(|| {
            self.bytes += text.len();
            self.texts.push(text);
            self.texts.len() - 1
        })
    }

    fn shown(&mut self, output: &'a Output) -> Shown {
        let choices = output.scores.iter().map(|choice| (self.number(&choice.choice), choice.score)).collect();
        Shown {
            text: self.number(&output.text),
            answer: output.answer.as_deref().map(|answer| self.number(answer)),
            correct: output.correct,
            loss: output.loss.and_then(|loss| Some(loss.sum? / loss.tokens.max(1) as f64)),
            choices,
        }
    }
}

/// The section; empty where no eval has rows.
pub fn html(runs: &[Run]) -> String {
    let mut texts = Texts::default();
    let mut data = Data::default();
    for run in runs {
        for eval in run.evals.iter().filter(|eval| !eval.rows.is_empty()) {
            let both = |row: &Row| row.baseline.is_some() && row.tuned.is_some();
            let any = |test: &dyn Fn(&Output) -> bool| {
                eval.rows.iter().flat_map(|row| row.baseline.iter().chain(&row.tuned)).any(test)
            };
            let kind = match () {
                () if any(&|output| output.loss.is_some()) => "losses",
                () if any(&|output| !output.scores.is_empty()) => "choices",
                () => "answers",
            };
            let mut rows = Vec::new();
            for row in &eval.rows {
                if texts.bytes > BYTES {
                    break;
                }
                let (prompt, gold) = (texts.number(&row.prompt), texts.number(&row.gold));
                let before = row.baseline.as_ref().map(|output| texts.shown(output));
                let after = row.tuned.as_ref().map(|output| texts.shown(output));
                rows.push((row.number, prompt, gold, before, after));
            }
            let (paired, total) = (eval.rows.iter().any(both), eval.rows.len());
            data.views.push(View { run: run.label(), eval: &eval.name, kind, paired, total, rows });
        }
    }
    if data.views.is_empty() {
        return "<p>No rows yet.</p>\n".to_owned();
    }
    data.texts = texts.texts;
    format!("{CONTROLS}<script type=\"application/json\" id=\"rows\">{}</script>\n", json(&data))
}

/// Filled by the script; the buttons that a view has no use for are hidden there.
const CONTROLS: &str = "\
<noscript><p>The rows are shown by a script, and this browser runs none.</p></noscript>
<form class=\"controls\" id=\"controls\" role=\"search\" hidden>
<label>run <select id=\"run\"></select></label>
<label>eval <select id=\"eval\"></select></label>
<div class=\"buttons\" role=\"group\" aria-label=\"rows to show\" id=\"show\"></div>
<label class=\"search\">search <input type=\"search\" id=\"search\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"prompt, output, gold\"></label>
</form>
<p class=\"small\" id=\"count\" role=\"status\" aria-live=\"polite\"></p>
<div id=\"samples\"></div>
<nav class=\"pages\" id=\"pages\" aria-label=\"pages of rows\" hidden></nav>
";
