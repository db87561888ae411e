//! From rows to tokens: what a model is trained on, and what it is asked.

use super::chat::{ChatMessage, ChatTemplate};
use super::report::EncodeReport;
use super::rows::Rows;
use super::template::{self, Missing, Template};
use super::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use crate::plan::{Overlong, Split};
use rayon::prelude::*;

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
    /// Where an evaluation scores choices: prompt and choice, a row for each. The row itself holds the prompt alone then, and
    /// its gold as the target.
    pub choices: Vec<EncodedRow>,
}

impl EncodedRow {
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
    encode(rows, &Encoder { rows, split, tokenizer, chat, with_target: true })
}

/// Tokens of the prompts alone, for generation; `max_length` is for the prompt then. Errors are those of [`encode_split`].
pub fn encode_prompts(
    rows: &Rows,
    split: &Split,
    tokenizer: &Tokenizer,
    chat: Option<&ChatTemplate>,
) -> Result<Encoded> {
    encode(rows, &Encoder { rows, split, tokenizer, chat, with_target: false })
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
    Ok(encoded)
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
    chat: Option<&'a ChatTemplate>,
    with_target: bool,
}

/// The texts of a row, and the special tokens around them.
struct Texts<'a> {
    start: &'a [u32],
    prompt: String,
    /// What follows the prompt, as text and then perhaps one token.
    continuation: String,
    end: Option<u32>,
    target: String,
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

/// Why a row gave no tokens.
enum Failure {
    /// It has no value for this column.
    Missing(String),
    /// Its text cannot be rendered or encoded.
    Row(Box<Diagnostic>),
    /// Something that has nothing to do with the row.
    Split(Box<Diagnostic>),
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Failure::Missing(missing.0)
    }
}

impl From<Box<Diagnostic>> for Failure {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Failure::Row(diagnostic)
    }
}

impl Encoder<'_> {
    fn row(&self, row: usize) -> std::result::Result<Draft, Failure> {
        let texts = self.texts(row)?;
        let prompt = self.ids(texts.start, &texts.prompt)?;
        let (mut ids, mut empty_target) = (prompt.clone(), false);
        if self.with_target {
            ids = self.ids(texts.start, &format!("{}{}", texts.prompt, texts.continuation))?;
            // Where the target is all that follows the prompt, tokens after the prompt's are the target's.
            let seen = texts.continuation == texts.target && ids.len() > prompt.len();
            empty_target = !seen && self.tokenizer.encode(&texts.target, false)?.is_empty();
        }
        let split_token = !ids.starts_with(&prompt);
        ids.extend(texts.end);
        let prompt_tokens = prompt.len().min(ids.len());
        let encoded =
            EncodedRow { row, ids, prompt_tokens, prompt: texts.prompt, target: texts.target, choices: Vec::new() };
        Ok(self.cut(encoded, texts.start.len(), empty_target, split_token))
    }

    fn texts(&self, row: usize) -> std::result::Result<Texts<'_>, Failure> {
        let Template::Text(target) = &self.split.target else {
            let message = "the target is a chat, but must be a text";
            let help = "write `target = \"{answer}\"`: the model's chat template makes the assistant's turn of it";
            return Err(Failure::Split(Box::new(Diagnostic::new(Code::BadTemplate, message).help(help))));
        };
        let target = template::render(target, self.rows, row)?;
        match &self.split.prompt {
            Template::Text(parts) => {
                let prompt = template::render(parts, self.rows, row)?;
                let end = if self.split.eos && self.with_target {
                    Some(self.end_token().map_err(Failure::Split)?)
                } else {
                    None
                };
                Ok(Texts { start: self.tokenizer.start(), prompt, continuation: target.clone(), end, target })
            }
            Template::Chat(messages) => {
                let chat = self.chat.ok_or_else(|| Failure::Split(no_chat_template()))?;
                let mut rendered = Vec::with_capacity(messages.len());
                for message in messages {
                    let content = template::render(&message.content, self.rows, row)?;
                    rendered.push(ChatMessage { role: message.role.clone(), content });
                }
                if self.with_target {
                    let turn = chat.turn(&rendered, &target, self.split.eos)?;
                    Ok(Texts { start: &[], prompt: turn.prompt, continuation: turn.continuation, end: None, target })
                } else {
                    let prompt = chat.render(&rendered, true)?;
                    Ok(Texts { start: &[], prompt, continuation: String::new(), end: None, target })
                }
            }
        }
    }

    fn end_token(&self) -> Result<u32> {
        self.tokenizer.end().ok_or_else(|| {
            let message = "the model has no end token to put after the target";
            Box::new(Diagnostic::new(Code::TokenizerMismatch, message).help("write `eos = false` in the `data` block"))
        })
    }

    fn ids(&self, start: &[u32], text: &str) -> Result<Vec<u32>> {
        let mut ids = start.to_vec();
        ids.extend(self.tokenizer.encode(text, false)?);
        Ok(ids)
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
            encoded.ids.drain(start..start + taken);
            encoded.prompt_tokens -= taken;
        }
        if !drop {
            encoded.ids.truncate(limit);
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
