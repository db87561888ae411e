//! The constant states of rows: computed once, by themselves, and kept.
//!
//! A row's prompt is a segment, and so is the target behind it. What is kept of a segment are whole layers, computed by one call whose
//! shape depends on the segment alone: found in the cache or computed anew, in this run or in another, the bits are the same.

use super::batch::groups;
use super::works::RowWork;
use crate::digest;
use crate::model::branch::{Branch, Run, Source};
use crate::model::decoder::{Decoder, NoEdits, Watch};
use crate::model::pass::{self, Join, Leaving, Pass, Stage};
use crate::plan::passes::{Depth, Kept, Tokens};
use crate::store::frozen::{Found, FrozenCache, Item, ItemKind};
use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What is named in a record: keys of a block, or states at a point.
type Name = (ItemKind, u32);

/// Tokens of rows whose constants are computed at once.
const GROUP_TOKENS: usize = 2048;

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
    /// The constants of rows, and whether all of a row's were found in the cache.
    ///
    /// What is missing is computed for several rows at once, layer after layer, but each row by calls of the shape that it has alone.
    pub fn of(&self, rows: &[(&[u32], &RowWork)]) -> Result<Vec<(Constants, bool)>> {
        let mut found: Vec<[Option<Segment>; 2]> =
            rows.par_iter().map(|(tokens, work)| self.find(tokens, work)).collect();
        let missing: Vec<usize> = (0..rows.len()).filter(|&row| is_missing(rows[row].1, &found[row])).collect();
        for group in groups(missing.clone(), GROUP_TOKENS, |&row| rows[row].0.len()) {
            let group_rows: Vec<_> = group.iter().map(|&row| rows[row]).collect();
            for (row, computed) in group.iter().zip(self.compute(&group_rows)?) {
                for (place, segment) in computed.into_iter().enumerate() {
                    if let (None, Some(segment)) = (&found[*row][place], segment) {
                        self.keep(rows[*row].0, &segment);
                        found[*row][place] = Some(segment);
                    }
                }
            }
        }
        let whole = |(row, segments): (usize, [Option<Segment>; 2])| {
            (Constants { segments: segments.into_iter().flatten().collect() }, missing.binary_search(&row).is_err())
        };
        Ok(found.into_iter().enumerate().map(whole).collect())
    }

    /// What the cache has of a row's segments.
    fn find(&self, tokens: &[u32], work: &RowWork) -> [Option<Segment>; 2] {
        work.segments().map(|(range, kept)| {
            let (cache, key) = self.key(tokens, &range).filter(|_| !names(kept).is_empty())?;
            let held = Held::Found(cache.get(&key, &names(kept))?);
            Some(Segment { tokens: range, held })
        })
    }

    fn keep(&self, tokens: &[u32], segment: &Segment) {
        if let (Some((cache, key)), Held::Computed(values)) = (self.key(tokens, &segment.tokens), &segment.held) {
            let item = |(&(kind, layer), values)| Item { kind, layer, values: Vec::as_slice(values) };
            cache.put(&key, &values.iter().map(item).collect::<Vec<_>>());
        }
    }

    /// Names a segment by its model, and by the tokens up to its end and where it begins.
    fn key(&self, tokens: &[u32], range: &Range<usize>) -> Option<(&FrozenCache, String)> {
        let (cache, model) = self.cache.as_ref()?;
        Some((cache, digest::of(digest::json(&(model, range.start, &tokens[..range.end])))))
    }

    /// Runs the untouched blocks on the prompts of rows, and then on the targets behind them.
    fn compute(&self, rows: &[(&[u32], &RowWork)]) -> Result<Vec<[Option<Segment>; 2]>> {
        let all =
            |place: usize| rows.iter().map(|(_, work)| &work.kept[place]).fold(Kept::default(), |a, b| union(&a, b));
        let (of_prompts, of_targets) = (all(0), all(1));
        let span = |place: usize| {
            move |(tokens, work): &(&[u32], &RowWork)| {
                let range = work.segments()[place].0.clone();
                Span { start: range.start, tokens: tokens[range].to_vec() }
            }
        };
        let prompts: Vec<Span> = rows.iter().map(span(0)).collect();
        let before = self.run(&prompts, &union(&of_prompts, &needed_before(&of_targets)), &BTreeMap::new())?;
        let targets: Vec<Span> = rows.iter().map(span(1)).collect();
        let after = match names(&of_targets).is_empty() {
            true => BTreeMap::new(),
            false => self.run(&targets, &of_targets, &before)?,
        };
        let (mut starts, mut segments) = ([0, 0], Vec::with_capacity(rows.len()));
        for (_, work) in rows {
            let mut of_row = [None, None];
            for (place, (range, kept)) in work.segments().into_iter().enumerate() {
                let (computed, start) = (if place == 0 { &before } else { &after }, starts[place]);
                starts[place] += range.len();
                if range.is_empty() || names(kept).is_empty() {
                    continue;
                }
                let value = |name: &Name| match computed.get(name) {
                    Some(lines) => Ok((*name, raw(&lines.narrow(0, start, range.len())?)?)),
                    None => bail!("a pass over constants did not compute {name:?}"),
                };
                let values = names(kept).iter().map(value).collect::<Result<_>>()?;
                of_row[place] = Some(Segment { tokens: range, held: Held::Computed(values) });
            }
            segments.push(of_row);
        }
        Ok(segments)
    }

    /// Runs the untouched blocks on spans of rows, behind the keys of what goes before each: `before` has those of all rows.
    fn run(&self, spans: &[Span], kept: &Kept, before: &BTreeMap<Name, Tensor>) -> Result<BTreeMap<Name, Tensor>> {
        let decoder = self.decoder;
        let layers = decoder.config().layers;
        let Depth { blocks: whole, keys: last } = Depth::of(kept);
        let (mut fresh, mut seen, mut branches) = (0, 0, Vec::new());
        for Span { start, tokens } in spans {
            let new = Run { source: Source::Fresh, start: fresh, length: tokens.len(), position: *start };
            let old = Run { source: Source::Past, start: seen, length: *start, position: 0 };
            let keys = [old, new].into_iter().filter(|run| run.length > 0).collect();
            let queries = if tokens.is_empty() { Vec::new() } else { vec![new] };
            branches.push(Branch { queries, keys });
            (fresh, seen) = (fresh + tokens.len(), seen + start);
        }
        if fresh == 0 {
            return Ok(BTreeMap::new());
        }
        let positions: Vec<usize> = spans.iter().flat_map(|span| span.start..span.start + span.tokens.len()).collect();
        let apart: Vec<usize> = spans.iter().map(|span| span.tokens.len()).filter(|&length| length > 0).collect();
        let stage = |branches, leaving| {
            let stage = decoder.stage(branches, &positions, seen, leaving)?;
            Ok::<_, candle_core::Error>(Arc::new(Stage { apart: apart.clone(), ..stage }))
        };
        let silent = branches.iter().map(|branch| Branch { queries: Vec::new(), ..branch.clone() }).collect();
        let (asking, silent) = (stage(branches, Leaving::All)?, stage(silent, Leaving::Nobody)?);
        let stage = |layer| match layer {
            _ if layer < whole => Some(asking.clone()),
            _ if layer < last => Some(silent.clone()),
            _ => None,
        };
        let ids: Vec<u32> = spans.iter().flat_map(|span| span.tokens.iter().copied()).collect();
        let ids = Tensor::from_vec(ids, fresh, decoder.device())?;
        let mut joins: Vec<Option<Join>> = (0..=layers).map(|_| None).collect();
        joins[0] = Some(Join { constants: Some(pass::Constants::Embeddings(ids)), order: None });
        let past = |layer| before.get(&(ItemKind::Keys, layer as u32)).filter(|_| layer < whole && seen > 0).cloned();
        let stages = (0..layers).map(stage).collect();
        let pass = Pass { stages, joins, past: (0..layers).map(past).collect(), recompute: false };
        let mut collector = Collector { kept, found: BTreeMap::new() };
        decoder.run(&pass, &NoEdits, Some(&mut collector))?;
        Ok(collector.found)
    }
}

/// Tokens of one row, and the position of the first.
struct Span {
    start: usize,
    tokens: Vec<u32>,
}

/// Whether a row has constants that were not found.
fn is_missing(work: &RowWork, found: &[Option<Segment>; 2]) -> bool {
    work.kept.iter().zip(found).any(|(kept, found)| !names(kept).is_empty() && found.is_none())
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

/// What a segment needs of the one before it.
fn needed_before(kept: &Kept) -> Kept {
    Kept { keys: (0..Depth::of(kept).blocks).collect(), states: Vec::new() }
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
