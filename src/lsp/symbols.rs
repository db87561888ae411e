//! The outline of a spec.

use super::documents::Document;
use crate::source::Span;
use crate::syntax::tree::{Block, Entry, Ident, Item, ItemKind};
use lsp_types::{DocumentSymbol, SymbolKind};

/// Declarations, and the blocks and fields inside them.
pub fn symbols(document: &Document) -> Vec<DocumentSymbol> {
    document.tree().items.iter().filter_map(|item| declaration(document, item)).collect()
}

fn declaration(document: &Document, item: &Item) -> Option<DocumentSymbol> {
    let (name, kind, word, body) = match &item.kind {
        ItemKind::Use { name, .. } => (name, SymbolKind::NAMESPACE, "use", None),
        ItemKind::Let { name, .. } => (name, SymbolKind::CONSTANT, "let", None),
        ItemKind::Model { name, body, .. } => (name, SymbolKind::OBJECT, "model", body.as_ref()),
        ItemKind::Data { name, body } => (name, SymbolKind::STRUCT, "data", Some(body)),
        ItemKind::Intervention { name, body, .. } => (name, SymbolKind::OPERATOR, "intervention", body.as_ref()),
        ItemKind::Experiment { name, body, .. } => (name, SymbolKind::CLASS, "experiment", Some(body)),
        ItemKind::Edition { .. } | ItemKind::Allow(_) | ItemKind::Bad => return None,
    };
    let children = body.map(|body| entries(document, body));
    Some(symbol(document, &name.text, word, kind, item.span, name.span, children))
}

fn entries(document: &Document, body: &Block) -> Vec<DocumentSymbol> {
    let entry = |entry: &Entry| match entry {
        Entry::Field(field) => {
            let value = document.content().get(field.value.span.range()).unwrap_or_default();
            let value = value.lines().next().unwrap_or_default();
            let name = field.name.text();
            Some(symbol(document, &name, value, SymbolKind::FIELD, field.span, field.name.span, None))
        }
        Entry::Section(section) => {
            let named = section.name.as_ref();
            let place = named.unwrap_or(&section.keyword);
            let name: &Ident = named.unwrap_or(&section.keyword);
            let word = if named.is_some() { section.keyword.text.as_str() } else { "" };
            let children = Some(entries(document, &section.body));
            Some(symbol(document, &name.text, word, SymbolKind::METHOD, section.span, place.span, children))
        }
        Entry::Comparison(_) | Entry::Remove(_) | Entry::Allow(_) | Entry::Bad(_) => None,
    };
    body.entries.iter().filter_map(entry).collect()
}

#[allow(deprecated, reason = "the protocol's type has an old field that every maker of one must fill")]
fn symbol(
    document: &Document,
    name: &str,
    detail: &str,
    kind: SymbolKind,
    whole: Span,
    name_place: Span,
    children: Option<Vec<DocumentSymbol>>,
) -> DocumentSymbol {
    DocumentSymbol {
        name: name.to_owned(),
        detail: (!detail.is_empty()).then(|| detail.to_owned()),
        kind,
        tags: None,
        deprecated: None,
        range: document.text.range(whole.to(name_place)),
        selection_range: document.text.range(name_place),
        children,
    }
}
