//! Tokenised rows as bytes, and what decides them: so that a run finds what a check, or an earlier run, has tokenised.
//!
//! Numbers are written in groups of seven bits, low ones first, so that most tokens take two bytes and most lengths one. The columns and
//! constants that prompts are made of are written once.

use super::encode::EncodedRow;
use super::form::Form;
use super::positions::PromptText;
use super::spans::{PlacedPart, Spans};
use super::split::Split;
use crate::digest;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A change of the bytes, or of how rows become tokens, moves this number.
const VERSION: u32 = 3;

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
    let mut texts = Numbered::default();
    let mut of_rows = Vec::new();
    write_rows(rows, &mut texts, &mut of_rows);
    let mut bytes = Vec::new();
    number(texts.0.len(), &mut bytes);
    let mut texts: Vec<(&PromptText, usize)> = texts.0.into_iter().collect();
    texts.sort_by_key(|(_, number)| *number);
    for (text, _) in texts {
        let (kind, text) = match text {
            PromptText::Column(name) => (0, name),
            PromptText::Constant(text) => (1, text),
        };
        number(kind, &mut bytes);
        write_text(text, &mut bytes);
    }
    bytes.extend(of_rows);
    bytes
}

/// The rows that were written; `None` for other bytes.
pub fn read(bytes: &[u8]) -> Option<Vec<EncodedRow>> {
    let mut rest = Rest(bytes);
    let texts = rest.texts()?;
    let rows = rest.rows(&texts, 1)?;
    rest.0.is_empty().then_some(rows)
}

/// The texts of prompts, in the order in which they first come.
#[derive(Default)]
struct Numbered<'a>(BTreeMap<&'a PromptText, usize>);

impl<'a> Numbered<'a> {
    fn of(&mut self, text: &'a PromptText) -> usize {
        let next = self.0.len();
        *self.0.entry(text).or_insert(next)
    }
}

fn write_rows<'a>(rows: &'a [EncodedRow], texts: &mut Numbered<'a>, bytes: &mut Vec<u8>) {
    number(rows.len(), bytes);
    for row in rows {
        number(row.row, bytes);
        number(row.prompt_tokens, bytes);
        number(row.ids.len(), bytes);
        row.ids.iter().for_each(|&id| number(id as usize, bytes));
        write_text(&row.prompt, bytes);
        write_text(&row.target, bytes);
        write_ranges(row.spans.tokens.iter(), row.spans.tokens.len(), bytes);
        match &row.spans.parts {
            None => number(0, bytes),
            Some(parts) => {
                number(1, bytes);
                write_ranges(parts.iter().map(|part| &part.bytes), parts.len(), bytes);
                parts.iter().for_each(|part| number(texts.of(&part.text), bytes));
            }
        }
        write_rows(&row.choices, texts, bytes);
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    number(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// Each by how far it begins behind the end of the one before, and its length; both may be negative.
fn write_ranges<'a>(ranges: impl Iterator<Item = &'a Range<u32>>, count: usize, bytes: &mut Vec<u8>) {
    number(count, bytes);
    let mut end = 0;
    for range in ranges {
        signed(i64::from(range.start) - end, bytes);
        signed(i64::from(range.end) - i64::from(range.start), bytes);
        end = i64::from(range.end);
    }
}

fn signed(value: i64, bytes: &mut Vec<u8>) {
    number(((value << 1) ^ (value >> 63)) as usize, bytes);
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
    fn rows(&mut self, texts: &[Arc<PromptText>], deep: usize) -> Option<Vec<EncodedRow>> {
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
            let spans = Spans { tokens: self.ranges()?, parts: self.parts(texts)? };
            let choices = match deep {
                0 => (self.number()? == 0).then(Vec::new)?,
                _ => self.rows(texts, deep - 1)?,
            };
            rows.push(EncodedRow { row, ids, prompt_tokens, prompt, target, spans, choices });
        }
        Some(rows)
    }

    fn texts(&mut self) -> Option<Vec<Arc<PromptText>>> {
        let count = self.number()?;
        let mut texts = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            texts.push(Arc::new(match self.number()? {
                0 => PromptText::Column(self.text()?),
                1 => PromptText::Constant(self.text()?),
                _ => return None,
            }));
        }
        Some(texts)
    }

    fn parts(&mut self, texts: &[Arc<PromptText>]) -> Option<Option<Arc<[PlacedPart]>>> {
        match self.number()? {
            0 => Some(None),
            1 => {
                let ranges = self.ranges()?;
                let part = |bytes| Some(PlacedPart { text: texts.get(self.number()?)?.clone(), bytes });
                ranges.into_iter().map(part).collect::<Option<_>>().map(Some)
            }
            _ => None,
        }
    }

    fn ranges(&mut self) -> Option<Vec<Range<u32>>> {
        let count = self.number()?;
        let mut ranges = Vec::with_capacity(count.min(self.0.len()));
        let mut last = 0i64;
        for _ in 0..count {
            let start = last.checked_add(self.signed()?)?;
            last = start.checked_add(self.signed()?)?;
            ranges.push(u32::try_from(start).ok()?..u32::try_from(last).ok()?);
        }
        Some(ranges)
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()? as u64;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
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
        let row = (0..300usize, any::<Vec<u32>>(), 0..9usize, ".*", ".*", spans(), choices);
        row.prop_map(|(row, ids, prompt_tokens, prompt, target, spans, choices)| EncodedRow {
            row,
            ids,
            prompt_tokens,
            prompt,
            target,
            spans,
            choices,
        })
    }

    fn spans() -> impl Strategy<Value = Spans> {
        let range = || (any::<u32>(), any::<u32>()).prop_map(|(start, end)| start..end);
        let text = (any::<bool>(), "[ab]{0,2}").prop_map(|(column, text)| match column {
            true => PromptText::Column(text),
            false => PromptText::Constant(text),
        });
        let part = (text, range()).prop_map(|(text, bytes)| PlacedPart { text: Arc::new(text), bytes });
        let parts = proptest::option::of(proptest::collection::vec(part, 0..4));
        (proptest::collection::vec(range(), 0..6), parts)
            .prop_map(|(tokens, parts)| Spans { tokens, parts: parts.map(Into::into) })
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
            source: Source::file("a.jsonl", Format::Jsonl),
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
