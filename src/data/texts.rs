//! The texts of a row: what its templates become, and where their parts stand in the prompt.

use super::chat::{ChatMessage, ChatTemplate};
use super::chat_places::Frame;
use super::encode::no_chat_template;
use super::positions::PromptText;
use super::rows::Rows;
use super::spans::PlacedPart;
use super::split::Split;
use super::template::{self, Missing, Part, Rendered, Template};
use super::tokenizer::Tokenizer;
use crate::diag::{Code, Diagnostic, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The texts of a row, and the special tokens around them.
pub struct Texts<'a> {
    pub start: &'a [u32],
    pub prompt: String,
    /// The parts of the prompt's template; `None` where a chat template hides where they stand.
    pub parts: Option<Vec<PlacedPart>>,
    /// What follows the prompt, as text and then perhaps one token.
    pub continuation: String,
    pub end: Option<u32>,
    pub target: String,
}

/// Why a row gave no tokens.
pub enum Failure {
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

/// Makes the texts of rows.
pub struct Writer<'a> {
    rows: &'a Rows,
    split: &'a Split,
    tokenizer: &'a Tokenizer,
    chat: Option<&'a ChatTemplate>,
    with_target: bool,
    known: Known<'a>,
    /// What the chat template writes around messages of which none is blank.
    frame: OnceLock<Option<Frame>>,
}

impl<'a> Writer<'a> {
    /// Of the rows of a split, with targets or without.
    pub fn new(
        rows: &'a Rows,
        split: &'a Split,
        tokenizer: &'a Tokenizer,
        chat: Option<&'a ChatTemplate>,
        with_target: bool,
    ) -> Self {
        let known = Known::of(&split.prompt);
        Self { rows, split, tokenizer, chat, with_target, known, frame: OnceLock::new() }
    }

    /// The texts of a row.
    pub fn write(&self, row: usize) -> std::result::Result<Texts<'a>, Failure> {
        let Template::Text(target) = &self.split.target else {
            let message = "the target is a chat, but must be a text";
            let help = "write `target = \"{answer}\"`: the model's chat template makes the assistant's turn of it";
            return Err(Failure::Split(Box::new(Diagnostic::new(Code::BadTemplate, message).help(help))));
        };
        let target = template::render(target, self.rows, row)?;
        match &self.split.prompt {
            Template::Text(parts) => {
                let Rendered { text, parts } = template::render_parts(parts, self.rows, row)?;
                let end = if self.split.eos && self.with_target {
                    Some(self.end_token().map_err(Failure::Split)?)
                } else {
                    None
                };
                let parts = parts.into_iter().filter_map(|(part, bytes)| self.known.placed(part, bytes)).collect();
                let start = self.tokenizer.start();
                Ok(Texts { start, prompt: text, parts: Some(parts), continuation: target.clone(), end, target })
            }
            Template::Chat(messages) => {
                let chat = self.chat.ok_or_else(|| Failure::Split(no_chat_template()))?;
                let (mut rendered, mut contents) = (Vec::new(), Vec::new());
                for message in messages {
                    let Rendered { text, parts } = template::render_parts(&message.content, self.rows, row)?;
                    rendered.push(ChatMessage { role: message.role.clone(), content: text });
                    contents.push(parts);
                }
                let (prompt, continuation) = if self.with_target {
                    let turn = chat.turn(&rendered, &target, self.split.eos)?;
                    (turn.prompt, turn.continuation)
                } else {
                    (chat.render(&rendered, true)?, String::new())
                };
                let parts = self.in_chat(chat, &rendered, &contents, &prompt);
                Ok(Texts { start: &[], prompt, parts, continuation, end: None, target })
            }
        }
    }

    fn end_token(&self) -> Result<u32> {
        self.tokenizer.end().ok_or_else(|| {
            let message = "the model has no end token to put after the target";
            Box::new(Diagnostic::new(Code::TokenizerMismatch, message).help("write `eos = false` in the `data` block"))
        })
    }

    /// The parts of messages in the prompt that the chat template made of them.
    fn in_chat(
        &self,
        chat: &ChatTemplate,
        messages: &[ChatMessage],
        parts: &[Vec<(&Part, Range<usize>)>],
        prompt: &str,
    ) -> Option<Vec<PlacedPart>> {
        let own;
        let frame = match messages.iter().any(|message| message.content.trim().is_empty()) {
            true => {
                own = Frame::new(chat, messages)?;
                &own
            }
            false => self.frame.get_or_init(|| Frame::new(chat, messages)).as_ref()?,
        };
        let mut placed = Vec::new();
        for content in frame.place(messages, prompt)? {
            for (part, bytes) in &parts[content.message] {
                let kept = bytes.start.max(content.content.start)..bytes.end.min(content.content.end);
                let moved = |at: usize| content.start + at - content.content.start;
                if kept.len() == bytes.len() {
                    placed.extend(self.known.placed(part, moved(kept.start)..moved(kept.end)));
                } else if !kept.is_empty() {
                    let here = &messages[content.message].content[kept.clone()];
                    let text = Arc::new(match part {
                        Part::Column(name) => PromptText::Column(name.clone()),
                        _ => PromptText::Constant(here.to_owned()),
                    });
                    placed.push(PlacedPart { text, bytes: range(moved(kept.start)..moved(kept.end)) });
                }
            }
        }
        Some(placed)
    }
}

/// The columns and constants of a template, which all its rows have in common.
struct Known<'a> {
    columns: BTreeMap<&'a str, Arc<PromptText>>,
    constants: BTreeMap<&'a str, Arc<PromptText>>,
}

impl<'a> Known<'a> {
    fn of(template: &'a Template) -> Self {
        let shared = |name: &'a str, make: fn(String) -> PromptText| (name, Arc::new(make(name.to_owned())));
        let columns = template.written_columns().into_iter().map(|name| shared(name, PromptText::Column));
        let constants = template.constants().into_iter().map(|text| shared(text, PromptText::Constant));
        Self { columns: columns.collect(), constants: constants.collect() }
    }

    fn placed(&self, part: &Part, bytes: Range<usize>) -> Option<PlacedPart> {
        let text = match part {
            Part::Text(text) => self.constants.get(text.as_str()),
            Part::Column(name) => self.columns.get(name.as_str()),
            Part::When { .. } => None,
        };
        Some(PlacedPart { text: text?.clone(), bytes: range(bytes) })
    }
}

/// Bytes of a prompt, which is never as long as 4 GiB.
fn range(bytes: Range<usize>) -> Range<u32> {
    bytes.start as u32..bytes.end as u32
}
