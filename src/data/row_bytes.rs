//! Tokenised rows as bytes, and what decides them: so that a run finds what a check, or an earlier run, has tokenised.
//!
//! Numbers are written in groups of seven bits, low ones first, so that most tokens take two bytes and most lengths one.

use super::encode::EncodedRow;
use super::form::Form;
use super::split::Split;
use crate::digest;

/// A change of the bytes, or of how rows become tokens, moves this number.
const VERSION: u32 = 2;

/// The kind of these entries in the user's cache.
pub const KIND: &str = "rows";

/// What decides the tokens of a split, beside the split itself.
#[derive(Clone, Copy, Debug)]
pub struct Decides<'a> {
    /// The SHA-256 of the tokenizer's files, and of the data file.
    pub tokenizer: &'a str,
    pub data: &'a str,
    /// The tokens that the model's config says begin and end a text.
    pub begins: Option<u32>,
    pub ends: &'a [u32],
    /// What of a row is tokenised.
    pub form: Form<'a>,
}

/// The name of the rows of a split: over contents, never over paths.
pub fn key(split: &Split, decides: Decides<'_>) -> String {
    let Decides { tokenizer, data, begins, ends, form } = decides;
    digest::of(digest::json(&(
        (env!("CARGO_PKG_VERSION"), VERSION),
        (tokenizer, data, begins, ends, form),
        (&split.source.format, &split.source.steps, &split.prompt, &split.target),
        (split.eos, split.overlong, split.max_length),
    )))
}

/// Rows as bytes.
pub fn write(rows: &[EncodedRow]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_rows(rows, &mut bytes);
    bytes
}

/// The rows that were written; `None` for other bytes.
pub fn read(bytes: &[u8]) -> Option<Vec<EncodedRow>> {
    let mut rest = Rest(bytes);
    let rows = rest.rows(1)?;
    rest.0.is_empty().then_some(rows)
}

fn write_rows(rows: &[EncodedRow], bytes: &mut Vec<u8>) {
    number(rows.len(), bytes);
    for row in rows {
        number(row.row, bytes);
        number(row.prompt_tokens, bytes);
        number(row.ids.len(), bytes);
        row.ids.iter().for_each(|&id| number(id as usize, bytes));
        for text in [&row.prompt, &row.target] {
            number(text.len(), bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        write_rows(&row.choices, bytes);
    }
}

fn number(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// What is not yet read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Rows that may hold choices `deep` levels down.
    fn rows(&mut self, deep: usize) -> Option<Vec<EncodedRow>> {
        let count = self.number()?;
        // Every row takes more than one byte, so that no count can ask for more room than the bytes are worth.
        let mut rows = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            let (row, prompt_tokens, tokens) = (self.number()?, self.number()?, self.number()?);
            let mut ids = Vec::with_capacity(tokens.min(self.0.len()));
            for _ in 0..tokens {
                ids.push(u32::try_from(self.number()?).ok()?);
            }
            let (prompt, target) = (self.text()?, self.text()?);
            let choices = match deep {
                0 => (self.number()? == 0).then(Vec::new)?,
                _ => self.rows(deep - 1)?,
            };
            rows.push(EncodedRow { row, ids, prompt_tokens, prompt, target, choices });
        }
        Some(rows)
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = 0;
        for place in (0..usize::BITS).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= usize::from(byte & 0x7F) << place;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::{Format, Source, Step};
    use crate::data::split::Overlong;
    use crate::data::template::{Part, Template};
    use proptest::prelude::*;

    fn row(choices: impl Strategy<Value = Vec<EncodedRow>>) -> impl Strategy<Value = EncodedRow> {
        let row = (0..300usize, any::<Vec<u32>>(), 0..9usize, ".*", ".*", choices);
        row.prop_map(|(row, ids, prompt_tokens, prompt, target, choices)| EncodedRow {
            row,
            ids,
            prompt_tokens,
            prompt,
            target,
            choices,
        })
    }

    fn rows() -> impl Strategy<Value = Vec<EncodedRow>> {
        let choices = proptest::collection::vec(row(Just(Vec::new())), 0..3);
        proptest::collection::vec(row(choices), 0..8)
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in rows()) {
            prop_assert_eq!(read(&write(&rows)), Some(rows));
        }

        #[test]
        fn cut_bytes_are_no_rows(rows in rows(), cut in 1..40usize) {
            let bytes = write(&rows);
            let cut = bytes.len().saturating_sub(cut);
            prop_assert_eq!(read(&bytes[..cut]), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn everything_that_decides_tokens_is_in_the_key() {
        let split = Split {
            source: Source { path: "a.jsonl".into(), format: Format::Jsonl, steps: Vec::new() },
            prompt: Template::Text(vec![Part::Column("q".into())]),
            target: Template::Text(vec![Part::Column("a".into())]),
            eos: true,
            overlong: Overlong::CutRight,
            max_length: 512,
        };
        let decides = Decides { tokenizer: "t", data: "d", begins: Some(1), ends: &[2], form: Form::Targets };
        let first = key(&split, decides);
        let other_file = Split { source: Source { path: "b.jsonl".into(), ..split.source.clone() }, ..split.clone() };
        assert_eq!(key(&other_file, decides), first, "a path decides nothing");
        let steps = vec![Step::Shuffle { seed: 1 }];
        let mut keys = vec![first];
        for changed in [
            Split { source: Source { steps, ..split.source.clone() }, ..split.clone() },
            Split { source: Source { format: Format::Json, ..split.source.clone() }, ..split.clone() },
            Split { prompt: split.target.clone(), ..split.clone() },
            Split { target: split.prompt.clone(), ..split.clone() },
            Split { eos: false, ..split.clone() },
            Split { overlong: Overlong::Drop, ..split.clone() },
            Split { max_length: 511, ..split.clone() },
        ] {
            keys.push(key(&changed, decides));
        }
        for changed in [
            Decides { tokenizer: "other", ..decides },
            Decides { data: "other", ..decides },
            Decides { begins: None, ..decides },
            Decides { ends: &[2, 3], ..decides },
            Decides { form: Form::Prompts, ..decides },
        ] {
            keys.push(key(&split, changed));
        }
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
