//! Where a chat template puts the contents of messages: found by putting marks in their place, never guessed.

use super::chat::{ChatMessage, ChatTemplate};
use std::ops::Range;

/// The content of a message, as it stands in a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedContent {
    /// The number of the message.
    pub message: usize,
    /// The byte of the prompt from which on it stands.
    pub start: usize,
    /// The bytes of the content that stand there: all of it, but for white space at its ends that the template trims.
    pub content: Range<usize>,
}

/// What a chat template writes around the contents of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The text before the first content.
    before: String,
    /// The number of each message whose content is written, in their order, and the text behind it.
    contents: Vec<(usize, String)>,
}

impl Frame {
    /// What stands around the contents of these messages but for blank ones, which templates may treat as missing. `None` where the template
    /// writes one of them more than once, or not at all.
    pub fn new(chat: &ChatTemplate, messages: &[ChatMessage]) -> Option<Self> {
        let is_marked = |number: usize| !messages[number].content.trim().is_empty();
        let marked = messages.iter().enumerate().map(|(number, message)| match is_marked(number) {
            true => ChatMessage { content: mark(number), ..message.clone() },
            false => message.clone(),
        });
        let text = chat.render(&marked.collect::<Vec<_>>(), true).ok()?;
        let mut places = Vec::new();
        for number in (0..messages.len()).filter(|&number| is_marked(number)) {
            let mark = mark(number);
            let mut found = text.match_indices(&mark);
            let (Some((at, _)), None) = (found.next(), found.next()) else { return None };
            places.push((at..at + mark.len(), number));
        }
        places.sort_by_key(|(place, _)| place.start);
        let ends = places.iter().skip(1).map(|(place, _)| place.start).chain([text.len()]);
        let behind = places.iter().zip(ends).map(|((place, number), end)| (*number, text[place.end..end].to_owned()));
        let before = text[..places.first().map_or(text.len(), |(place, _)| place.start)].to_owned();
        Some(Self { before, contents: behind.collect() })
    }

    /// Where the contents stand in the prompt that the template made of these messages. `None` where the prompt is not what stands around them
    /// with each content in its place, as it is given or trimmed: then the template does something else to some content.
    pub fn place(&self, messages: &[ChatMessage], prompt: &str) -> Option<Vec<PlacedContent>> {
        if !prompt.starts_with(&self.before) {
            return None;
        }
        let mut ways = Vec::new();
        self.ways(messages, prompt, self.before.len(), &mut Vec::new(), &mut ways);
        match ways.len() {
            1 => ways.pop(),
            _ => None,
        }
    }

    /// All ways in which the rest of a prompt can be read.
    fn ways(
        &self,
        messages: &[ChatMessage],
        prompt: &str,
        start: usize,
        placed: &mut Vec<PlacedContent>,
        ways: &mut Vec<Vec<PlacedContent>>,
    ) {
        let Some((message, behind)) = self.contents.get(placed.len()) else {
            if start == prompt.len() {
                ways.push(placed.clone());
            }
            return;
        };
        let text = &messages[*message].content;
        for content in trimmings(text) {
            let end = start + content.len();
            if prompt[start..].starts_with(&text[content.clone()]) && prompt[end..].starts_with(behind.as_str()) {
                placed.push(PlacedContent { message: *message, start, content });
                self.ways(messages, prompt, end + behind.len(), placed, ways);
                placed.pop();
            }
        }
    }
}

/// A text that no template contains.
fn mark(number: usize) -> String {
    format!("\u{e000}message {number}\u{e001}")
}

/// The bytes of a text as it is, and trimmed at either end or at both.
fn trimmings(text: &str) -> Vec<Range<usize>> {
    let (first, last) = (text.len() - text.trim_start().len(), text.trim_end().len());
    let mut ranges = vec![0..text.len(), first..text.len(), 0..last, first..last];
    ranges.dedup();
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
    ranges
}
