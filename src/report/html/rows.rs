//! The rows of an eval, the untouched model's beside the tuned one's.

use crate::statistics::{Interval, scores};
use crate::store::eval_rows::{Choice, EvalLine, Loss, lines};
use std::collections::BTreeMap;
use std::path::Path;

/// The rows of `eval/NAME.jsonl`.
pub struct EvalRows {
    pub name: String,
    /// In the order of the split.
    pub rows: Vec<Row>,
}

/// One row of the split.
pub struct Row {
    /// Its number in the split, from 0.
    pub number: usize,
    pub prompt: String,
    pub gold: String,
    pub baseline: Option<Output>,
    pub tuned: Option<Output>,
}

/// What one of the two gave.
pub struct Output {
    pub text: String,
    /// `None` where the extractor found none.
    pub answer: Option<String>,
    pub correct: bool,
    pub loss: Option<Loss>,
    pub scores: Vec<Choice>,
}

/// How many rows the edit made right, and how many wrong.
#[derive(Clone, Copy, Default)]
pub struct Flips {
    pub fixed: usize,
    pub broken: usize,
}

impl EvalRows {
    /// Reads a file; lines that are no rows are passed over.
    pub fn read(path: &Path, name: impl Into<String>) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
        for line in lines(&bytes) {
            let EvalLine { subject, row, prompt, output, answer, gold, correct, loss, scores } = line;
            let output = Output { text: output, answer, correct, loss, scores };
            let row = rows.entry(row).or_insert(Row { number: row, prompt, gold, baseline: None, tuned: None });
            match subject.as_str() {
                "baseline" => row.baseline = Some(output),
                _ => row.tuned = Some(output),
            }
        }
        Self { name: name.into(), rows: rows.into_values().collect() }
    }

    /// What the edit changed; `None` where the untouched model was not measured.
    pub fn flips(&self) -> Option<Flips> {
        let pairs = self.rows.iter().filter_map(|row| Some((row.baseline.as_ref()?, row.tuned.as_ref()?)));
        let mut flips = None::<Flips>;
        for (before, after) in pairs {
            let flips = flips.get_or_insert_default();
            flips.fixed += usize::from(!before.correct && after.correct);
            flips.broken += usize::from(before.correct && !after.correct);
        }
        flips
    }

    /// A 95 % interval of the perplexity of one of the two, from the losses of its rows.
    pub fn perplexity(&self, output: impl Fn(&Row) -> Option<&Output>) -> Option<Interval> {
        let losses = self.rows.iter().filter_map(|row| output(row)?.loss);
        let losses: Vec<(f64, usize)> = losses.filter_map(|loss| Some((loss.sum?, loss.tokens))).collect();
        scores::of_perplexity(&losses)
    }
}
