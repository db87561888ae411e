//! Another name for a declaration, everywhere it is used.

use super::documents::Document;
use super::modules::{Key, Modules};
use super::names::{Definition, Sort, Target};
use super::workspace::Workspace;
use crate::check::schema::{self, is_position};
use lsp_types::{PrepareRenameResponse, TextEdit, Uri, WorkspaceEdit};
use std::collections::HashMap;

/// The name at a byte, if it can be another.
pub fn prepare(workspace: &Workspace, document: &Document, at: usize) -> Option<PrepareRenameResponse> {
    let modules = Modules::load(workspace);
    let (key, span) = modules.key_at(&document.path, at)?;
    changeable(workspace, &key).ok()?;
    let placeholder = modules.definition(&key)?.name.text.clone();
    Some(PrepareRenameResponse::RangeWithPlaceholder { range: document.text.range(span), placeholder })
}

/// The edits of all open and used files.
///
/// # Errors
/// Where nothing with a name of its own stands at the byte, or the new name cannot be one; a sentence for people.
pub fn rename(workspace: &Workspace, document: &Document, at: usize, name: &str) -> Result<WorkspaceEdit, String> {
    let modules = Modules::load(workspace);
    let (key, _) = modules.key_at(&document.path, at).ok_or("no name that is declared stands here")?;
    changeable(workspace, &key)?;
    let definition = modules.definition(&key).ok_or("this name has no declaration")?;
    if name != definition.name.text {
        check(&modules, &key, definition, name)?;
    }
    #[allow(clippy::mutable_key_type, reason = "the protocol's own type; nothing changes a URI")]
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    for (path, text, span) in modules.places(&key) {
        let uri = workspace.documents.uri(path).ok_or_else(|| format!("{} has no URI", path.display()))?;
        let edit = TextEdit { range: text.range(span), new_text: name.to_owned() };
        changes.entry(uri).or_default().push(edit);
    }
    Ok(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() })
}

/// The library is part of the binary.
fn changeable(workspace: &Workspace, key: &Key) -> Result<(), String> {
    match workspace.library.text(&key.path) {
        Some(_) => Err("this name is declared in the library of reftc".to_owned()),
        None => Ok(()),
    }
}

/// Whether a name can be given, and is free in every file that would have it.
fn check(modules: &Modules, key: &Key, definition: &Definition, name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!("`{name}` cannot be a name: write letters, digits and `_`, beginning with a letter"));
    }
    let word = schema::FORMS.iter().any(|form| form.name == name) || is_position(name);
    if definition.sort == Sort::Let && word {
        return Err(format!("`{name}` is a word of the language"));
    }
    let names = modules.get(&key.path).map(|module| &module.names);
    let taken = match &key.target {
        Target::Name { .. } => names.and_then(|names| names.find(name)).is_some(),
        Target::Section { .. } => modules.places(key).into_iter().any(|(path, _, span)| {
            let Some(module) = modules.get(path) else { return false };
            let around = module.names.at(span.start as usize).map(|mention| &mention.target);
            let Some(Target::Section { experiment, .. }) = around else { return false };
            module
                .names
                .definitions
                .iter()
                .any(|other| other.experiment.as_deref() == Some(experiment) && other.name.text == name)
        }),
    };
    if taken { Err(format!("the name `{name}` is taken")) } else { Ok(()) }
}
