//! Quick fixes: the changes that findings bring with them.

use super::diagnostics::{Files, diagnostic};
use super::documents::Document;
use super::workspace::Workspace;
use crate::diag::Fix;
use lsp_types::{CodeAction, CodeActionKind, CodeActionOrCommand, Range, TextEdit, WorkspaceEdit};
use std::collections::HashMap;

/// The fixes of findings that touch a range; none while a changed text waits for its check.
pub fn actions(workspace: &Workspace, document: &Document, range: Range) -> Vec<CodeActionOrCommand> {
    let Some(checked) = workspace.checked(document) else { return Vec::new() };
    let files = Files::new(&checked.compiled, workspace);
    let mut actions = Vec::new();
    for finding in &checked.compiled.diagnostics {
        let Some(fix) = &finding.fix else { continue };
        let (Some((path, place)), Some((fixed, change))) =
            (finding.span().and_then(|span| files.place(span)), files.place(fix.span))
        else {
            continue;
        };
        let here = path == document.path && (meet(place, range) || meet(change, range));
        let Some(uri) = workspace.documents.uri(fixed).filter(|_| here) else { continue };
        let title = title(fix, checked.compiled.sources.text(fix.span));
        let edit = TextEdit { range: change, new_text: fix.replacement.clone() };
        #[allow(clippy::mutable_key_type, reason = "the protocol's own type; nothing changes a URI")]
        let changes = HashMap::from([(uri, vec![edit])]);
        actions.push(CodeActionOrCommand::CodeAction(CodeAction {
            title,
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![diagnostic(finding, place, &files)]),
            edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
            is_preferred: Some(true),
            ..CodeAction::default()
        }));
    }
    actions
}

/// What a fix does.
fn title(fix: &Fix, before: &str) -> String {
    match (before.trim(), fix.replacement.trim()) {
        ("", new) => format!("insert `{new}`"),
        (old, "") => format!("remove `{old}`"),
        (old, new) => format!("write `{new}` for `{old}`"),
    }
}

/// Whether two ranges have a place in common; their ends count.
fn meet(left: Range, right: Range) -> bool {
    left.start <= right.end && right.start <= left.end
}
