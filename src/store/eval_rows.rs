//! The rows of `eval/NAME.jsonl` as later commands read them; what is missing of a line is left empty.

use serde::Deserialize;

/// One row of an evaluation by one of the two models.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EvalLine {
    /// `baseline` or `tuned`.
    pub subject: String,
    /// The number of the row in its split, from 0.
    pub row: usize,
    pub prompt: String,
    #[serde(default)]
    pub output: String,
    /// `None` where the extractor found none.
    #[serde(default)]
    pub answer: Option<String>,
    #[serde(default)]
    pub gold: String,
    #[serde(default)]
    pub correct: bool,
    #[serde(default)]
    pub loss: Option<Loss>,
    #[serde(default)]
    pub scores: Vec<Choice>,
}

/// The loss of the target of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Loss {
    /// Natural logarithms, over all tokens; `None` where it was no number.
    #[serde(default)]
    pub sum: Option<f64>,
    pub tokens: usize,
}

/// A choice and its log-likelihood.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Choice {
    pub choice: String,
    pub score: Option<f64>,
}

/// The lines of a file that are rows; those that cannot be read are left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = EvalLine> + '_ {
    bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
