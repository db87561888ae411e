//! From interventions to sites: the passes know where something trainable acts, not what it is.

use super::Site;
use crate::data::positions::{RowTokens, resolve_all};
use crate::intervention::Intervention;

/// The sites of a row: one for each set of parameters that acts on some token.
pub fn sites(interventions: &[Intervention], row: &RowTokens) -> Vec<Site> {
    let mut sites = places(interventions, row);
    sites.retain(|site| !site.tokens.is_empty());
    sites
}

/// A site for each set of parameters, in an order that is the same for all rows, those without a token included.
pub fn places(interventions: &[Intervention], row: &RowTokens) -> Vec<Site> {
    let mut places = Vec::new();
    for block in interventions {
        let sets = resolve_all(&block.segments, block.tied, row);
        for &layer in &block.layers {
            places.extend(sets.iter().map(|tokens| Site { layer, at: block.at, tokens: tokens.clone() }));
        }
    }
    places
}
