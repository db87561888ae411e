//! What may be written at a place: declarations, fields, values of the wanted type, arguments, columns, files.

mod expected;
mod fields;
mod strings;
mod values;

use super::cursor::Cursor;
use super::documents::Document;
use super::modules::Modules;
use super::workspace::Workspace;
use expected::Expected;
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, InsertTextFormat, MarkupContent, MarkupKind,
    Range, TextEdit,
};

/// What may stand at a byte, the likeliest first.
pub fn complete(workspace: &Workspace, document: &Document, at: usize) -> Vec<CompletionItem> {
    let before = document.content().get(..at).unwrap_or_default();
    let cursor = Cursor::new(before);
    if cursor.comment {
        return Vec::new();
    }
    let expected = Expected::new(&cursor);
    let scene = Scene { workspace, document, modules: Modules::load(workspace), at, cursor: &cursor, expected };
    let (offers, prefix) = match &cursor.string {
        Some(open) => strings::offers(&scene, &open.text),
        None => {
            let hyphen = matches!(scene.expected, Expected::Warning);
            let word = |letter: char| {
                letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.') || (hyphen && letter == '-')
            };
            let prefix = before.len() - before.trim_end_matches(word).len();
            // Behind a whole value nothing goes on but a bracket, an operator or the next entry.
            let lead = before[..at - prefix].trim_end();
            let ended = scene.expected.is_value() && !lead.ends_with(['=', ':', ',', '+', '-', '(', '[']);
            (if ended { Vec::new() } else { code(&scene) }, prefix)
        }
    };
    let range = Range::new(document.text.position(at - prefix), document.text.position(at));
    offers.into_iter().enumerate().map(|(rank, offer)| offer.item(rank, range, workspace.client.snippets)).collect()
}

/// What is offered outside of strings.
fn code(scene: &Scene<'_>) -> Vec<Offer> {
    match scene.expected {
        Expected::Declaration => fields::declarations(),
        Expected::Entry(block) => fields::entries(scene, block),
        Expected::Value { .. } => values::values(scene),
        Expected::Experiment => values::experiments(scene),
        Expected::Type => values::types(),
        Expected::Warning => values::warnings(),
        Expected::Nothing => Vec::new(),
    }
}

/// The place and all that is known about it.
struct Scene<'s> {
    workspace: &'s Workspace,
    document: &'s Document,
    modules: Modules,
    at: usize,
    cursor: &'s Cursor,
    expected: Expected,
}

/// One thing that may be written.
struct Offer {
    label: String,
    kind: CompletionItemKind,
    detail: String,
    /// Markdown.
    documentation: String,
    /// What is inserted: the label, where it is empty. `$1`, `${1:text}` are places to fill in.
    snippet: String,
}

impl Offer {
    fn new(label: impl Into<String>, kind: CompletionItemKind, detail: impl Into<String>) -> Self {
        let (label, detail) = (label.into(), detail.into());
        Self { label, kind, detail, documentation: String::new(), snippet: String::new() }
    }

    fn documented(mut self, markdown: impl Into<String>) -> Self {
        self.documentation = markdown.into();
        self
    }

    fn snippet(mut self, text: impl Into<String>) -> Self {
        self.snippet = text.into();
        self
    }

    fn item(self, rank: usize, range: Range, snippets: bool) -> CompletionItem {
        let (new_text, format) = match self.snippet.as_str() {
            "" => (self.label.clone(), InsertTextFormat::PLAIN_TEXT),
            snippet if snippets => (snippet.to_owned(), InsertTextFormat::SNIPPET),
            snippet => (plain(snippet), InsertTextFormat::PLAIN_TEXT),
        };
        let markup = MarkupContent { kind: MarkupKind::Markdown, value: self.documentation };
        CompletionItem {
            kind: Some(self.kind),
            detail: (!self.detail.is_empty()).then_some(self.detail),
            documentation: (!markup.value.is_empty()).then_some(Documentation::MarkupContent(markup)),
            sort_text: Some(format!("{rank:04}")),
            filter_text: Some(self.label.clone()),
            insert_text_format: Some(format),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text })),
            label: self.label,
            ..CompletionItem::default()
        }
    }
}

/// A text that stands in a snippet as it is.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}")
}

/// A snippet without its marks.
fn plain(snippet: &str) -> String {
    let mut out = String::new();
    let mut letters = snippet.chars().peekable();
    let mut depth = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next()),
            '$' => {
                let braced = letters.next_if_eq(&'{').is_some();
                while letters.next_if(char::is_ascii_digit).is_some() {}
                if braced {
                    depth += 1;
                    letters.next_if_eq(&':');
                }
            }
            '}' if depth > 0 => depth -= 1,
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_without_its_marks_is_what_it_shows() {
        assert_eq!(plain("rank = ${1:4}$0"), "rank = 4");
        assert_eq!(plain(&format!("train {{\n  lr = ${{1:{}}}\n}}", escaped("{a}$"))), "train {\n  lr = {a}$\n}");
    }
}
