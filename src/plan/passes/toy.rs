//! A decoder on integers, to see what moves when something is touched: every function is a hash, so nothing cancels.

use super::{Shape, Site, Tokens, Work};
use crate::intervention::At;
use std::collections::BTreeMap;

/// A change of one number, to see what depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Nothing,
    /// The parameters of all edits.
    Edits,
    /// The state of a token at a point, after the edits there.
    State(usize, usize),
    /// What the feed-forward part of a block adds to a token.
    FeedForward(usize, usize),
}

/// What one forward pass makes of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// `[layers + 1][inputs]`, before the edits at each point and after them.
    pub before: Vec<Vec<u64>>,
    pub after: Vec<Vec<u64>>,
    /// `[layers][inputs]`, a key and value in one.
    pub keys: Vec<Vec<u64>>,
}

/// A row of the toy model.
pub struct Toy<'a> {
    pub shape: Shape,
    pub sites: &'a [Site],
    pub inputs: usize,
}

fn mix(a: u64, b: u64) -> u64 {
    let mut value = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.rotate_left(32).wrapping_add(0xD1B5_4A32_D192_ED03);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn embedding(token: usize) -> u64 {
    mix(token as u64, 1)
}

fn key(state: u64, layer: usize) -> u64 {
    mix(state, 2 + layer as u64)
}

impl Toy<'_> {
    /// The edits of the sites that act on this value, in their order.
    fn edit(&self, value: u64, layer: usize, at: At, token: usize, touch: Touch) -> u64 {
        let parameter = if touch == Touch::Edits { 77 } else { 66 };
        let sites = self.sites.iter().enumerate();
        let acting = sites.filter(|(_, site)| (site.layer, site.at) == (layer, at) && site.tokens.contains(token));
        acting.fold(value, |value, (site, _)| mix(value, parameter + 1000 * site as u64))
    }

    /// The edits at a point: those of the output below it, then those of the input above.
    fn edit_point(&self, value: u64, point: usize, token: usize, touch: Touch) -> u64 {
        let below = point.checked_sub(1).map_or(value, |layer| self.edit(value, layer, At::BlockOutput, token, touch));
        let edited = self.edit(below, point, At::BlockInput, token, touch);
        if touch == Touch::State(point, token) { edited ^ 1 } else { edited }
    }

    /// What a block makes of a token's state and the keys that it sees.
    fn block(&self, state: u64, layer: usize, token: usize, seen: impl Iterator<Item = u64>, touch: Touch) -> u64 {
        let attention = seen.fold(mix(state, 3), mix);
        let state = state.wrapping_add(self.edit(attention, layer, At::AttentionOutput, token, touch));
        let added = self.edit(mix(state, 4), layer, At::MlpOutput, token, touch);
        let touched = u64::from(touch == Touch::FeedForward(layer, token));
        state.wrapping_add(added ^ touched)
    }

    /// All states and keys of the row.
    pub fn run(&self, touch: Touch) -> Pass {
        let mut pass = Pass::default();
        let mut stream: Vec<u64> = (0..self.inputs).map(embedding).collect();
        for layer in 0..self.shape.layers {
            let edited: Vec<u64> =
                (0..self.inputs).map(|token| self.edit_point(stream[token], layer, token, touch)).collect();
            let keys: Vec<u64> = edited.iter().map(|&state| key(state, layer)).collect();
            let out = |token: usize| {
                let seen = (self.shape.first_seen(token)..=token).map(|seen| keys[seen]);
                self.block(edited[token], layer, token, seen, touch)
            };
            let left = (0..self.inputs).map(out).collect();
            pass.before.push(std::mem::replace(&mut stream, left));
            pass.after.push(edited);
            pass.keys.push(keys);
        }
        let last = self.shape.layers;
        pass.after.push((0..self.inputs).map(|token| self.edit_point(stream[token], last, token, touch)).collect());
        pass.before.push(stream);
        pass
    }

    /// The row by its work alone, everything else taken from the pass of the untouched model: the states that the head reads, and
    /// all keys at hand in each block.
    pub fn run_work(&self, work: &Work, constants: &Pass) -> (BTreeMap<usize, u64>, Vec<BTreeMap<usize, u64>>) {
        let mut stream: BTreeMap<usize, u64> = BTreeMap::new();
        let mut all_keys = Vec::new();
        let enter = |stream: &mut BTreeMap<usize, u64>, point: usize| {
            for token in work.joining[point].iter() {
                assert!(stream.insert(token, constants.before[point][token]).is_none(), "{token} is there already");
            }
            for (&token, state) in stream {
                *state = self.edit_point(*state, point, token, Touch::Nothing);
            }
        };
        for (layer, block) in work.blocks.iter().enumerate() {
            enter(&mut stream, layer);
            assert_eq!(stream.keys().copied().collect::<Tokens>(), block.input, "input of block {layer}");
            let mut keys: BTreeMap<usize, u64> =
                stream.iter().map(|(&token, &state)| (token, key(state, layer))).collect();
            for token in block.constant_keys.iter() {
                assert!(keys.insert(token, constants.keys[layer][token]).is_none(), "key {token} is computed too");
            }
            let out = |token: usize| {
                let seen = (self.shape.first_seen(token)..=token).map(|seen| keys[&seen]);
                (token, self.block(stream[&token], layer, token, seen, Touch::Nothing))
            };
            stream = block.output.iter().map(out).collect();
            all_keys.push(keys);
        }
        enter(&mut stream, self.shape.layers);
        (stream, all_keys)
    }
}
