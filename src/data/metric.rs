//! Metrics: from answers and golds to one number.

use serde::{Deserialize, Serialize};

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
