//! The pass that computes constants: the untouched blocks on prompts, and then on the targets behind them.
//!
//! Several rows go at once, layer after layer, but each by calls of the shape that it has alone.

use crate::model::branch::{Branch, Run, Source};
use crate::model::decoder::{Decoder, NoEdits, Watch};
use crate::model::pass::{self, Join, Leaving, Pass, Stage};
use crate::plan::passes::{Depth, Kept};
use crate::store::frozen::{ItemKind, ItemName};
use candle_core::{Result, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A prompt, and the targets behind it.
pub struct Job<'a> {
    pub prompt: &'a [u32],
    /// What is kept of the prompt.
    pub kept: Kept,
    /// Each with what is kept of it.
    pub targets: Vec<(&'a [u32], Kept)>,
}

/// What was computed, by name a table `[tokens, width]`.
pub type Tables = BTreeMap<ItemName, Tensor>;

impl Job<'_> {
    /// The tokens that run.
    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.targets.iter().map(|(target, _)| target.len()).sum::<usize>()
    }
}

/// Tokens that follow each other in a row.
struct Span<'a> {
    tokens: &'a [u32],
    /// How many go before them, which is the position of the first.
    start: usize,
    /// The line of the first of these in the tables of what goes before.
    before: usize,
}

/// The constants of prompts and those of targets: one prompt's lines after another, in the order of the jobs, and likewise those of targets.
pub fn compute(decoder: &Decoder, jobs: &[Job<'_>]) -> Result<[Tables; 2]> {
    let of_prompts = jobs.iter().fold(Kept::default(), |all, job| union(&all, &job.kept));
    let targets = jobs.iter().flat_map(|job| &job.targets);
    let of_targets = targets.fold(Kept::default(), |all, (_, kept)| union(&all, kept));
    let (mut prompts, mut targets, mut first) = (Vec::new(), Vec::new(), 0);
    for Job { prompt, targets: behind, .. } in jobs {
        prompts.push(Span { tokens: prompt, start: 0, before: 0 });
        targets.extend(behind.iter().map(|(tokens, _)| Span { tokens, start: prompt.len(), before: first }));
        first += prompt.len();
    }
    let before = run(decoder, &prompts, &union(&of_prompts, &needed_before(&of_targets)), &Tables::new())?;
    let after = if targets.is_empty() { Tables::new() } else { run(decoder, &targets, &of_targets, &before)? };
    Ok([before, after])
}

/// Runs the untouched blocks on spans, behind the keys of what goes before each.
fn run(decoder: &Decoder, spans: &[Span<'_>], kept: &Kept, before: &Tables) -> Result<Tables> {
    let layers = decoder.config().layers;
    let Depth { blocks: whole, keys: last } = Depth::of(kept);
    let (mut fresh, mut seen, mut branches) = (0, 0, Vec::new());
    for Span { tokens, start, before } in spans {
        let new = Run { source: Source::Fresh, start: fresh, length: tokens.len(), position: *start };
        let old = Run { source: Source::Past, start: *before, length: *start, position: 0 };
        let keys = [old, new].into_iter().filter(|run| run.length > 0).collect();
        let queries = if tokens.is_empty() { Vec::new() } else { vec![new] };
        branches.push(Branch { queries, keys });
        (fresh, seen) = (fresh + tokens.len(), seen.max(before + start));
    }
    if fresh == 0 {
        return Ok(Tables::new());
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
    let mut collector = Collector { kept, found: Tables::new() };
    decoder.run(&pass, &NoEdits, Some(&mut collector))?;
    Ok(collector.found)
}

/// Keeps what is asked for as a pass goes by.
struct Collector<'a> {
    kept: &'a Kept,
    found: Tables,
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
            self.found.insert((ItemKind::States, point as u32), states.contiguous()?);
        }
        Ok(())
    }
}

/// What is named in records and tables.
pub fn names(kept: &Kept) -> Vec<ItemName> {
    let keys = kept.keys.iter().map(|&layer| (ItemKind::Keys, layer as u32));
    keys.chain(kept.states.iter().map(|&point| (ItemKind::States, point as u32))).collect()
}

/// What either keeps.
pub fn union(a: &Kept, b: &Kept) -> Kept {
    let both = |a: &[usize], b: &[usize]| BTreeSet::from_iter(a.iter().chain(b).copied()).into_iter().collect();
    Kept { keys: both(&a.keys, &b.keys), states: both(&a.states, &b.states) }
}

/// What a target needs of the prompt before it.
fn needed_before(kept: &Kept) -> Kept {
    Kept { keys: (0..Depth::of(kept).blocks).collect(), states: Vec::new() }
}
