//! Work: what is both reached and live, and the constants that it takes in.

use super::live::Live;
use super::reach::Reached;
use super::{BlockWork, Kept, Passes, Readers, Shape, Site, Tokens, Work};
use std::ops::Range;

/// What every step computes of one row.
///
/// Without `reach` everything counts as reached, and all that is needed enters at point 0 as embeddings. Without `live` everything
/// counts as needed: every token asks in every block, and the head reads all inputs.
pub fn work(shape: Shape, sites: &[Site], readers: &Readers, passes: Passes) -> Work {
    let reached = match passes.reach {
        true => Reached::new(shape, sites, readers.inputs),
        false => Reached::everything(shape, readers.inputs),
    };
    let live = match passes.live {
        true => Live::new(shape, readers),
        false => Live::everything(shape, readers.inputs),
    };
    let keys_read = readers.keys_read(shape);
    let mut blocks = Vec::with_capacity(shape.layers);
    let mut joining = Vec::with_capacity(shape.layers + 1);
    let mut present = Tokens::none();
    for layer in 0..shape.layers {
        let output = reached.leaving[layer].and(&live.asking[layer]);
        let input = output.or(&reached.stream[layer].and(&live.entering[layer]));
        let constant_keys = shape.seen_by(&output).or(&keys_read).without(&input);
        joining.push(input.without(&present));
        present = output.clone();
        blocks.push(BlockWork { input, output, constant_keys });
    }
    joining.push(live.entering[shape.layers].without(&present));
    Work { blocks, joining }
}

impl Work {
    /// Tokens whose last state the head reads.
    pub fn head(&self) -> Tokens {
        let left = self.blocks.last().map(|block| block.output.clone()).unwrap_or_default();
        self.joining.last().map(|joining| joining.or(&left)).unwrap_or_default()
    }

    /// What of the constants of one segment of the row (its prompt, or its target) is used: whole layers. Embeddings, at point 0,
    /// are looked up and never kept.
    pub fn kept(&self, segment: Range<usize>) -> Kept {
        let segment = Tokens::from(segment);
        let meets = |tokens: &Tokens| !tokens.and(&segment).is_empty();
        let keys = self.blocks.iter().enumerate().filter(|(_, block)| meets(&block.constant_keys));
        let states = self.joining.iter().enumerate().skip(1).filter(|(_, joining)| meets(joining));
        Kept { keys: keys.map(|(layer, _)| layer).collect(), states: states.map(|(point, _)| point).collect() }
    }
}
