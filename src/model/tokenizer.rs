//! Tokenizers: from tokenizer.json, and checked against the model.

use super::config::ModelConfig;
use crate::diag::{self, Code, Diagnostic};
use std::path::Path;
use tokenizers::Tokenizer;

/// Reads the bytes of a tokenizer.json; `file` is named in errors (E0302).
pub fn from_json(bytes: &[u8], file: &Path) -> diag::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| unreadable(file, &error.to_string()))?;
    tokenizer.with_truncation(None).map_err(|error| unreadable(file, &error.to_string()))?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// E0304 where the tokenizer, added tokens included, gives ids that the model has no embedding for.
pub fn check_fits(tokenizer: &Tokenizer, config: &ModelConfig) -> diag::Result<()> {
    // Where as many ids below the model's are tokens as there are tokens, none is above; a list of all would be slow.
    let tokens = tokenizer.get_vocab_size(true);
    let ids = 0..config.vocabulary.min(2 * tokens) as u32;
    if ids.filter(|&id| tokenizer.id_to_token(id).is_some()).count() == tokens {
        return Ok(());
    }
    let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
    if highest < config.vocabulary {
        return Ok(());
    }
    let message =
        format!("the tokenizer has token ids up to {highest}, but the model embeds only {} tokens", config.vocabulary);
    let help = "use the tokenizer and the weights of one and the same model";
    let token = tokenizer.id_to_token(highest as u32).unwrap_or_default();
    Err(Box::new(
        Diagnostic::new(Code::TokenizerMismatch, message).help(help).note(format!("token {highest} is `{token}`")),
    ))
}

/// E0302 for a tokenizer that cannot be built.
pub fn unreadable(file: &Path, error: &str) -> Box<Diagnostic> {
    let message = format!("the tokenizer in {} cannot be read: {error}", file.display());
    Box::new(Diagnostic::new(Code::ModelUnreadable, message).in_file(file, None))
}
