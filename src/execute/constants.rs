//! The constant states of rows: computed once, by themselves, and kept.
//!
//! A row's prompt is a segment, and so is the target behind it. What is kept of a segment are whole layers, computed by one call whose
//! shape depends on the segment alone: found in the cache or computed anew, in this run or in another, the bits are the same.

use super::works::RowWork;
use crate::digest;
use crate::model::branch::{Branch, Run, Source};
use crate::model::decoder::{Decoder, NoEdits, Watch};
use crate::model::pass::{self, Join, Leaving, Pass};
use crate::plan::passes::{Kept, Tokens};
use crate::store::frozen::{Found, FrozenCache, Item, ItemKind};
use candle_core::{DType, Result, Tensor, bail};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What is named in a record: keys of a block, or states at a point.
type Name = (ItemKind, u32);

/// The constants of one row.
#[derive(Default)]
pub struct Constants {
    segments: Vec<Segment>,
}

/// The constants of one segment of a row: for each name a line of bytes for each token.
struct Segment {
    tokens: Range<usize>,
    held: Held,
}

enum Held {
    /// In memory, or in a mapped file.
    Found(Found),
    Computed(BTreeMap<Name, Vec<u8>>),
}

/// Where constants come from.
pub struct ConstantRows<'a> {
    pub decoder: &'a Decoder,
    /// Where they are kept, and what stands for the weights, the precision, the kind of device and the version of our numerics.
    pub cache: Option<(&'a FrozenCache, String)>,
}

impl Constants {
    /// Appends the keys and values of tokens in a block, line after line.
    pub fn keys(&self, layer: usize, tokens: &Tokens, bytes: &mut Vec<u8>) -> Result<()> {
        self.lines((ItemKind::Keys, layer as u32), tokens, bytes)
    }

    /// Appends the states of tokens at a point, line after line.
    pub fn states(&self, point: usize, tokens: &Tokens, bytes: &mut Vec<u8>) -> Result<()> {
        self.lines((ItemKind::States, point as u32), tokens, bytes)
    }

    fn lines(&self, name: Name, tokens: &Tokens, bytes: &mut Vec<u8>) -> Result<()> {
        let mut missing = tokens.len();
        for Segment { tokens: segment, held } in &self.segments {
            let wanted = tokens.and(&segment.clone().into());
            if wanted.is_empty() {
                continue;
            }
            let Some(values) = held.get(name) else { bail!("the constants of a row lack {name:?}") };
            let width = values.len() / segment.len();
            for range in wanted.ranges() {
                bytes.extend_from_slice(
                    &values[(range.start - segment.start) * width..(range.end - segment.start) * width],
                );
            }
            missing -= wanted.len();
        }
        if missing > 0 { bail!("the constants of a row lack {missing} tokens") } else { Ok(()) }
    }
}

impl Held {
    fn get(&self, name: Name) -> Option<&[u8]> {
        match self {
            Held::Found(found) => found.values(name.0, name.1),
            Held::Computed(values) => values.get(&name).map(Vec::as_slice),
        }
    }
}

