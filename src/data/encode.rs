//! From rows to tokens: what a model is trained on, and what it is asked.

use super::chat::ChatTemplate;
use super::positions::{PromptText, RowTokens};
use super::report::EncodeReport;
use super::rows::Rows;
use super::spans::Spans;
use super::split::{Overlong, Split};
use super::texts::{Failure, Writer};
use super::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use rayon::prelude::*;
use std::ops::Range;

/// A split as tokens, with what was found out on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Rows that were kept, in the order of the split.
    pub rows: Vec<EncodedRow>,
    pub report: EncodeReport,
}

/// One row as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedRow {
    /// The number of the row in the split, from 0.
    pub row: usize,
    /// Prompt and target (for generation the prompt alone), never more than `max_length`.
    pub ids: Vec<u32>,
    /// The length of the prompt: positions count within it, and the loss is taken on what follows.
    pub prompt_tokens: usize,
    /// The rendered texts, uncut; the target without its end token.
    pub prompt: String,
    pub target: String,
    /// Where the prompt's tokens and the parts of its template stand in its text.
    pub spans: Spans,
    /// Where an evaluation scores choices: prompt and choice, a row for each. The row itself holds the prompt alone then, and
    /// its gold as the target.
    pub choices: Vec<EncodedRow>,
}

impl EncodedRow {
    /// What segments that name these texts ask of the row, of which the first `all` tokens are looked at; `None` where a chat template
    /// hides where the texts stand.
    pub fn tokens(&self, all: usize, texts: &[PromptText]) -> Option<RowTokens> {
        self.spans.row(self.prompt_tokens, all, texts)
    }

    /// Takes tokens out of the prompt.
    pub(super) fn take_out(&mut self, tokens: Range<usize>) {
        self.ids.drain(tokens.clone());
        self.spans.tokens.drain(tokens.clone());
        self.prompt_tokens -= tokens.len();
    }

    /// Tokens that a loss is taken on. A first token that nothing precedes is never predicted.
    pub fn supervised(&self) -> usize {
        self.ids.len().saturating_sub(self.prompt_tokens.max(1))
    }
}

/// Tokens of prompt and target, for training and for losses.
///
/// Both are tokenised as one text; the end token (for a chat, the end of the assistant's turn) follows if `eos` is set. As in pyreft, the
/// prompt's length is that of the prompt tokenised alone. `max_length` cuts from the right, or takes tokens from the
/// beginning of the prompt (after BOS) and only then from the right, or drops the row. Rows without a supervised token are
/// dropped. `rows` are the rows of the split, its steps applied.
///
/// # Errors
/// A row without a value that the templates use (E0405), `chat` without a chat template or refused by it (E0310), no end token, or
/// text that the tokenizer cannot encode (E0304).
pub fn encode_split(rows: &Rows, split: &Split, tokenizer: &Tokenizer, chat: Option<&ChatTemplate>) -> Result<Encoded> {
    encode(rows, &Encoder::new(rows, split, tokenizer, chat, true))
}

/// Tokens of the prompts alone, for generation; `max_length` is for the prompt then. Errors are those of [`encode_split`].
pub fn encode_prompts(
    rows: &Rows,
    split: &Split,
    tokenizer: &Tokenizer,
    chat: Option<&ChatTemplate>,
) -> Result<Encoded> {
    encode(rows, &Encoder::new(rows, split, tokenizer, chat, false))
}

fn encode(rows: &Rows, encoder: &Encoder<'_>) -> Result<Encoded> {
    let drafts: Vec<std::result::Result<Draft, Failure>> =
        (0..rows.len()).into_par_iter().map(|row| encoder.row(row)).collect();
    if let Some((row, failure)) = drafts.iter().enumerate().find_map(|(row, draft)| Some((row, draft.as_ref().err()?)))
    {
        return Err(encoder.explain(row, failure, &drafts));
    }
    let mut encoded = Encoded {
        rows: Vec::with_capacity(rows.len()),
        report: EncodeReport { rows: rows.len(), ..Default::default() },
    };
    for draft in drafts.into_iter().flatten() {
        draft.count(&mut encoded.report);
        if draft.kept {
            encoded.rows.push(draft.encoded);
        }
    }
    encoded.report.shared_start = shared_start(&encoded.rows);
    encoded.report.constant_end = constant_end(&encoded.rows);
    Ok(encoded)
}

