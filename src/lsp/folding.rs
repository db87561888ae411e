//! What can be folded away: blocks over several lines, and comments that go on.

use super::documents::Document;
use crate::syntax::tree::{Block, Entry, ItemKind};
use lsp_types::{FoldingRange, FoldingRangeKind};

/// Every range, in no particular order.
pub fn ranges(document: &Document) -> Vec<FoldingRange> {
    let mut found = Vec::new();
    for item in &document.tree().items {
        match &item.kind {
            ItemKind::Model { body: Some(body), .. }
            | ItemKind::Intervention { body: Some(body), .. }
            | ItemKind::Data { body, .. }
            | ItemKind::Experiment { body, .. } => block(document, body, &mut found),
            _ => {}
        }
    }
    comments(document, &mut found);
    found
}

fn block(document: &Document, body: &Block, found: &mut Vec<FoldingRange>) {
    let range = document.text.range(body.span);
    push(range.start.line, range.end.line.saturating_sub(1), None, found);
    for entry in &body.entries {
        if let Entry::Section(section) = entry {
            block(document, &section.body, found);
        }
    }
}

fn comments(document: &Document, found: &mut Vec<FoldingRange>) {
    let mut lines = document.tree().comments.iter().map(|comment| document.text.range(comment.span).start.line);
    let Some(mut first) = lines.next() else { return };
    let mut last = first;
    for line in lines.chain([u32::MAX]) {
        if line != last + 1 {
            push(first, last, Some(FoldingRangeKind::Comment), found);
            first = line;
        }
        last = line;
    }
}

fn push(start_line: u32, end_line: u32, kind: Option<FoldingRangeKind>, found: &mut Vec<FoldingRange>) {
    if start_line < end_line {
        found.push(FoldingRange { start_line, end_line, kind, ..FoldingRange::default() });
    }
}
