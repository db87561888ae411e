//! Extractors: the answer that a generated text gives.

use serde::{Deserialize, Serialize};

/// How the answer is taken from an output, and by default from the rendered target too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extractor {
    /// The text after the first occurrence of the trigger, trimmed; nothing where the trigger is missing.
    After(String),
    /// The first group of a match (or the whole match); the first or the last match.
    Regex { pattern: String, last: bool },
    /// The last number of the text, thousands separators removed.
    LastNumber,
    /// The option that occurs first, as whole words.
    Choice(Vec<String>),
    /// The whole text, trimmed.
    Text,
}
