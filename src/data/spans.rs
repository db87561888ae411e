//! Where the parts of a prompt's template lie in its text, and where its tokens do.

use super::positions::{PromptText, RowTokens};
use super::token_set::Tokens;
use std::ops::Range;
use std::sync::Arc;

/// What of a prompt's text its tokens and the parts of its template are, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// What each prompt token stands for: as many as there are prompt tokens. Tokens without a text, such as BOS, have an empty range.
    pub tokens: Vec<Range<u32>>,
    /// The columns and constants, in the order of the text; `None` where a chat template hides where they stand.
    pub parts: Option<Arc<[PlacedPart]>>,
}

/// A column or constant of a template in a row's prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPart {
    /// The column, or the constant as far as it stands here.
    pub text: Arc<PromptText>,
    /// Bytes of the prompt's text.
    pub bytes: Range<u32>,
}

impl Spans {
    /// What segments that name these texts ask of a row with that many tokens, those behind the prompt included. `None` where it cannot be
    /// told.
    pub fn row(&self, prompt: usize, all: usize, texts: &[PromptText]) -> Option<RowTokens> {
        let placed = texts.iter().map(|text| Some((text.clone(), self.find(text)?)));
        Some(RowTokens { prompt, all, texts: placed.collect::<Option<_>>()? })
    }

    /// The prompt tokens that overlap a text; none where it does not occur.
    pub fn find(&self, text: &PromptText) -> Option<Tokens> {
        let mut found = Tokens::none();
        for part in self.parts.as_ref()?.iter() {
            match (text, &*part.text) {
                (PromptText::Column(wanted), PromptText::Column(name)) if wanted == name => {
                    found = found.or(&self.overlapping(&part.bytes));
                }
                (PromptText::Constant(wanted), PromptText::Constant(text)) => {
                    for at in occurrences(text, wanted) {
                        let start = part.bytes.start + at as u32;
                        found = found.or(&self.overlapping(&(start..start + wanted.len() as u32)));
                    }
                }
                _ => {}
            }
        }
        Some(found)
    }

    /// How many tokens at the end no column has a part in; 0 where it cannot be told.
    pub fn constant_end(&self) -> usize {
        let Some(parts) = &self.parts else { return 0 };
        let columns = parts.iter().filter(|part| matches!(*part.text, PromptText::Column(_)));
        let end = columns.map(|part| part.bytes.end).max().unwrap_or_default();
        self.tokens.iter().rev().take_while(|token| token.start >= end && token.end > end).count()
    }

    /// The tokens whose bytes and these have one in common.
    pub fn overlapping(&self, bytes: &Range<u32>) -> Tokens {
        let meets = |token: &Range<u32>| token.start.max(bytes.start) < token.end.min(bytes.end);
        let tokens = self.tokens.iter().enumerate().filter(|(_, token)| meets(token));
        tokens.map(|(token, _)| token).collect()
    }
}

/// Where a text begins in another, overlaps included.
pub fn occurrences<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = usize> + 'a {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter(move |&at| !wanted.is_empty() && text[at..].starts_with(wanted))
}
