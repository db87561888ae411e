//! From a name to every place that means the same.

use super::documents::Document;
use super::modules::Modules;
use super::workspace::Workspace;
use lsp_types::{DocumentHighlight, DocumentHighlightKind, Location};

/// Every place in open and used files; with or without the declaration itself.
pub fn references(
    workspace: &Workspace,
    document: &Document,
    at: usize,
    with_declaration: bool,
) -> Option<Vec<Location>> {
    let modules = Modules::load(workspace);
    let (key, _) = modules.key_at(&document.path, at)?;
    let declared = modules.definition(&key)?.name.span;
    let places = modules.places(&key).into_iter();
    let wanted = places.filter(|(path, _, span)| with_declaration || *path != key.path || *span != declared);
    Some(
        wanted
            .filter_map(|(path, text, span)| Some(Location { uri: workspace.uri(path)?, range: text.range(span) }))
            .collect(),
    )
}

/// The places in the same text, for marking them.
pub fn highlights(workspace: &Workspace, document: &Document, at: usize) -> Option<Vec<DocumentHighlight>> {
    let modules = Modules::load(workspace);
    let (key, _) = modules.key_at(&document.path, at)?;
    let here = modules.places(&key).into_iter().filter(|(path, ..)| *path == document.path);
    let highlight = |range| DocumentHighlight { range, kind: Some(DocumentHighlightKind::TEXT) };
    Some(here.map(|(_, text, span)| highlight(text.range(span))).collect())
}
