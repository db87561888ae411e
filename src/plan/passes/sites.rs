//! From interventions to sites: the passes know where something trainable acts, not what it is.

use super::{Site, Tokens};
use crate::intervention::Intervention;

/// The sites of a row whose prompt has `prompt` tokens: one for each set of parameters that acts on some token.
pub fn sites(interventions: &[Intervention], prompt: usize) -> Vec<Site> {
    let mut sites = Vec::new();
    for block in interventions {
        let ranges = block.segments.iter().map(|segment| segment.resolve(prompt));
        let sets: Vec<Tokens> = match block.tied {
            true => vec![Tokens::of(ranges)],
            false => ranges.map(Tokens::from).collect(),
        };
        for &layer in &block.layers {
            let acting = sets.iter().filter(|tokens| !tokens.is_empty());
            sites.extend(acting.map(|tokens| Site { layer, at: block.at, tokens: tokens.clone() }));
        }
    }
    sites
}
