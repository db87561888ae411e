//! The constant states of rows: computed once, by themselves, and kept.
//!
//! A row's prompt is a segment, and so is the target behind it. What is kept of a segment are whole layers, computed by one call whose
//! shape depends on the segment alone: found or computed anew, in this run or in another, on the device or not, the bits are the same.

use super::arena::{Arena, Arrival};
use super::batch::groups;
use super::constant_pass::{Job, Tables, compute, names, union};
use super::lines::Lines;
use super::records::{Records, Unsaved};
use super::works::RowWork;
use crate::model::decoder::Decoder;
use crate::plan::passes::{Kept, Tokens};
use crate::store::frozen::{Found, FrozenCache, ItemKind, ItemName};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Tokens whose constants are computed at once.
const GROUP_TOKENS: usize = 2048;

/// The constants of one row.
#[derive(Clone, Default)]
pub struct Constants {
    /// Its prompt, and its target, where constants are kept of them.
    segments: Vec<Rc<Segment>>,
}

/// The constants of a segment, which several rows may have in common: for each name a line for each token.
struct Segment {
    /// Among those of the batch.
    number: usize,
    tokens: Range<usize>,
    /// On the device: the tables and the first line in each.
    on_device: BTreeMap<ItemName, (Tensor, usize)>,
    /// In memory, or in a mapped file.
    found: Option<Found>,
}

/// Constants of tokens that follow each other in a segment.
pub struct Piece<'a> {
    /// The number of the segment: where number and tokens are the same, so are lines.
    pub segment: usize,
    pub tokens: Range<usize>,
    pub lines: Lines<'a>,
}

/// Where constants come from.
pub struct ConstantRows<'a> {
    decoder: &'a Decoder,
    /// Where they are kept for other runs.
    records: Option<Records<'a>>,
    /// Where they stay on the device.
    arena: Option<&'a RefCell<Arena>>,
    /// What lies in the arena and is still to be saved, in the groups in which it was computed. Reading it waits for the device, so it is put off
    /// until the pass that wants it is under way.
    unsaved: RefCell<Vec<Vec<Unsaved>>>,
}

impl Constants {
    /// The keys and values of tokens in a block, in their order.
    pub fn keys(&self, layer: usize, tokens: &Tokens) -> Result<Vec<Piece<'_>>> {
        self.pieces((ItemKind::Keys, layer as u32), tokens)
    }

    /// The states of tokens at a point, in their order.
    pub fn states(&self, point: usize, tokens: &Tokens) -> Result<Vec<Piece<'_>>> {
        self.pieces((ItemKind::States, point as u32), tokens)
    }

    fn pieces(&self, name: ItemName, tokens: &Tokens) -> Result<Vec<Piece<'_>>> {
        let (mut missing, mut pieces) = (tokens.len(), Vec::new());
        for segment in &self.segments {
            let wanted = tokens.and(&segment.tokens.clone().into());
            for range in wanted.ranges() {
                let Some(lines) = segment.lines(name, range) else { bail!("the constants of a row lack {name:?}") };
                pieces.push(Piece { segment: segment.number, tokens: range.clone(), lines });
                missing -= range.len();
            }
        }
        if missing > 0 { bail!("the constants of a row lack {missing} tokens") } else { Ok(pieces) }
    }
}

impl Segment {
    fn lines(&self, name: ItemName, tokens: &Range<usize>) -> Option<Lines<'_>> {
        let own = tokens.start - self.tokens.start..tokens.end - self.tokens.start;
        if let Some((table, first)) = self.on_device.get(&name) {
            return Some(Lines::Table(table.clone(), first + own.start..first + own.end));
        }
        let values = self.found.as_ref()?.values(name.0, name.1)?;
        let width = values.len() / self.tokens.len();
        Some(Lines::Host(&values[own.start * width..own.end * width]))
    }
}

/// A segment on its way.
struct Wanted<'a> {
    start: usize,
    /// Of the row up to the segment's end.
    tokens: &'a [u32],
    kept: Kept,
    /// What of it the arena lacks.
    missing: Vec<ItemName>,
    found: Option<Found>,
    computed: Option<Computed>,
}

/// Where a segment was computed.
struct Computed {
    tables: Arc<Tables>,
    first: usize,
    /// The group, among those of the batch.
    group: usize,
}

impl<'a> Wanted<'a> {
    fn new(start: usize, tokens: &'a [u32], kept: Kept) -> Self {
        Self { start, tokens, kept, missing: Vec::new(), found: None, computed: None }
    }

    fn length(&self) -> usize {
        self.tokens.len() - self.start
    }

    /// Its missing lines, if they are at hand.
    fn lines(&self) -> Option<BTreeMap<ItemName, Lines<'_>>> {
        let line = |name: &ItemName| {
            let lines = match (&self.computed, &self.found) {
                (Some(Computed { tables, first, .. }), _) => {
                    Lines::Table(tables.get(name)?.clone(), *first..first + self.length())
                }
                (None, found) => Lines::Host(found.as_ref()?.values(name.0, name.1)?),
            };
            Some((*name, lines))
        };
        self.missing.iter().map(line).collect()
    }
}

