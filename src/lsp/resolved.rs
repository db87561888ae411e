//! What a check made of an `intervene` block.

use super::documents::Document;
use super::facts::FirstRow;
use super::workspace::Workspace;
use crate::check::spec::Experiment;
use crate::intervention::Intervention;
use crate::syntax::tree::{Item, ItemKind, Section};
use std::sync::Arc;

/// An intervention with the experiment around it.
pub struct Resolved<'w> {
    pub experiment: &'w Experiment,
    pub intervention: &'w Intervention,
    /// The first training row of each data, once they were looked at.
    pub first_rows: &'w [Arc<FirstRow>],
}

/// The intervention of a section; `None` where the text has changed since its check, or the experiment has errors.
pub fn find<'w>(workspace: &'w Workspace, document: &Document, item: &Item, section: &Section) -> Option<Resolved<'w>> {
    let ItemKind::Experiment { name, .. } = &item.kind else { return None };
    let block = section.name.as_ref().filter(|_| section.keyword.text == "intervene")?;
    let checked = workspace.checked(document)?;
    let experiment = checked.compiled.spec.experiments.iter().find(|experiment| experiment.name == name.text)?;
    let intervention = experiment.interventions.iter().find(|intervention| intervention.name == block.text)?;
    let facts = workspace.facts.get(&document.path);
    let first_rows = facts.and_then(|facts| facts.first_rows.get(&experiment.name)).map_or(&[][..], Vec::as_slice);
    Some(Resolved { experiment, intervention, first_rows })
}