impl ConstantRows<'_> {
    /// The constants of a row, and whether all of them were found in the cache.
    pub fn of(&self, tokens: &[u32], work: &RowWork) -> Result<(Constants, bool)> {
        let [prompt, target] = &work.kept;
        let wanted = [(work.prompt.clone(), prompt), (work.target.clone(), target)];
        let wanted = wanted.into_iter().filter(|(tokens, kept)| !tokens.is_empty() && !names(kept).is_empty());
        let (mut segments, mut reused) = (Vec::new(), true);
        // Keys of the prompt that its target needs, where they were computed just now.
        let mut beside: Option<BTreeMap<Name, Tensor>> = None;
        for (range, kept) in wanted {
            let key = self.key(tokens, &range);
            let names = names(kept);
            if let Some(found) = key.as_ref().and_then(|(cache, key)| cache.get(key, &names)) {
                segments.push(Segment { tokens: range, held: Held::Found(found) });
                continue;
            }
            reused = false;
            let before = match range.start {
                0 => BTreeMap::new(),
                _ => match beside.take() {
                    Some(known) if covers(&known, kept) => known,
                    _ => self.compute(&tokens[..range.start], 0, &needed_before(kept), &BTreeMap::new())?,
                },
            };
            let also = if range.start == 0 { needed_before(target) } else { Kept::default() };
            let computed = self.compute(&tokens[range.clone()], range.start, &union(kept, &also), &before)?;
            let values: BTreeMap<Name, Vec<u8>> =
                names.iter().map(|name| Ok((*name, raw(&computed[name])?))).collect::<Result<_>>()?;
            if let Some((cache, key)) = key {
                let item = |(&(kind, layer), values)| Item { kind, layer, values: Vec::as_slice(values) };
                cache.put(&key, &values.iter().map(item).collect::<Vec<_>>());
            }
            beside = Some(computed);
            segments.push(Segment { tokens: range, held: Held::Computed(values) });
        }
        Ok((Constants { segments }, reused))
    }

    /// Names a segment by its model, and by the tokens up to its end and where it begins.
    fn key(&self, tokens: &[u32], range: &Range<usize>) -> Option<(&FrozenCache, String)> {
        let (cache, model) = self.cache.as_ref()?;
        Some((cache, digest::of(digest::json(&(model, range.start, &tokens[..range.end])))))
    }

    /// Runs the untouched blocks on a segment that begins at a position of its row, behind keys of what goes before.
    fn compute(
        &self,
        tokens: &[u32],
        start: usize,
        kept: &Kept,
        before: &BTreeMap<Name, Tensor>,
    ) -> Result<BTreeMap<Name, Tensor>> {
        let decoder = self.decoder;
        let layers = decoder.config().layers;
        let whole = whole_blocks(kept);
        let last = kept.keys.last().map_or(0, |layer| layer + 1).max(whole);
        let new = Run { source: Source::Fresh, start: 0, length: tokens.len(), position: start };
        let seen = Run { source: Source::Past, start: 0, length: start, position: 0 };
        let keys: Vec<Run> = if start > 0 { vec![seen, new] } else { vec![new] };
        let positions: Vec<usize> = (start..start + tokens.len()).collect();
        let stage = |queries, leaving| {
            let branch = Branch { queries, keys: keys.clone() };
            decoder.stage(vec![branch], &positions, start, leaving).map(Arc::new)
        };
        let asking = stage(vec![new], Leaving::All)?;
        let silent = stage(Vec::new(), Leaving::Nobody)?;
        let stage = |layer| match layer {
            _ if layer < whole => Some(asking.clone()),
            _ if layer < last => Some(silent.clone()),
            _ => None,
        };
        let ids = Tensor::from_slice(tokens, tokens.len(), decoder.device())?;
        let mut joins: Vec<Option<Join>> = (0..=layers).map(|_| None).collect();
        joins[0] = Some(Join { constants: Some(pass::Constants::Embeddings(ids)), order: None });
        let past =
            (0..layers).map(|layer| before.get(&(ItemKind::Keys, layer as u32)).filter(|_| layer < whole).cloned());
        let pass = Pass { stages: (0..layers).map(stage).collect(), joins, past: past.collect(), recompute: false };
        let mut collector = Collector { kept, found: BTreeMap::new() };
        decoder.run(&pass, &NoEdits, Some(&mut collector))?;
        Ok(collector.found)
    }
}

/// Keeps what is asked for as a pass goes by.
struct Collector<'a> {
    kept: &'a Kept,
    found: BTreeMap<Name, Tensor>,
}

impl Watch for Collector<'_> {
    fn keys(&mut self, layer: usize, fresh: &Tensor, _: Option<&Tensor>) -> Result<()> {
        if self.kept.keys.contains(&layer) {
            self.found.insert((ItemKind::Keys, layer as u32), fresh.clone());
        }
        Ok(())
    }

    fn stream(&mut self, point: usize, states: &Tensor) -> Result<()> {
        if self.kept.states.contains(&point) {
            self.found.insert((ItemKind::States, point as u32), states.clone());
        }
        Ok(())
    }
}

fn names(kept: &Kept) -> Vec<Name> {
    let keys = kept.keys.iter().map(|&layer| (ItemKind::Keys, layer as u32));
    keys.chain(kept.states.iter().map(|&point| (ItemKind::States, point as u32))).collect()
}

/// The number of blocks that run whole, from the first on: the states at point p need p of them, and so do the keys of block p.
fn whole_blocks(kept: &Kept) -> usize {
    kept.keys.last().copied().max(kept.states.last().copied()).unwrap_or(0)
}

/// What a segment needs of the one before it.
fn needed_before(kept: &Kept) -> Kept {
    Kept { keys: (0..whole_blocks(kept)).collect(), states: Vec::new() }
}

fn covers(known: &BTreeMap<Name, Tensor>, kept: &Kept) -> bool {
    names(&needed_before(kept)).iter().all(|name| known.contains_key(name))
}

fn union(a: &Kept, b: &Kept) -> Kept {
    let both = |a: &[usize], b: &[usize]| {
        std::collections::BTreeSet::from_iter(a.iter().chain(b).copied()).into_iter().collect()
    };
    Kept { keys: both(&a.keys, &b.keys), states: both(&a.states, &b.states) }
}

/// The bytes of a tensor, as they lie in memory.
fn raw(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_ne_bytes).collect(),
        DType::F64 => flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_ne_bytes).collect(),
        DType::F16 => flat.to_vec1::<half::f16>()?.into_iter().flat_map(half::f16::to_ne_bytes).collect(),
        DType::BF16 => flat.to_vec1::<half::bf16>()?.into_iter().flat_map(half::bf16::to_ne_bytes).collect(),
        other => bail!("constants of a row cannot be kept as {other:?}"),
    })
}
