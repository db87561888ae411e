//! Constants as records of the frozen cache: for other runs, and for later processes.

use super::constant_pass::Tables;
use super::lines::bytes;
use crate::digest;
use crate::plan::passes::Tokens;
use crate::store::frozen::{Found, FrozenCache, Item, ItemName};
use candle_core::{Result, bail};
use std::collections::BTreeMap;

/// The records of one model.
pub struct Records<'a> {
    pub cache: &'a FrozenCache,
    /// What stands for the weights, the precision, the kind of device and the version of our numerics.
    pub model: String,
}

/// A segment that was computed and has no record yet.
pub struct Unsaved {
    /// What the segment is called in the cache.
    pub key: String,
    /// Its tokens.
    pub length: usize,
    /// The first of its lines in each table.
    pub first: BTreeMap<ItemName, usize>,
}

impl Records<'_> {
    /// Names a segment by its model, and by the tokens up to its end and where it begins.
    pub fn key(&self, start: usize, tokens: &[u32]) -> String {
        digest::of(digest::json(&(&self.model, start, tokens)))
    }

    /// These items of a segment.
    pub fn find(&self, start: usize, tokens: &[u32], names: &[ItemName]) -> Option<Found> {
        self.cache.get(&self.key(start, tokens), names)
    }

    /// Saves segments from tables, of which lines that follow each other are read at once. What has no room is not read at all.
    pub fn save(&self, segments: &[Unsaved], tables: &Tables) -> Result<()> {
        let line_bytes = |name: &ItemName| {
            tables.get(name).map_or(0, |table| table.dims().last().unwrap_or(&0) * table.dtype().size_in_bytes())
        };
        let mut room = self.cache.room();
        let fitting = segments.iter().filter(|segment| {
            let bytes = (segment.length * segment.first.keys().map(line_bytes).sum::<usize>()) as u64;
            let fits = bytes <= room;
            room -= if fits { bytes } else { 0 };
            fits
        });
        let segments: Vec<&Unsaved> = fitting.collect();
        let mut read: BTreeMap<ItemName, Vec<(usize, Vec<u8>)>> = BTreeMap::new();
        for (name, table) in tables {
            let own =
                segments.iter().filter_map(|segment| segment.first.get(name).map(|first| (first, segment.length)));
            let lines = Tokens::of(own.map(|(first, length)| *first..first + length));
            let runs = lines.ranges().iter().map(|run| Ok((run.start, bytes(table, run.clone())?)));
            read.insert(*name, runs.collect::<Result<_>>()?);
        }
        for segment in segments {
            let item = |(name, first): (&ItemName, &usize)| {
                let run = read.get(name).and_then(|runs| runs.iter().rev().find(|(begin, _)| begin <= first));
                let Some((begin, bytes)) = run else { bail!("nothing was computed of {name:?}") };
                let size = line_bytes(name);
                let start = (first - begin) * size;
                Ok(Item { kind: name.0, layer: name.1, values: &bytes[start..start + segment.length * size] })
            };
            self.cache.put(&segment.key, &segment.first.iter().map(item).collect::<Result<Vec<_>>>()?);
        }
        Ok(())
    }
}
