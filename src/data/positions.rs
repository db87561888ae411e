//! Positions: which prompt tokens an intervention edits (`f3+l3`).

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One segment of a positions value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// `fN`: the first N prompt tokens, clipped to half of the prompt.
    First(usize),
    /// `lN`: the last N prompt tokens, clipped to half of the prompt.
    Last(usize),
    /// Every prompt token.
    All,
}

impl Segment {
    /// The prompt tokens that the segment edits in a prompt of `tokens` tokens.
    ///
    /// `fN` and `lN` are clipped to ⌊tokens/2⌋, as pyreft's `get_intervention_locations` does, so that they never meet.
    pub fn resolve(self, tokens: usize) -> Range<usize> {
        let half = tokens / 2;
        match self {
            Segment::First(count) => 0..count.min(half),
            Segment::Last(count) => tokens - count.min(half)..tokens,
            Segment::All => 0..tokens,
        }
    }

    /// Whether a prompt of `tokens` tokens is too short for the whole segment.
    pub fn is_clipped(self, tokens: usize) -> bool {
        match self {
            Segment::First(count) | Segment::Last(count) => count > tokens / 2,
            Segment::All => false,
        }
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Segment::First(count) => write!(f, "f{count}"),
            Segment::Last(count) => write!(f, "l{count}"),
            Segment::All => f.write_str("all"),
        }
    }
}

/// The prompt tokens that each set of parameters of a block edits, ascending: one list for each segment, or, where the
/// segments are tied, one list of all their tokens, each once.
pub fn resolve_all(segments: &[Segment], tied: bool, tokens: usize) -> Vec<Vec<usize>> {
    let lists = segments.iter().map(|segment| segment.resolve(tokens));
    if tied {
        let union: std::collections::BTreeSet<usize> = lists.flatten().collect();
        vec![union.into_iter().collect()]
    } else {
        lists.map(Iterator::collect).collect()
    }
}
