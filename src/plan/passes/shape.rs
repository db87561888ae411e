//! Who sees whom in a causal decoder.

use super::{Shape, Tokens};
use crate::model::config::ModelConfig;
use std::ops::Range;

impl Shape {
    /// The shape of a model.
    pub fn of(config: &ModelConfig) -> Self {
        Self { layers: config.layers, window: config.sliding_window }
    }

    /// Tokens whose keys and values some of `queries` see: their own, and those before them within the window.
    pub fn seen_by(self, queries: &Tokens) -> Tokens {
        Tokens::of(queries.ranges().iter().map(|range| self.first_seen(range.start)..range.end))
    }

    /// Tokens below `inputs` that see the key and value of some of `keys`.
    pub fn seeing(self, keys: &Tokens, inputs: usize) -> Tokens {
        let last = |range: &Range<usize>| match self.window {
            Some(window) => (range.end + window.max(1) - 1).min(inputs),
            None => inputs,
        };
        Tokens::of(keys.ranges().iter().map(|range| range.start..last(range)))
    }

    /// The first token that `token` sees.
    pub fn first_seen(self, token: usize) -> usize {
        self.window.map_or(0, |window| (token + 1).saturating_sub(window.max(1)))
    }

    /// How many pairs of a query and a key that it sees there are.
    pub fn pairs(self, queries: &Tokens, keys: &Tokens) -> u64 {
        let pairs = |queries: &Range<usize>, keys: &Range<usize>| {
            // A query t sees the keys of 0..t + 1 but those of 0..first_seen(t), which is 0 for the first queries.
            let unseen = self.first_seen(queries.start)..self.first_seen(queries.end);
            let from_zero = (queries.len() - unseen.len()) * keys.start;
            clamped_sum(queries.start + 1..queries.end + 1, keys) - clamped_sum(unseen, keys) - from_zero as u64
        };
        queries.ranges().iter().flat_map(|query| keys.ranges().iter().map(move |key| pairs(query, key))).sum()
    }
}

/// The sum over `values` of each, moved into `bounds` (its end included).
fn clamped_sum(values: Range<usize>, bounds: &Range<usize>) -> u64 {
    let below = values.start.min(bounds.start)..values.end.min(bounds.start);
    let within = values.start.clamp(bounds.start, bounds.end)..values.end.clamp(bounds.start, bounds.end);
    let above = values.len() - below.len() - within.len();
    let middle = (within.len() * (within.start + within.end).saturating_sub(1)) / 2;
    (below.len() * bounds.start + middle + above * bounds.end) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sight_is_that_of_a_mask(
            queries in prop::collection::btree_set(0usize..12, 0..8),
            keys in prop::collection::btree_set(0usize..12, 0..8),
            window in prop::option::of(1usize..14),
        ) {
            let shape = Shape { layers: 1, window };
            let sees = |query: usize, key: usize| key <= query && window.is_none_or(|window| query - key < window);
            let (query_set, key_set): (Tokens, Tokens) = (queries.iter().copied().collect(), keys.iter().copied().collect());
            let seen: Tokens = (0..12).filter(|&key| queries.iter().any(|&query| sees(query, key))).collect();
            let seeing: Tokens = (0..12).filter(|&query| keys.iter().any(|&key| sees(query, key))).collect();
            let pairs = queries.iter().flat_map(|&query| keys.iter().map(move |&key| sees(query, key))).filter(|&sees| sees);
            prop_assert_eq!(shape.seen_by(&query_set), seen);
            prop_assert_eq!(shape.seeing(&key_set, 12), seeing);
            prop_assert_eq!(shape.pairs(&query_set, &key_set), pairs.count() as u64);
        }
    }
}
