//! A branch with its runs laid out token by token, worked out once for all layers and heads.

use crate::model::branch::{Branch, Run, Source};
use candle_core::{Result, bail};
use std::ops::Range;

/// One branch. Its keys are counted fresh ones first, each kind by ascending position.
pub struct View {
    /// The packed index of each query.
    pub queries: Vec<usize>,
    /// The packed index of each fresh key.
    pub fresh: Vec<usize>,
    /// The packed indices of fresh keys lie within these bounds.
    pub span: Range<usize>,
    /// The line of each earlier key.
    pub past: Vec<usize>,
    /// The keys that each query sees: some of the fresh ones, some of the earlier ones.
    pub seen: Vec<[Range<usize>; 2]>,
}

impl View {
    pub fn keys(&self) -> usize {
        self.fresh.len() + self.past.len()
    }

    /// The packed index of the first key, where all keys are fresh and follow each other.
    pub fn in_place(&self) -> Option<usize> {
        let in_place = self.past.is_empty() && self.fresh.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if in_place { self.fresh.first().copied() } else { None }
    }

    fn new(branch: &Branch, window: Option<usize>) -> Result<Self> {
        if branch.keys.windows(2).any(|pair| pair[1].position < pair[0].end()) {
            bail!("the keys of a branch are not in the order of their positions: {:?}", branch.keys);
        }
        let of = |source| branch.keys.iter().filter(move |run| run.source == source);
        let (fresh, past): (Vec<usize>, Vec<usize>) =
            (of(Source::Fresh).flat_map(lines).collect(), of(Source::Past).flat_map(lines).collect());
        let fresh_positions: Vec<usize> = of(Source::Fresh).flat_map(positions).collect();
        let past_positions: Vec<usize> = of(Source::Past).flat_map(positions).collect();
        let queries: Vec<usize> = branch.queries.iter().flat_map(lines).collect();
        let mut seen = Vec::with_capacity(queries.len());
        for (position, &query) in branch.queries.iter().flat_map(positions).zip(&queries) {
            let oldest = window.map_or(0, |window| (position + 1).saturating_sub(window));
            let of_fresh = between(&fresh_positions, oldest, position);
            let of_past = between(&past_positions, oldest, position);
            if of_fresh.is_empty() || fresh[of_fresh.end - 1] != query {
                bail!("the query at position {position} does not see its own key in {branch:?}");
            }
            seen.push([of_fresh, fresh.len() + of_past.start..fresh.len() + of_past.end]);
        }
        let span = fresh.iter().min().map_or(0, |first| *first)..fresh.iter().max().map_or(0, |last| last + 1);
        Ok(Self { queries, fresh, span, past, seen })
    }
}

/// The views of branches among `fresh` tokens and a table of `past` lines.
pub fn views(branches: &[Branch], fresh: usize, past: usize, window: Option<usize>) -> Result<Vec<View>> {
    for run in branches.iter().flat_map(|branch| branch.queries.iter().chain(&branch.keys)) {
        let end = if run.source == Source::Fresh { fresh } else { past };
        if run.start + run.length > end {
            bail!("{run:?} lies outside of {fresh} tokens and {past} earlier lines");
        }
    }
    if branches.iter().flat_map(|branch| &branch.queries).any(|run| run.source == Source::Past) {
        bail!("earlier tokens cannot ask");
    }
    branches.iter().map(|branch| View::new(branch, window)).collect()
}

fn lines(run: &Run) -> Range<usize> {
    run.start..run.start + run.length
}

fn positions(run: &Run) -> Range<usize> {
    run.position..run.end()
}

/// The entries of ascending `positions` from `first` to `last`.
fn between(positions: &[usize], first: usize, last: usize) -> Range<usize> {
    let end = positions.partition_point(|&position| position <= last);
    positions[..end].partition_point(|&position| position < first)..end
}
