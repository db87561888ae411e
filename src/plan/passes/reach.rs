//! Reach: what moves while the edits are trained. All else is a constant of the row.

use super::{Shape, Site, Tokens};
use crate::intervention::At;

/// The states of one row that depend on an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// At each point, after the edits there: `layers + 1` sets.
    pub stream: Vec<Tokens>,
    /// What leaves each block, before the edits at the next point.
    pub leaving: Vec<Tokens>,
}

impl Reached {
    /// Follows the edits upwards: a state that moves takes its token with it, and later tokens by its key and value.
    /// Tokens of sites that are not among the `inputs` are ignored.
    pub fn new(shape: Shape, sites: &[Site], inputs: usize) -> Self {
        let all = Tokens::from(0..inputs);
        let edited = |acts: &dyn Fn(&Site) -> bool| {
            let sites = sites.iter().filter(|site| acts(site));
            Tokens::of(sites.flat_map(|site| site.tokens.ranges().iter().cloned())).and(&all)
        };
        let mut stream = vec![edited(&|site| site.point() == Some(0))];
        let mut leaving = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let inside = edited(&|site| site.layer == layer && site.point().is_none());
            let left = shape.seeing(&stream[layer], inputs).or(&inside);
            stream.push(left.or(&edited(&|site| site.point() == Some(layer + 1))));
            leaving.push(left);
        }
        Self { stream, leaving }
    }

    /// Everything moves: what is taken for granted without the pass.
    pub fn everything(shape: Shape, inputs: usize) -> Self {
        let all = Tokens::from(0..inputs);
        Self { stream: vec![all.clone(); shape.layers + 1], leaving: vec![all; shape.layers] }
    }
}

impl Site {
    /// The point at which the edit acts, or none where it acts inside its block.
    pub fn point(&self) -> Option<usize> {
        match self.at {
            At::BlockInput => Some(self.layer),
            At::BlockOutput => Some(self.layer + 1),
            At::AttentionOutput | At::MlpOutput => None,
        }
    }
}
