//! Inlay hints: what a number or a word of an `intervene` block comes to.

use super::documents::Document;
use super::resolved;
use super::walk::{Node, walk};
use super::workspace::Workspace;
use crate::report::units;
use crate::syntax::tree::ExprKind;
use lsp_types::{InlayHint, InlayHintLabel, Range};

/// Parameters beside `rank`, and how many layers a word of `layers` denotes.
pub fn hints(workspace: &Workspace, document: &Document, range: Range) -> Vec<InlayHint> {
    let mut hints = Vec::new();
    walk(document.tree(), &mut |node, place| {
        let (Node::Field(field), Some(section)) = (node, place.section) else { return };
        let Some(found) = resolved::find(workspace, document, place.item, section) else { return };
        let label = match field.name.text().as_str() {
            "rank" => {
                let count = found.intervention.parameter_count(found.experiment.model.config.hidden_size);
                format!("{} parameters", units::count(count))
            }
            "layers" if !matches!(field.value.kind, ExprKind::List(_)) => {
                units::counted(found.intervention.layers.len(), "layer")
            }
            _ => return,
        };
        let position = document.text.position(field.value.span.end as usize);
        if range.start <= position && position <= range.end {
            hints.push(InlayHint {
                position,
                label: InlayHintLabel::String(label),
                kind: None,
                text_edits: None,
                tooltip: None,
                padding_left: Some(true),
                padding_right: None,
                data: None,
            });
        }
    });
    hints
}
