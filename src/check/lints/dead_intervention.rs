//! Segments that nothing sees, in no row: their parameters get no gradient.

use super::super::Checker;
use super::super::intervene::CheckedIntervention;
use super::super::model::ModelDeclaration;
use crate::data::positions::Segment;
use crate::data::report::RowShape;
use crate::diag::{Code, Diagnostic};
use crate::plan::Intervention;
use crate::plan::passes::{Live, Readers, Shape, sites};
use crate::source::Spanned;

impl Checker<'_> {
    /// Warns of segments, or tied segments together, that no row's loss depends on at any of their layers. Where only some of the layers
    /// are of no use, as the last one is for the first tokens, `reftc plan` shows it.
    pub(in crate::check) fn dead_segments(
        &mut self,
        block: &CheckedIntervention,
        rows: &[RowShape],
        model: &ModelDeclaration,
    ) {
        let CheckedIntervention { intervention, segments, layers, .. } = block;
        let shape = Shape::of(&model.checked.config);
        let size = if intervention.tied { segments.len() } else { 1 };
        for unit in segments.chunks(size.max(1)) {
            let Some(first) = unit.first().filter(|_| !is_seen(intervention, unit, rows, shape)) else { continue };
            let names: Vec<String> = unit.iter().map(|segment| segment.value.to_string()).collect();
            let is_last = intervention.layers == [shape.layers - 1];
            let place = if is_last { "in the last layer" } else { "at any of its layers" };
            let mut diagnostic = Diagnostic::at(
                Code::DeadIntervention,
                unit.iter().fold(first.span, |span, segment| span.to(segment.span)),
                format!("`{}` of `{}` has no effect {place}", names.join("+"), intervention.name),
                "nothing reads these tokens after it",
            );
            if is_last {
                let label = format!("layer {} is the last one of `{}`", shape.layers - 1, model.name.text);
                diagnostic = diagnostic.label(*layers, label);
            }
            self.sink.push(diagnostic.help("write `positions = l3`, or take an earlier layer"));
        }
    }
}

/// Whether some row's loss depends on the segments at some layer of the block, or it cannot be told, as the rows that were looked at have no
/// token of them.
fn is_seen(block: &Intervention, unit: &[Spanned<Segment>], rows: &[RowShape], shape: Shape) -> bool {
    let segments = unit.iter().map(|segment| segment.value.clone()).collect();
    let unit = Intervention { segments, ..block.clone() };
    let mut acts = false;
    rows.iter().any(|RowShape { row, .. }| {
        let row = row.up_to(row.all.saturating_sub(1));
        let live = Live::new(shape, &Readers::training(row.prompt, row.all));
        let sites = sites(std::slice::from_ref(&unit), &row);
        acts |= !sites.is_empty();
        sites.iter().any(|site| live.sees(site))
    }) || !acts
}
