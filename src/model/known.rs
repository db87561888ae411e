//! What may be known of a model without its weights.

use super::config::ModelConfig;
use crate::data::chat::ChatTemplate;
use crate::data::tokenizer::Tokenizer;
use crate::diag::Result;
use std::sync::Arc;

/// What `check` may know about a model. Each part is read when it is first asked for.
pub trait KnownModel {
    /// The model's shape.
    ///
    /// # Errors
    /// Where the config is unreadable (E0302) or of a family that reftc has no decoder for (E0303).
    fn config(&self) -> Result<ModelConfig>;

    /// The tokenizer.
    ///
    /// # Errors
    /// Where it is missing, unreadable, or does not fit the model (E0304).
    fn tokenizer(&self) -> Result<Arc<Tokenizer>>;

    /// The chat template, if the model has one.
    ///
    /// # Errors
    /// Where it cannot be compiled (E0310).
    fn chat_template(&self) -> Result<Option<ChatTemplate>>;

    /// Digests of what decides tokens and numbers.
    ///
    /// # Errors
    /// Where a file cannot be read.
    fn digests(&self) -> Result<ModelDigests>;
}

/// SHA-256 digests of what a model is made of, 64 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDigests {
    pub tokenizer: String,
    /// Config and weights; without the weights at hand, of the model's name.
    pub weights: String,
    /// The weights are not at hand.
    pub provisional: bool,
}
