//! Records in the memory of the process: the first ones that fit.

use super::record::ALIGNMENT;
use super::{Bytes, Found, Item, ItemName, Place, select};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records up to a number of bytes. None makes room for another: rows come in turn, so the one thrown out would be the next one needed.
#[derive(Debug)]
pub struct Memory {
    limit: u64,
    bytes: u64,
    records: BTreeMap<String, Vec<Arc<Block>>>,
}

/// The items of one record in one allocation.
#[derive(Debug)]
pub struct Block {
    storage: Box<[u8]>,
    /// Where in the storage the first multiple of [`ALIGNMENT`] is.
    start: usize,
    items: Vec<Place>,
}

impl Memory {
    pub fn new(limit: u64) -> Self {
        Self { limit, bytes: 0, records: BTreeMap::new() }
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes for which there is room.
    pub fn room(&self) -> u64 {
        self.limit.saturating_sub(self.bytes)
    }

    pub fn find(&self, segment: &str, wanted: &[ItemName]) -> Option<Found> {
        self.records.get(segment)?.iter().find_map(|block| {
            let items = select(&block.items, wanted)?;
            Some(Found { bytes: Bytes::Memory(Arc::clone(block)), items })
        })
    }

    /// Copies a record, where it fits and none is there that serves in its place.
    pub fn keep(&mut self, segment: &str, items: &[Item<'_>]) {
        let length = Block::length(items) as u64;
        let names: Vec<_> = items.iter().map(Item::name).collect();
        if self.bytes + length > self.limit || self.find(segment, &names).is_some() {
            return;
        }
        self.bytes += length;
        self.records.entry(segment.to_owned()).or_default().push(Arc::new(Block::copy(items)));
    }
}

impl Block {
    fn length(items: &[Item<'_>]) -> usize {
        // The allocator promises no alignment for bytes.
        items.iter().map(|item| item.values.len().next_multiple_of(ALIGNMENT)).sum::<usize>() + ALIGNMENT - 1
    }

    fn copy(items: &[Item<'_>]) -> Self {
        let mut storage = vec![0; Self::length(items)].into_boxed_slice();
        let start = storage.as_ptr().align_offset(ALIGNMENT);
        let mut places = Vec::with_capacity(items.len());
        let mut at = 0;
        for item in items {
            let range = at..at + item.values.len();
            storage[start..][range.clone()].copy_from_slice(item.values);
            at = range.end.next_multiple_of(ALIGNMENT);
            places.push((item.name(), range));
        }
        Self { storage, start, items: places }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..]
    }
}
