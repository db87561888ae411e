//! The forms in which the rows of a split become tokens.

use super::chat::ChatTemplate;
use super::choices::{Choices, encode_choices};
use super::encode::{Encoded, encode_prompts, encode_split};
use super::rows::Rows;
use super::split::Split;
use super::tokenizer::Tokenizer;
use crate::diag::Result;
use serde::Serialize;

/// What of a row is tokenised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form<'a> {
    /// Prompt and target, for training and for losses.
    Targets,
    /// The prompt alone, for generation.
    Prompts,
    /// The prompt with each of the choices.
    Choices(&'a Choices),
}

impl Form<'_> {
    /// The rows as tokens.
    ///
    /// # Errors
    /// Those of [`encode_split`].
    pub fn encode(
        self,
        rows: &Rows,
        split: &Split,
        tokenizer: &Tokenizer,
        chat: Option<&ChatTemplate>,
    ) -> Result<Encoded> {
        match self {
            Form::Targets => encode_split(rows, split, tokenizer, chat),
            Form::Prompts => encode_prompts(rows, split, tokenizer, chat),
            Form::Choices(choices) => encode_choices(rows, split, choices, tokenizer, chat),
        }
    }
}
