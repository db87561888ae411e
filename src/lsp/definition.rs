//! From a name to its declaration.

use super::documents::Document;
use super::modules::Modules;
use super::workspace::Workspace;
use crate::syntax::tree::ItemKind;
use lsp_types::{Location, Range};

/// Where the name at a byte is declared; for the path of a `use`, that file.
pub fn definition(workspace: &Workspace, document: &Document, at: usize) -> Option<Location> {
    let modules = Modules::load(workspace);
    if let Some((key, _)) = modules.key_at(&document.path, at) {
        return modules.location(workspace, &key);
    }
    let name = document.tree().items.iter().find_map(|item| match &item.kind {
        ItemKind::Use { path, name } if path.span.range().contains(&at) => Some(&name.text),
        _ => None,
    })?;
    let used = modules.used(&document.path, name)?;
    Some(Location { uri: workspace.uri(&used)?, range: Range::default() })
}
