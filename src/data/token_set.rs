//! Sets of tokens of one row.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::Range;

/// A set of tokens, as ascending ranges that neither meet nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tokens(Vec<Range<usize>>);

impl Tokens {
    /// No token.
    pub fn none() -> Self {
        Self::default()
    }

    /// The ranges, in any order; empty ones are left out.
    pub fn of(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut ranges: Vec<Range<usize>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// The tokens, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().flat_map(Clone::clone)
    }

    /// The first of the tokens.
    pub fn first(&self) -> Option<usize> {
        self.0.first().map(|range| range.start)
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the token is in the set.
    pub fn contains(&self, token: usize) -> bool {
        self.0.iter().any(|range| range.contains(&token))
    }

    /// The tokens of either set.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).cloned())
    }

    /// The tokens of both sets.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let meet = |a: &Range<usize>, b: &Range<usize>| a.start.max(b.start)..a.end.min(b.end);
        Self::of(self.0.iter().flat_map(|a| other.0.iter().map(move |b| meet(a, b))))
    }

    /// The tokens of this set that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for taken in &other.0 {
            left = left
                .into_iter()
                .flat_map(|range| [range.start..range.end.min(taken.start), range.start.max(taken.end)..range.end])
                .filter(|range| !range.is_empty())
                .collect();
        }
        Self::of(left)
    }
}

/// By their ranges, one after another.
impl Ord for Tokens {
    fn cmp(&self, other: &Self) -> Ordering {
        let ends = |tokens: &Self| tokens.0.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>();
        ends(self).cmp(&ends(other))
    }
}

impl PartialOrd for Tokens {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Range<usize>> for Tokens {
    fn from(range: Range<usize>) -> Self {
        Self::of([range])
    }
}

impl FromIterator<usize> for Tokens {
    fn from_iter<T: IntoIterator<Item = usize>>(tokens: T) -> Self {
        Self::of(tokens.into_iter().map(|token| token..token + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn sets_behave_as_sets(a in prop::collection::btree_set(0usize..20, 0..12), b in prop::collection::btree_set(0usize..20, 0..12)) {
            let (left, right): (Tokens, Tokens) = (a.iter().copied().collect(), b.iter().copied().collect());
            let same = |tokens: Tokens, expected: BTreeSet<usize>| {
                prop_assert_eq!(tokens.len(), expected.len());
                prop_assert_eq!(tokens.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
                prop_assert!((0..20).all(|token| tokens.contains(token) == expected.contains(&token)));
                prop_assert!(tokens.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
                Ok(())
            };
            same(left.or(&right), a.union(&b).copied().collect())?;
            same(left.and(&right), a.intersection(&b).copied().collect())?;
            same(left.without(&right), a.difference(&b).copied().collect())?;
        }
    }
}