impl<'a> ConstantRows<'a> {
    /// Constants of a decoder, kept where there are records; on the device where there is an arena, which is the decoder's.
    pub fn new(decoder: &'a Decoder, records: Option<(&'a FrozenCache, String)>) -> Self {
        let records = records.map(|(cache, model)| Records { cache, model });
        Self { decoder, records, arena: None, unsaved: RefCell::default() }
    }

    /// Lets constants stay on the device.
    pub fn stay_in(&mut self, arena: &'a RefCell<Arena>) {
        self.arena = Some(arena);
    }

    /// The constants of rows, and whether none of a row's had to be computed.
    ///
    /// What rows have in common is looked up and computed once. What is missing is computed for several rows at once, layer after layer, but
    /// each row by calls of the shape that it has alone.
    pub fn of(&self, rows: &[(&[u32], &RowWork)]) -> Result<Vec<(Constants, bool)>> {
        self.save_unsaved()?;
        let (mut wanted, of_rows) = distinct(rows);
        if let Some(arena) = self.arena {
            let arena = arena.borrow();
            for segment in &mut wanted {
                if let Some(there) = arena.find(segment.start, segment.tokens) {
                    segment.missing.retain(|name| !there.contains_key(name));
                }
            }
        }
        if let Some(records) = &self.records {
            let lacking = wanted.par_iter_mut().filter(|segment| !segment.missing.is_empty());
            lacking.for_each(|segment| {
                segment.found = records.find(segment.start, segment.tokens, &segment.missing);
            });
        }
        self.admit(&mut wanted, |segment| segment.found.is_some())?;
        let computed: Vec<bool> =
            wanted.iter().map(|segment| !segment.missing.is_empty() && segment.found.is_none()).collect();
        self.compute(&mut wanted)?;
        let segments: Vec<Rc<Segment>> =
            wanted.into_iter().enumerate().map(|(number, wanted)| Rc::new(self.settled(number, wanted))).collect();
        let row = |of_row: [Option<usize>; 2]| {
            let numbers = || of_row.iter().flatten();
            let segments = numbers().map(|&number| segments[number].clone()).collect();
            (Constants { segments }, !numbers().any(|&number| computed[number]))
        };
        Ok(of_rows.into_iter().map(row).collect())
    }

    /// Computes what is neither in the arena nor found, and keeps it.
    fn compute(&self, wanted: &mut [Wanted<'_>]) -> Result<()> {
        // By prompt: the number of the prompt's own segment, if it is to be computed, and those of targets.
        let mut prompts: BTreeMap<&[u32], usize> = BTreeMap::new();
        let mut jobs: Vec<(Job<'_>, Option<usize>, Vec<usize>)> = Vec::new();
        for (number, segment) in wanted.iter().enumerate() {
            if segment.missing.is_empty() || segment.found.is_some() {
                continue;
            }
            let (prompt, target) = match segment.start {
                0 => (segment.tokens, &[][..]),
                start => segment.tokens.split_at(start),
            };
            let job = *prompts.entry(prompt).or_insert(jobs.len());
            if job == jobs.len() {
                jobs.push((Job { prompt, kept: Kept::default(), targets: Vec::new() }, None, Vec::new()));
            }
            let (job, own, targets) = &mut jobs[job];
            if segment.start == 0 {
                (job.kept, *own) = (segment.kept.clone(), Some(number));
            } else {
                job.targets.push((target, segment.kept.clone()));
                targets.push(number);
            }
        }
        for (group, jobs) in groups(jobs, GROUP_TOKENS, |(job, ..)| job.tokens()).into_iter().enumerate() {
            let (jobs, numbers): (Vec<_>, Vec<_>) =
                jobs.into_iter().map(|(job, own, targets)| (job, (own, targets))).unzip();
            let [of_prompts, of_targets] = compute(self.decoder, &jobs)?.map(Arc::new);
            let (mut in_prompts, mut in_targets) = (0, 0);
            for (job, (own, targets)) in jobs.iter().zip(numbers) {
                if let Some(number) = own {
                    wanted[number].computed = Some(Computed { tables: of_prompts.clone(), first: in_prompts, group });
                }
                in_prompts += job.prompt.len();
                for number in targets {
                    wanted[number].computed = Some(Computed { tables: of_targets.clone(), first: in_targets, group });
                    in_targets += wanted[number].length();
                }
            }
            let of_group = |segment: &Wanted<'_>| segment.computed.as_ref().is_some_and(|at| at.group == group);
            self.admit(wanted, of_group)?;
            self.save(wanted, of_group, [&of_prompts, &of_targets])?;
        }
        Ok(())
    }

    /// Lets segments whose lines are at hand into the arena, as far as there is room.
    fn admit(&self, wanted: &mut [Wanted<'_>], of: impl Fn(&Wanted<'_>) -> bool) -> Result<()> {
        let Some(arena) = self.arena else { return Ok(()) };
        let asking = wanted.iter().enumerate().filter(|(_, segment)| !segment.missing.is_empty() && of(segment));
        let (mut numbers, mut arrivals) = (Vec::new(), Vec::new());
        for (number, segment) in asking {
            let Some(lines) = segment.lines() else { continue };
            numbers.push(number);
            arrivals.push(Arrival { start: segment.start, tokens: segment.tokens, lines });
        }
        let admitted = arena.borrow_mut().admit(&arrivals)?;
        drop(arrivals);
        for (number, _) in numbers.into_iter().zip(admitted).filter(|(_, admitted)| *admitted) {
            wanted[number].missing.clear();
            wanted[number].found = None;
        }
        Ok(())
    }

    /// Saves what was computed: at once what is outside of the arena, since its tables go when the pass is made.
    fn save(
        &self,
        wanted: &mut [Wanted<'_>],
        of: impl Fn(&Wanted<'_>) -> bool,
        tables: [&Arc<Tables>; 2],
    ) -> Result<()> {
        let Some(records) = &self.records else { return Ok(()) };
        let (mut inside, mut outside) = (Vec::new(), [Vec::new(), Vec::new()]);
        for segment in wanted.iter_mut().filter(|segment| of(segment)) {
            let (key, length) = (records.key(segment.start, segment.tokens), segment.length());
            if segment.missing.is_empty() {
                let arena = self.arena.map(RefCell::borrow);
                let first = arena.as_ref().and_then(|arena| arena.find(segment.start, segment.tokens));
                inside.push(Unsaved { key, length, first: first.cloned().unwrap_or_default() });
                segment.computed = None;
            } else if let Some(Computed { tables: own, first, .. }) = &segment.computed {
                let first = names(&segment.kept).into_iter().map(|name| (name, *first)).collect();
                outside[usize::from(!Arc::ptr_eq(own, tables[0]))].push(Unsaved { key, length, first });
            }
        }
        for (segments, tables) in outside.iter().zip(tables) {
            records.save(segments, tables)?;
        }
        if !inside.is_empty() {
            self.unsaved.borrow_mut().push(inside);
        }
        Ok(())
    }

    /// Saves what was put off.
    fn save_unsaved(&self) -> Result<()> {
        let (Some(records), Some(arena)) = (&self.records, self.arena) else { return Ok(()) };
        for group in self.unsaved.take() {
            let arena = arena.borrow();
            let names: BTreeSet<ItemName> = group.iter().flat_map(|segment| segment.first.keys().copied()).collect();
            let tables = names.into_iter().filter_map(|name| Some((name, arena.table(name)?.clone())));
            records.save(&group, &tables.collect())?;
        }
        Ok(())
    }

    /// A segment with all its lines, wherever they are now.
    fn settled(&self, number: usize, wanted: Wanted<'_>) -> Segment {
        let mut on_device = BTreeMap::new();
        if let Some(arena) = self.arena {
            let arena = arena.borrow();
            let there = arena.find(wanted.start, wanted.tokens).into_iter().flatten();
            on_device.extend(there.filter_map(|(name, first)| Some((*name, (arena.table(*name)?.clone(), *first)))));
        }
        if let Some(Computed { tables, first, .. }) = &wanted.computed {
            let computed = |name: &ItemName| Some((*name, (tables.get(name)?.clone(), *first)));
            on_device.extend(wanted.missing.iter().filter_map(computed));
        }
        Segment { number, tokens: wanted.start..wanted.tokens.len(), on_device, found: wanted.found }
    }
}

impl Drop for ConstantRows<'_> {
    /// What cannot be saved any more is computed again when it is needed.
    fn drop(&mut self) {
        let _ = self.save_unsaved();
    }
}

/// The segments of rows, those that several rows have in common once, and the numbers of each row's.
fn distinct<'a>(rows: &[(&'a [u32], &RowWork)]) -> (Vec<Wanted<'a>>, Vec<[Option<usize>; 2]>) {
    let mut numbers: BTreeMap<(usize, &[u32]), usize> = BTreeMap::new();
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut of_rows = Vec::with_capacity(rows.len());
    for (tokens, work) in rows {
        of_rows.push(work.segments().map(|(range, kept)| {
            if range.is_empty() || names(kept).is_empty() {
                return None;
            }
            let tokens = &tokens[..range.end];
            let number = *numbers.entry((range.start, tokens)).or_insert(wanted.len());
            match wanted.get_mut(number) {
                Some(known) => known.kept = union(&known.kept, kept),
                None => wanted.push(Wanted::new(range.start, tokens, kept.clone())),
            }
            Some(number)
        }));
    }
    wanted.iter_mut().for_each(|segment| segment.missing = names(&segment.kept));
    (wanted, of_rows)
}
