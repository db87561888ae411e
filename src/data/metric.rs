//! Metrics: from answers and golds to one number.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of rows whose answer equals the gold; numbers are equal within 1e-3, text without regard to case.
    Accuracy,
    /// The share of rows whose answer is the gold, letter for letter.
    ExactMatch,
    /// exp of the mean loss of target tokens.
    Perplexity,
}

/// The largest difference of two equal numbers, as in pyreft's arithmetic tasks.
const TOLERANCE: f64 = 1e-3;

/// The commonest gold of a split: what a model scores that always answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Majority {
    pub answer: String,
    pub share: f64,
}

impl Metric {
    /// Every metric, in the order of the documentation.
    pub const ALL: [Metric; 3] = [Metric::Accuracy, Metric::ExactMatch, Metric::Perplexity];

    /// The name in the language and in tables: `exact_match`.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::ExactMatch => "exact_match",
            Metric::Perplexity => "perplexity",
        }
    }

    /// The metric of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether outputs are generated and answers compared; perplexity needs losses only.
    pub const fn compares_answers(self) -> bool {
        !matches!(self, Metric::Perplexity)
    }

    /// Whether a smaller value is the better one.
    pub const fn smaller_is_better(self) -> bool {
        matches!(self, Metric::Perplexity)
    }

    /// Whether an answer is right. White space around either side never counts; an output without an answer is wrong. No
    /// answer is right for perplexity, which compares none.
    pub fn correct(self, answer: Option<&str>, gold: &str) -> bool {
        let Some(answer) = answer.map(str::trim) else { return false };
        let gold = gold.trim();
        match self {
            Metric::Accuracy => match (number(answer), number(gold)) {
                (Some(answer), Some(gold)) => (answer - gold).abs() <= TOLERANCE,
                _ => answer.to_lowercase() == gold.to_lowercase(),
            },
            Metric::ExactMatch => answer == gold,
            Metric::Perplexity => false,
        }
    }

    /// The commonest gold and its share of all rows, where golds are the same that the metric takes for the same text (in lower case for
    /// accuracy). Of equally common ones the alphabetically first; `None` without golds.
    pub fn majority<'a>(self, golds: impl IntoIterator<Item = &'a str>) -> Option<Majority> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for gold in golds {
            let gold = gold.trim();
            let gold = if self == Metric::Accuracy { gold.to_lowercase() } else { gold.to_string() };
            *counts.entry(gold).or_default() += 1;
        }
        let rows: usize = counts.values().sum();
        let (answer, count) = counts.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        Some(Majority { answer, share: share(count, rows) })
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of `accuracy` and `exact_match`; 0 where there are no rows.
pub fn share(correct: usize, rows: usize) -> f64 {
    if rows == 0 { 0.0 } else { correct as f64 / rows as f64 }
}

/// The value of `perplexity`, from the sum of the losses (natural logarithms) of `tokens` target tokens; not a number where there are none.
pub fn perplexity(loss_sum: f64, tokens: usize) -> f64 {
    (loss_sum / tokens as f64).exp()
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}
