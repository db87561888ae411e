//! A split: rows, and how they become tokens.

use super::source::Source;
use super::template::Template;
use serde::{Deserialize, Serialize};

/// Rows, and how they become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    pub source: Source,
    pub prompt: Template,
    pub target: Template,
    /// The model's end token is appended to the target.
    pub eos: bool,
    pub overlong: Overlong,
    /// Tokens; prompt and target together are cut to this many.
    pub max_length: usize,
}

/// What becomes of a row that is longer than `max_length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    CutRight,
    CutLeft,
    Drop,
}