/// The texts of the last prompt tokens that are of constants in all rows, as the row with the fewest of them has them.
fn constant_end(rows: &[EncodedRow]) -> Vec<String> {
    let Some(shortest) = rows.iter().min_by_key(|row| row.spans.constant_end()) else { return Vec::new() };
    let tokens = &shortest.spans.tokens;
    let tokens = tokens.iter().skip(tokens.len() - shortest.spans.constant_end());
    let text = |token: &Range<u32>| shortest.prompt.get(token.start as usize..token.end as usize).unwrap_or_default();
    tokens.map(|token| text(token).to_owned()).collect()
}

/// How many leading tokens the prompts of all rows have in common.
fn shared_start(rows: &[EncodedRow]) -> usize {
    let Some((first, rest)) = rows.split_first() else { return 0 };
    let common = |shared: &[u32], ids: &[u32]| shared.iter().zip(ids).take_while(|(left, right)| left == right).count();
    rest.iter().fold(first.prompt_tokens, |shared, row| common(&first.ids[..shared], &row.ids[..row.prompt_tokens]))
}

struct Encoder<'a> {
    rows: &'a Rows,
    split: &'a Split,
    tokenizer: &'a Tokenizer,
    writer: Writer<'a>,
    with_target: bool,
}

/// One row and what the report says about it.
struct Draft {
    encoded: EncodedRow,
    kept: bool,
    /// Tokens before anything was cut.
    uncut: usize,
    uncut_prompt: usize,
    overlong: bool,
    cut_prompt: bool,
    cut_target: bool,
    empty_target: bool,
    split_token: bool,
}

impl<'a> Encoder<'a> {
    fn new(
        rows: &'a Rows,
        split: &'a Split,
        tokenizer: &'a Tokenizer,
        chat: Option<&'a ChatTemplate>,
        with_target: bool,
    ) -> Self {
        let writer = Writer::new(rows, split, tokenizer, chat, with_target);
        Self { rows, split, tokenizer, writer, with_target }
    }

    fn row(&self, row: usize) -> std::result::Result<Draft, Failure> {
        let texts = self.writer.write(row)?;
        let start = texts.start;
        let (ids, placed) = match self.with_target {
            true => self.tokenizer.encode_placed(&format!("{}{}", texts.prompt, texts.continuation))?,
            false => self.tokenizer.encode_placed(&texts.prompt)?,
        };
        let mut ids = [start, ids.as_slice()].concat();
        let (mut prompt_tokens, mut empty_target, mut split_token) = (ids.len(), false, false);
        if self.with_target {
            let prompt = [start, self.tokenizer.encode(&texts.prompt, false)?.as_slice()].concat();
            // Where the target is all that follows the prompt, tokens after the prompt's are the target's.
            let seen = texts.continuation == texts.target && ids.len() > prompt.len();
            empty_target = !seen && self.tokenizer.encode(&texts.target, false)?.is_empty();
            split_token = !ids.starts_with(&prompt);
            prompt_tokens = prompt.len();
        }
        ids.extend(texts.end);
        prompt_tokens = prompt_tokens.min(ids.len());
        let mut tokens: Vec<_> = std::iter::repeat_n(0..0, start.len()).chain(placed).collect();
        tokens.resize(prompt_tokens, 0..0);
        let spans = Spans { tokens, parts: texts.parts.map(Into::into) };
        let (prompt, target) = (texts.prompt, texts.target);
        let encoded = EncodedRow { row, ids, prompt_tokens, prompt, target, spans, choices: Vec::new() };
        Ok(self.cut(encoded, start.len(), empty_target, split_token))
    }

