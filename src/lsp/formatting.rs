//! The canonical form of a text, as `reftc fmt` writes it.

use super::documents::Document;
use crate::syntax;
use lsp_types::{Range, TextEdit};

/// The edit that makes a text canonical: one that touches the lines that change, and none where all is well. `None` for a text with syntax
/// errors.
pub fn format(document: &Document) -> Option<Vec<TextEdit>> {
    if !document.is_clean() {
        return None;
    }
    let before = document.content();
    let after = syntax::format(document.tree(), before);
    if after == before {
        return Some(Vec::new());
    }
    // Lines that stay as they are keep the cursor where it is.
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let first = old.iter().zip(&new).take_while(|(left, right)| left == right).count();
    let (old, new) = (&old[first..], &new[first..]);
    let last = old.iter().rev().zip(new.iter().rev()).take_while(|(left, right)| left == right).count();
    let (changed, replacement) = (&old[..old.len() - last], &new[..new.len() - last]);
    let start = before.len() - bytes(old);
    let range = Range::new(document.text.position(start), document.text.position(start + bytes(changed)));
    Some(vec![TextEdit { range, new_text: replacement.concat() }])
}

fn bytes(lines: &[&str]) -> usize {
    lines.iter().map(|line| line.len()).sum()
}
