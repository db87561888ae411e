//! Hoist: how far the untouched model must run through a row, once, for the constants that its work takes in.

use super::{Kept, Work};

/// How far the tokens of one segment run through the untouched model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// They run through the blocks below this one.
    pub blocks: usize,
    /// Their keys and values are computed in the blocks below this one: as many blocks, or one more.
    pub keys: usize,
}

/// The pass without gradient through one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConstantPass {
    pub prompt: Depth,
    pub target: Depth,
}

impl ConstantPass {
    /// The pass that makes what is kept of a row with that many prompt tokens and `inputs` in all. A target's tokens see the prompt's
    /// keys wherever they run.
    pub fn new(work: &Work, prompt: usize, inputs: usize) -> Self {
        let prompt_end = prompt.min(inputs);
        let target = Depth::of(&work.kept(prompt_end..inputs));
        let own = Depth::of(&work.kept(0..prompt_end));
        let keys = own.keys.max(target.blocks);
        Self { prompt: Depth { blocks: own.blocks.max(keys.saturating_sub(1)), keys }, target }
    }
}

impl Depth {
    /// As far as what is kept asks: the states at point p need p blocks, and so do the keys of block p.
    pub fn of(kept: &Kept) -> Self {
        let (keys, states) = (kept.keys.last().copied(), kept.states.last().copied());
        let blocks = keys.max(states).unwrap_or(0);
        Self { blocks, keys: keys.map_or(blocks, |layer| blocks.max(layer + 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervention::At;
    use crate::plan::passes::{Passes, Readers, Shape, Site, Tokens, work};

    /// Prompt of five, two target tokens, four blocks.
    fn pass(layer: usize, tokens: std::ops::Range<usize>) -> ConstantPass {
        let site = Site { layer, at: At::BlockOutput, tokens: Tokens::from(tokens) };
        let shape = Shape { layers: 4, window: None };
        ConstantPass::new(&work(shape, &[site], &Readers::training(5, 6), Passes::ALL), 5, 6)
    }

    #[test]
    fn a_pass_runs_no_further_than_what_is_kept() {
        // The prompt's other tokens are seen up to the last block, the target joins at point 2.
        let target = Depth { blocks: 2, keys: 2 };
        assert_eq!(pass(1, 4..5), ConstantPass { prompt: Depth { blocks: 3, keys: 4 }, target });
        // Every prompt token is edited at point 1: constants are the states of all tokens there.
        let all = Depth { blocks: 1, keys: 1 };
        assert_eq!(pass(0, 0..5), ConstantPass { prompt: all, target: all });
        // Nothing is worked but the last states, which the head reads.
        assert_eq!(
            pass(3, 0..1),
            ConstantPass { prompt: Depth { blocks: 4, keys: 4 }, target: Depth { blocks: 4, keys: 4 } }
        );
    }
}