    /// Applies `max_length`; the first `start` tokens of a prompt stay when it is cut from the left.
    fn cut(&self, mut encoded: EncodedRow, start: usize, empty_target: bool, split_token: bool) -> Draft {
        let limit = self.split.max_length;
        let (uncut, uncut_prompt) = (encoded.ids.len(), encoded.prompt_tokens);
        let overlong = uncut > limit;
        let drop = overlong && self.split.overlong == Overlong::Drop;
        if overlong && self.split.overlong == Overlong::CutLeft {
            let start = start.min(uncut_prompt).min(limit);
            let taken = (uncut - limit).min(uncut_prompt - start);
            encoded.take_out(start..start + taken);
        }
        if !drop {
            encoded.ids.truncate(limit);
            encoded.spans.tokens.truncate(limit);
            encoded.prompt_tokens = encoded.prompt_tokens.min(limit);
        }
        let target_tokens = encoded.ids.len() - encoded.prompt_tokens;
        let useful = if self.with_target { encoded.supervised() > 0 } else { encoded.prompt_tokens > 0 };
        Draft {
            kept: useful && !drop,
            uncut,
            uncut_prompt,
            overlong,
            cut_prompt: encoded.prompt_tokens < uncut_prompt,
            cut_target: target_tokens < uncut - uncut_prompt,
            empty_target,
            split_token,
            encoded,
        }
    }

    /// The error of the first row that has one; rows without the same value are counted.
    fn explain(
        &self,
        row: usize,
        failure: &Failure,
        drafts: &[std::result::Result<Draft, Failure>],
    ) -> Box<Diagnostic> {
        let path = &self.split.source.path;
        match failure {
            Failure::Missing(column) => {
                let same = |draft: &&std::result::Result<Draft, Failure>| matches!(draft, Err(Failure::Missing(other)) if other == column);
                self.rows.missing_value(path, column, row, drafts.iter().filter(same).count())
            }
            Failure::Row(diagnostic) => Box::new((**diagnostic).clone().in_file(path, self.rows.line(row))),
            Failure::Split(diagnostic) => diagnostic.clone(),
        }
    }
}

impl Draft {
    fn count(&self, report: &mut EncodeReport) {
        let row = self.encoded.row;
        let mut add = |holds: bool, count: fn(&mut EncodeReport) -> &mut super::report::Count| {
            if holds {
                count(report).add(row);
            }
        };
        add(!self.kept, |report| &mut report.dropped);
        add(self.overlong, |report| &mut report.overlong);
        add(self.cut_prompt, |report| &mut report.cut_prompts);
        add(self.cut_target, |report| &mut report.cut_targets);
        add(self.empty_target, |report| &mut report.empty_targets);
        add(self.split_token, |report| &mut report.split_tokens);
        report.longest_uncut = report.longest_uncut.max(self.uncut);
        report.longest_prompt_uncut = report.longest_prompt_uncut.max(self.uncut_prompt);
        if self.kept {
            report.tokens += self.encoded.ids.len() as u64;
            report.supervised += self.encoded.supervised() as u64;
            report.longest = report.longest.max(self.encoded.ids.len());
            let lengths = report.lengths.entry(self.encoded.prompt_tokens).or_default();
            lengths.entry(self.encoded.ids.len()).or_default().add(row);
        }
    }
}

/// E0310: a chat prompt, and a model without a chat template.
pub fn no_chat_template() -> Box<Diagnostic> {
    let message = "the prompt is a chat, but the model has no chat template";
    Box::new(
        Diagnostic::new(Code::NoChatTemplate, message)
            .help("write the prompt as a text template: `prompt = \"{question}\\n\"`"),
    )
}
