//! Constants that stay on the device: a table for each kept layer and point, whose lines passes refer to where they lie.
//!
//! A segment, the prompt of a row or its target, is written once and never moves to another line; none makes room for another, since rows
//! come in turn and the one thrown out would be the next one needed. What does not fit goes to each pass anew.

use super::lines::{Form, Lines};
use crate::model::decoder::Decoder;
use crate::store::frozen::{ItemKind, ItemName};
use candle_core::{Result, Tensor};
use std::collections::BTreeMap;

/// Tables double when they grow; near the end of the budget they grow by smaller shares of themselves, in sixteenths.
const GROWTH: [usize; 5] = [16, 8, 4, 2, 1];

/// Numbers that are moved at once when a table grows: copies count them in 32 bits.
const NUMBERS_PER_COPY: usize = 1 << 28;

/// Taken where the device does not say how much of its memory is free.
const UNKNOWN_FREE: u64 = 8 << 30;

/// Constants of segments, for one decoder.
pub struct Arena {
    keys: Form,
    states: Form,
    /// The bytes that tables may have.
    budget: u64,
    tables: BTreeMap<ItemName, Table>,
    /// By the token where a segment begins and the tokens of its row up to its end: the first of its lines in each table.
    segments: BTreeMap<usize, BTreeMap<Vec<u32>, BTreeMap<ItemName, usize>>>,
}

struct Table {
    /// `[capacity, width]`
    lines: Tensor,
    used: usize,
}

/// A segment that asks to be kept.
pub struct Arrival<'a> {
    /// The token where it begins.
    pub start: usize,
    /// The tokens of its row up to its end.
    pub tokens: &'a [u32],
    /// A line for each of its own tokens, for each name; none that the arena has already.
    pub lines: BTreeMap<ItemName, Lines<'a>>,
}

/// The bytes that an arena may have where so many are `free` on the device beside the `held` ones of the arena itself: three quarters of what
/// is not `needed` by passes, and never more than `limit`. The rest is for what no plan counts: copies while a table grows, holes.
pub fn budget(free: Option<u64>, held: u64, needed: u64, limit: Option<u64>) -> u64 {
    let left = free.unwrap_or(UNKNOWN_FREE).saturating_add(held).saturating_sub(needed);
    (left / 4 * 3).min(limit.unwrap_or(u64::MAX))
}

impl Arena {
    /// An empty arena beside a decoder, of at most `budget` bytes.
    pub fn new(decoder: &Decoder, budget: u64) -> Self {
        let [keys, states] = [ItemKind::Keys, ItemKind::States].map(|kind| Form::of(decoder, kind));
        Self { keys, states, budget, tables: BTreeMap::new(), segments: BTreeMap::new() }
    }

    /// Sets the bytes that tables may have. What is there stays.
    pub fn limit(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// Forgets all, and frees what no pass holds on to.
    pub fn clear(&mut self) {
        self.tables.clear();
        self.segments.clear();
    }

    /// The bytes of all tables.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|(name, table)| self.size(*name, table.capacity())).sum()
    }

    /// The first line that a segment has in each table: of what is kept of it.
    pub fn find(&self, start: usize, tokens: &[u32]) -> Option<&BTreeMap<ItemName, usize>> {
        self.segments.get(&start)?.get(tokens)
    }

    /// The table of that name, `[lines, width]`. Its lines up to those in use never change, while other lines may be written.
    pub fn table(&self, name: ItemName) -> Option<&Tensor> {
        self.tables.get(&name).map(|table| &table.lines)
    }

