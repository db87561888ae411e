//! A record as a file.
//!
//! ```text
//! what it is, 8 bytes · SHA-256 of the rest of the header, 32 · length of the segment's name, 4 · number of items, 4
//! the segment's name
//! for each item: kind, 4 · layer, 4 · bytes, 8 · SHA-256 of its values, 32
//! zeros up to a multiple of 64, then the values of each item, each filled up with zeros likewise
//! ```
//!
//! Numbers are little-endian; values are as they lie in memory. An item has a digest of its own, so that a reader verifies what it
//! uses, and touches no more of the file.

use super::{Item, ItemKind, ItemName, Place};
use crate::digest;
use crate::store::atomic;
use rayon::prelude::*;
use std::io;
use std::path::Path;

/// The last character is the version of the format.
const MAGIC: [u8; 8] = *b"reftcFZ1";
/// Values begin at multiples of this, which suits every element type and vector unit.
pub const ALIGNMENT: usize = 64;
/// Where the part of the header begins that its digest covers.
const COVERED: usize = MAGIC.len() + 32;
const ENTRY: usize = 4 + 4 + 8 + 32;

/// What a file holds, as its header says.
pub struct Table {
    pub segment: String,
    /// Names of the items, and where their values are in the file.
    pub items: Vec<Place>,
    /// Of the items, in their order.
    digests: Vec<[u8; 32]>,
}

/// The length of the file of a record whose items have these lengths.
pub fn length(segment: &str, items: impl ExactSizeIterator<Item = usize>) -> u64 {
    let header = aligned(header_length(segment.len(), items.len()));
    (header + items.map(aligned).sum::<usize>()) as u64
}

/// Writes the file of a record; what it replaces is replaced whole.
pub fn write(path: &Path, segment: &str, items: &[Item<'_>]) -> io::Result<()> {
    let header = header(segment, items);
    let mut parts: Vec<&[u8]> = vec![&header];
    for item in items {
        parts.extend([item.values, padding(item.values.len())]);
    }
    atomic::replace(path, &parts)
}

/// Reads the header; `None` where it is not that of a whole file of this format.
pub fn read(bytes: &[u8]) -> Option<Table> {
    let mut rest = bytes;
    let magic: [u8; 8] = take(&mut rest)?;
    let sum: [u8; 32] = take(&mut rest)?;
    let segment_length = u32::from_le_bytes(take(&mut rest)?) as usize;
    let count = u32::from_le_bytes(take(&mut rest)?) as usize;
    let end = COVERED.checked_add(8 + segment_length)?.checked_add(count.checked_mul(ENTRY)?)?;
    if magic != MAGIC || digest::bytes(bytes.get(COVERED..end)?) != sum {
        return None;
    }
    let (segment, mut rest) = rest.split_at_checked(segment_length)?;
    let segment = String::from_utf8(segment.to_vec()).ok()?;
    let (mut items, mut digests) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut at = aligned(end);
    for _ in 0..count {
        let kind = kind(u32::from_le_bytes(take(&mut rest)?))?;
        let layer = u32::from_le_bytes(take(&mut rest)?);
        let length = usize::try_from(u64::from_le_bytes(take(&mut rest)?)).ok()?;
        items.push(((kind, layer), at..at.checked_add(length)?));
        digests.push(take(&mut rest)?);
        at = at.checked_add(length)?.checked_next_multiple_of(ALIGNMENT)?;
    }
    (at == bytes.len()).then_some(Table { segment, items, digests })
}

impl Table {
    /// Whether the values of these items are what was written.
    pub fn verify(&self, bytes: &[u8], names: &[ItemName]) -> bool {
        self.items.par_iter().zip(&self.digests).all(|((name, range), sum)| {
            !names.contains(name) || bytes.get(range.clone()).is_some_and(|values| digest::bytes(values) == *sum)
        })
    }
}

fn header(segment: &str, items: &[Item<'_>]) -> Vec<u8> {
    let mut covered = Vec::with_capacity(header_length(segment.len(), items.len()));
    covered.extend((segment.len() as u32).to_le_bytes());
    covered.extend((items.len() as u32).to_le_bytes());
    covered.extend(segment.as_bytes());
    let digests: Vec<[u8; 32]> = items.par_iter().map(|item| digest::bytes(item.values)).collect();
    for (item, digest) in items.iter().zip(digests) {
        covered.extend(number(item.kind).to_le_bytes());
        covered.extend(item.layer.to_le_bytes());
        covered.extend((item.values.len() as u64).to_le_bytes());
        covered.extend(digest);
    }
    let mut header = [&MAGIC[..], &digest::bytes(&covered), &covered].concat();
    header.resize(aligned(header.len()), 0);
    header
}

fn header_length(segment: usize, items: usize) -> usize {
    COVERED + 8 + segment + items * ENTRY
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// The zeros that follow values of this length.
fn padding(length: usize) -> &'static [u8] {
    &[0; ALIGNMENT][..aligned(length) - length]
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn number(kind: ItemKind) -> u32 {
    match kind {
        ItemKind::Keys => 1,
        ItemKind::States => 2,
    }
}

fn kind(number: u32) -> Option<ItemKind> {
    [ItemKind::Keys, ItemKind::States].into_iter().find(|kind| self::number(*kind) == number)
}
