//! Text to token ids and back.

use crate::diag::{Code, Diagnostic, Result};
use rayon::prelude::*;
use std::ops::Range;
use tokenizers::PostProcessorWrapper;

/// A model's tokenizer: never truncates, never pads.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    start: Vec<u32>,
    finish: Vec<u32>,
    beginning: Option<u32>,
    end: Option<u32>,
}

impl Tokenizer {
    /// Wraps a tokenizer. `beginning` and `end` are the ids of the BOS and EOS tokens, as the model's configuration names them.
    ///
    /// # Errors
    /// E0304 where one of the two is no token of the vocabulary.
    pub fn new(mut inner: tokenizers::Tokenizer, beginning: Option<u32>, end: Option<u32>) -> Result<Self> {
        inner.with_truncation(None).map_err(|error| failed("cannot be set up", &error))?;
        inner.with_padding(None);
        for (name, id) in [("beginning", beginning), ("end", end)] {
            if let Some(id) = id.filter(|&id| inner.id_to_token(id).is_none()) {
                let message = format!("token {id}, the model's {name} token, is not in the tokenizer's vocabulary");
                return Err(Box::new(Diagnostic::new(Code::TokenizerMismatch, message)));
            }
        }
        let full = inner.encode_fast("a", true).map_err(|error| failed("cannot encode a text", &error))?;
        let (full, mut finish) = (full.get_ids().to_vec(), Vec::new());
        // What it does beside adding special tokens is to take white space out of the places of tokens, which must be exact.
        inner.with_post_processor(None::<PostProcessorWrapper>);
        let mut tokenizer = Self { inner, start: full.clone(), finish: Vec::new(), beginning, end };
        let plain = tokenizer.encode("a", false)?;
        let before = (0..full.len()).find(|&at| full[at..].starts_with(&plain)).filter(|_| !plain.is_empty());
        if let Some(before) = before {
            tokenizer.start = full[..before].to_vec();
            finish = full[before + plain.len()..].to_vec();
        }
        tokenizer.finish = finish;
        Ok(tokenizer)
    }

    /// The ids of a text. With `special` the tokenizer adds the special tokens that it puts around every text (often BOS, often none).
    /// Special tokens that the text itself spells out are always read as such.
    ///
    /// # Errors
    /// E0304 where the tokenizer has no token for a piece of the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|error| failed("cannot encode a text", &error))?;
        let ids = encoding.get_ids();
        Ok(if special { [self.start.as_slice(), ids, &self.finish].concat() } else { ids.to_vec() })
    }

    /// The ids of a text without special tokens around it, and the bytes that each of them stands for. Several tokens of one character have
    /// all its bytes each; a token that the text has nothing for has none.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode_placed(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<u32>>)> {
        let encoding = self.inner.encode(text, false).map_err(|error| failed("cannot encode a text", &error))?;
        let places = encoding.get_offsets().iter().map(|&(start, end)| start as u32..end as u32);
        Ok((encoding.get_ids().to_vec(), places.collect()))
    }

    /// The ids of many texts, in their order, on all threads.
    pub fn encode_batch<T: AsRef<str> + Sync>(&self, texts: &[T], special: bool) -> Result<Vec<Vec<u32>>> {
        texts.par_iter().map(|text| self.encode(text.as_ref(), special)).collect()
    }

    /// The text of ids; with `skip_special` without special tokens.
    ///
    /// # Errors
    /// E0304 where the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(|error| failed("cannot decode tokens", &error))
    }

    /// The special tokens that are put before every text: often BOS alone, often none. Those that some tokenizers put after
    /// it are not among them: a prompt goes on.
    pub fn start(&self) -> &[u32] {
        &self.start
    }

    /// The id of BOS, where the model has one. Whether it is put before texts is for [`Tokenizer::start`] to say.
    pub fn beginning(&self) -> Option<u32> {
        self.beginning
    }

    /// The id of EOS, where the model has one.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The text of one token as the vocabulary spells it.
    pub fn text_of(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token that the vocabulary spells so.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// The number of tokens, added ones included. Ids may have gaps: compare a model's rows with [`Tokenizer::largest_id`].
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The largest id that a text can give.
    pub fn largest_id(&self) -> u32 {
        self.inner.get_vocab(true).into_values().max().unwrap_or(0)
    }
}

fn failed(what: &str, error: &tokenizers::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Code::TokenizerMismatch, format!("the tokenizer {what}: {error}")))
}