    /// Writes segments that fit, each whole or not at all; tells of each whether it is kept.
    ///
    /// Where the device has less memory than the budget says, the arena keeps to what it has.
    pub fn admit(&mut self, arrivals: &[Arrival<'_>]) -> Result<Vec<bool>> {
        let mut plan: BTreeMap<ItemName, (usize, usize)> =
            self.tables.iter().map(|(name, table)| (*name, (table.capacity(), table.used))).collect();
        let fits: Vec<bool> = arrivals.iter().map(|arrival| self.reserve(&mut plan, arrival)).collect();
        if !fits.contains(&true) {
            return Ok(fits);
        }
        for (name, (capacity, _)) in &plan {
            if self.grow(*name, *capacity).is_err() {
                self.budget = self.bytes();
                return Ok(vec![false; arrivals.len()]);
            }
        }
        let kept = || arrivals.iter().zip(&fits).filter(|(_, fits)| **fits).map(|(arrival, _)| arrival);
        for name in plan.keys() {
            let parts: Vec<Lines<'_>> = kept().filter_map(|arrival| arrival.lines.get(name).cloned()).collect();
            let (form, Some(table)) = (self.form(*name), self.tables.get(name)) else { continue };
            if let Some(lines) = form.table(&parts)? {
                table.lines.slice_set(&lines, 0, table.used)?;
            }
        }
        for arrival in kept() {
            let segment = self.segments.entry(arrival.start).or_default().entry(arrival.tokens.to_vec()).or_default();
            for name in arrival.lines.keys() {
                if let Some(table) = self.tables.get_mut(name) {
                    segment.insert(*name, table.used);
                    table.used += arrival.tokens.len() - arrival.start;
                }
            }
        }
        Ok(fits)
    }

    /// Takes lines for a segment in a plan of capacities and lines in use, if the budget allows for the growth that this may need.
    fn reserve(&self, plan: &mut BTreeMap<ItemName, (usize, usize)>, arrival: &Arrival<'_>) -> bool {
        let length = arrival.tokens.len() - arrival.start;
        let grown = |share: usize| {
            let mut plan = plan.clone();
            for name in arrival.lines.keys() {
                let (capacity, used) = plan.entry(*name).or_default();
                *used += length;
                if *used > *capacity {
                    *capacity = (*used).max(*capacity + *capacity * share / 16);
                }
            }
            self.fits(&plan).then_some(plan)
        };
        match GROWTH.into_iter().find_map(grown) {
            Some(reserved) => {
                *plan = reserved;
                true
            }
            None => false,
        }
    }

    /// Whether tables of these capacities fit, and beside them, while one grows, what it was before.
    fn fits(&self, plan: &BTreeMap<ItemName, (usize, usize)>) -> bool {
        let (mut bytes, mut beside) = (0, 0);
        for (name, (capacity, _)) in plan {
            bytes += self.size(*name, *capacity);
            let before = self.tables.get(name).map_or(0, Table::capacity);
            if before < *capacity {
                beside = beside.max(self.size(*name, before));
            }
        }
        bytes + beside <= self.budget
    }

    fn form(&self, (kind, _): ItemName) -> &Form {
        match kind {
            ItemKind::Keys => &self.keys,
            ItemKind::States => &self.states,
        }
    }

    fn size(&self, name: ItemName, lines: usize) -> u64 {
        (self.form(name).bytes() * lines) as u64
    }

    fn grow(&mut self, name: ItemName, capacity: usize) -> Result<()> {
        let Form { width, dtype, device } = self.form(name);
        let before = self.tables.get(&name);
        if before.is_some_and(|table| table.capacity() >= capacity) {
            return Ok(());
        }
        let lines = Tensor::zeros((capacity, *width), *dtype, device)?;
        let used = before.map_or(0, |table| table.used);
        if let Some(table) = before {
            let step = (NUMBERS_PER_COPY / width).max(1);
            for first in (0..used).step_by(step) {
                lines.slice_set(&table.lines.narrow(0, first, step.min(used - first))?, 0, first)?;
            }
        }
        self.tables.insert(name, Table { lines, used });
        Ok(())
    }
}

impl Table {
    fn capacity(&self) -> usize {
        self.lines.dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    const KEYS: ItemName = (ItemKind::Keys, 3);
    const STATES: ItemName = (ItemKind::States, 1);

    /// Lines of 8 bytes of keys, and 4 bytes of states.
    fn arena(budget: u64) -> Arena {
        let form = |width| Form { width, dtype: DType::F32, device: Device::Cpu };
        Arena { keys: form(2), states: form(1), budget, tables: BTreeMap::new(), segments: BTreeMap::new() }
    }

    fn table(first: u32, lines: usize, width: usize) -> Tensor {
        let values: Vec<f32> = (0..lines * width).map(|place| (100 * first as usize + place) as f32).collect();
        Tensor::from_vec(values, (lines, width), &Device::Cpu).unwrap()
    }

    /// Segments whose tokens and values follow from their numbers.
    fn admit(arena: &mut Arena, segments: &[(u32, usize, &[ItemName])]) -> Vec<bool> {
        let tokens: Vec<Vec<u32>> = segments.iter().map(|(number, length, _)| vec![*number; *length]).collect();
        let arrival = |((number, length, names), tokens): (&(u32, usize, &[ItemName]), _)| {
            let lines = |name: &ItemName| {
                let width = if name.0 == ItemKind::Keys { 2 } else { 1 };
                (*name, Lines::Table(table(*number, *length, width), 0..*length))
            };
            Arrival { start: 0, tokens, lines: names.iter().map(lines).collect() }
        };
        let arrivals: Vec<Arrival<'_>> = segments.iter().zip(tokens.iter().map(Vec::as_slice)).map(arrival).collect();
        arena.admit(&arrivals).unwrap()
    }

    fn assert_holds(arena: &Arena, number: u32, length: usize, name: ItemName) {
        let first = arena.find(0, &vec![number; length]).unwrap()[&name];
        let table_of_all = arena.table(name).unwrap();
        let found = table_of_all.narrow(0, first, length).unwrap().to_vec2::<f32>().unwrap();
        let expected = table(number, length, table_of_all.dim(1).unwrap()).to_vec2::<f32>().unwrap();
        assert_eq!(found, expected, "{number} {name:?}");
    }

    #[test]
    fn segments_stay_as_tables_grow() {
        let mut arena = arena(1 << 20);
        assert_eq!(arena.bytes(), 0);
        assert_eq!(admit(&mut arena, &[(1, 3, &[KEYS]), (2, 2, &[KEYS, STATES])]), [true, true]);
        assert_eq!(arena.bytes(), 6 * 8 + 2 * 4, "three lines, doubled for two more; and two");
        assert_eq!(arena.find(0, &[2, 2]), Some(&BTreeMap::from([(KEYS, 3), (STATES, 0)])));
        let old = arena.table(KEYS).unwrap().clone();
        for number in 3..30 {
            assert_eq!(admit(&mut arena, &[(number, 4, &[KEYS])]), [true]);
        }
        // More of a segment that is there.
        assert_eq!(admit(&mut arena, &[(1, 3, &[STATES])]), [true]);
        assert_eq!(old.dims(), [6, 2], "passes that hold the table of before still have it");
        assert_eq!(old.to_vec2::<f32>().unwrap()[3], [200.0, 201.0]);
        for (number, length, name) in [(1, 3, KEYS), (1, 3, STATES), (2, 2, KEYS), (2, 2, STATES), (29, 4, KEYS)] {
            assert_holds(&arena, number, length, name);
        }
        assert_eq!(arena.find(0, &[1, 1]), None);
        assert_eq!(arena.find(1, &[1, 1, 1]), None);
        arena.clear();
        assert_eq!((arena.bytes(), arena.find(0, &[2, 2])), (0, None));
    }

    #[test]
    fn a_budget_is_kept_and_what_is_small_enough_still_fits() {
        let mut arena = arena(99);
        assert_eq!(admit(&mut arena, &[(1, 13, &[KEYS]), (2, 4, &[KEYS]), (3, 9, &[KEYS])]), [false, true, false]);
        // Four lines are there, and lie beside the grown table while they are copied.
        assert_eq!(admit(&mut arena, &[(4, 5, &[KEYS])]), [false]);
        assert_eq!(admit(&mut arena, &[(5, 3, &[KEYS, STATES])]), [false], "whole or not at all");
        assert_eq!(admit(&mut arena, &[(5, 1, &[STATES]), (6, 3, &[KEYS])]), [true, true]);
        assert!(arena.bytes() <= 99);
        for (number, length, name) in [(2, 4, KEYS), (5, 1, STATES), (6, 3, KEYS)] {
            assert_holds(&arena, number, length, name);
        }
        arena.limit(0);
        assert_eq!(admit(&mut arena, &[(7, 1, &[KEYS])]), [false]);
        assert_holds(&arena, 6, 3, KEYS);
    }

    #[test]
    fn a_budget_leaves_room_for_passes() {
        assert_eq!(budget(Some(100), 0, 20, None), 60);
        assert_eq!(budget(Some(60), 40, 20, None), 60, "what the arena holds is not lost");
        assert_eq!(budget(Some(100), 0, 20, Some(7)), 7);
        assert_eq!(budget(Some(10), 0, 20, None), 0);
        assert!(budget(None, 0, 0, None) > 0);
    }
}
