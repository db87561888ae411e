//! The frozen cache: constant states of rows, shared by epochs, seeds and runs.
//!
//! It knows bytes only. What is kept belongs to a *segment*, named by a digest over all that decides the states (model, dtype,
//! numerics, device, tokens), and is a set of items: keys and values of some layers, states at some points. Records lie in memory up to
//! a modest share and, where there is a folder, in one file each, which is mapped on reuse and verified. Nothing that happens to the
//! cache fails a run: what is missing, damaged or unwritable is computed again.

mod budget;
mod files;
mod folder;
mod memory;
mod record;

pub use budget::Budget;
pub use folder::held;

use crate::diag::{Code, Diagnostic, reason};
use files::Files;
use folder::Look;
use memory::Memory;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What of the records that have files is held in memory too. The point of the cache's files is that resident memory does not grow
/// with the number of rows; this much saves small data sets the verification of a file for each row and epoch.
pub const MEMORY_SHARE: u64 = 128 << 20;

/// What the values of an item are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// Keys and values of every token of the segment in a layer.
    Keys,
    /// States of every token of the segment at a point, the stream that enters the layer of that number.
    States,
}

/// The name of an item: its kind, and its layer or point.
pub type ItemName = (ItemKind, u32);

/// An item, and where its values are.
type Place = (ItemName, Range<usize>);

/// An item of a record, named by its kind and its layer (or point), with its values as they lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub kind: ItemKind,
    pub layer: u32,
    pub values: &'a [u8],
}

/// Where records are kept, and how many.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files are kept here, also for later and concurrent runs; without it, records are kept in memory only.
    pub folder: Option<PathBuf>,
    /// Bytes at most: of the files where there is a folder, else of memory.
    pub budget: Budget,
}

/// What the cache did so far, and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of [`FrozenCache::get`] that found a record.
    pub hits: u64,
    /// Those that found none.
    pub misses: u64,
    pub memory_bytes: u64,
    pub file_bytes: u64,
}

/// The cache of one run. May be used by several threads at once.
#[derive(Debug)]
pub struct FrozenCache {
    on: bool,
    /// As it was set; what follows from it depends on the machine.
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    files: Option<Files>,
    hits: u64,
    misses: u64,
    warning: Option<Box<Diagnostic>>,
}

/// A record that was found; what it holds on to is let go when it is dropped.
#[derive(Debug)]
pub struct Found {
    bytes: Bytes,
    /// In the order in which they were wanted.
    items: Vec<Place>,
}

#[derive(Debug)]
enum Bytes {
    Memory(Arc<memory::Block>),
    File(memmap2::Mmap),
}

impl FrozenCache {
    /// Looks at what the folder holds; a folder that is not there yet is made when something is first put.
    pub fn open(settings: Settings) -> Self {
        let Settings { folder, budget } = settings;
        let folder = folder.filter(|_| budget != Budget::OFF);
        let (mut files, set) = (folder.map(Files::open), budget);
        let budget = match &files {
            Some(files) => budget.bytes(Some(files.folder()), files.bytes()),
            None => budget.bytes(None, 0),
        };
        if let Some(files) = &mut files {
            files.limit(budget);
        }
        let memory = if files.is_some() { budget.min(MEMORY_SHARE) } else { budget };
        let state = State { memory: Memory::new(memory), files, hits: 0, misses: 0, warning: None };
        Self { on: budget > 0, budget: set, state: Mutex::new(state) }
    }

    /// A cache that keeps nothing.
    pub fn off() -> Self {
        Self::open(Settings { folder: None, budget: Budget::OFF })
    }

    /// Whether anything can be kept; where not, nothing needs to be made ready for it.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// The bytes that were set; `None` where they follow from the machine.
    pub fn limit(&self) -> Option<u64> {
        match self.budget {
            Budget::Automatic => None,
            Budget::Bytes(bytes) => Some(bytes),
        }
    }

    /// The bytes for which [`FrozenCache::put`] would find room now.
    pub fn room(&self) -> u64 {
        let state = self.lock();
        state.files.as_ref().map_or(0, Files::room).max(state.memory.room())
    }

    /// The wanted items of a segment, from a record that holds these and maybe others.
    ///
    /// A file is verified before it is believed; one that is torn or damaged is removed.
    pub fn get(&self, segment: &str, wanted: &[ItemName]) -> Option<Found> {
        if !self.on {
            return None;
        }
        let in_memory = self.lock().memory.find(segment, wanted);
        let found = in_memory.or_else(|| self.in_files(segment, wanted));
        let mut state = self.lock();
        match &found {
            Some(_) => state.hits += 1,
            None => state.misses += 1,
        }
        found
    }

    /// Keeps the items of a segment as one record, where the budget allows it. Records of earlier runs make room, the oldest first; what
    /// this run put or used stays, since a run passes over its rows again and again in turn, and would always throw out the next one.
    pub fn put(&self, segment: &str, items: &[Item<'_>]) {
        if !self.on || items.is_empty() {
            return;
        }
        let mut items = items.to_vec();
        items.sort_by_key(Item::name);
        items.dedup_by_key(|item| item.name());
        let names: Vec<_> = items.iter().map(Item::name).collect();
        let name = folder::name(segment, &names);
        let path = {
            let mut state = self.lock();
            state.memory.keep(segment, &items);
            let length = record::length(segment, items.iter().map(|item| item.values.len()));
            let Some(files) = &mut state.files else { return };
            if !files.reserve(&name, length) {
                return;
            }
            files.path(&name)
        };
        // Not under the lock: other threads read and write meanwhile.
        let written = record::write(&path, segment, &items);
        let mut state = self.lock();
        let Some(files) = &mut state.files else { return };
        match written {
            Ok(()) => files.settle(&name),
            Err(cause) => {
                files.forget(&name);
                if files.close() {
                    state.warning = Some(unwritable(files.folder(), &cause));
                }
            }
        }
    }

    /// What was found, missed and kept so far.
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            hits: state.hits,
            misses: state.misses,
            memory_bytes: state.memory.bytes(),
            file_bytes: state.files.as_ref().map_or(0, Files::bytes),
        }
    }

    /// `W0501`, once, where files can no longer be written: from then on only memory and the files there are serve.
    pub fn take_warning(&self) -> Option<Box<Diagnostic>> {
        self.lock().warning.take()
    }

    fn in_files(&self, segment: &str, wanted: &[ItemName]) -> Option<Found> {
        let candidates = match &self.lock().files {
            Some(files) => files.candidates(segment, wanted),
            None => return None,
        };
        for (name, path) in candidates {
            // Read and verified outside of the lock, for the same reason.
            let look = folder::look(&path, segment, wanted);
            let mut state = self.lock();
            let State { memory, files: Some(files), .. } = &mut *state else { return None };
            match look {
                Look::Found(found, length) => {
                    files.mark_used(&name, length);
                    memory.keep(segment, &found.iter().collect::<Vec<_>>());
                    return Some(found);
                }
                Look::OtherItems => {}
                Look::Missing => files.forget(&name),
                Look::Damaged => {
                    let _ = std::fs::remove_file(&path);
                    files.forget(&name);
                }
            }
        }
        None
    }

    /// A lock that outlives a panic elsewhere: at worst a record is unknown or counted wrongly, and values are never half there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item<'_> {
    fn name(&self) -> ItemName {
        (self.kind, self.layer)
    }
}

impl Found {
    /// The items in the order in which they were wanted. Their values begin at multiples of 64 bytes in memory.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let bytes: &[u8] = match &self.bytes {
            Bytes::Memory(block) => block.bytes(),
            Bytes::File(map) => map,
        };
        self.items.iter().map(move |((kind, layer), range)| Item {
            kind: *kind,
            layer: *layer,
            values: bytes.get(range.clone()).unwrap_or_default(),
        })
    }

    /// The values of an item; `None` where it was not wanted.
    pub fn values(&self, kind: ItemKind, layer: u32) -> Option<&[u8]> {
        self.iter().find(|item| item.name() == (kind, layer)).map(|item| item.values)
    }
}

/// Where each wanted item is, if all are there.
fn select(held: &[Place], wanted: &[ItemName]) -> Option<Vec<Place>> {
    wanted.iter().map(|name| held.iter().find(|(held, _)| held == name).cloned()).collect()
}

fn unwritable(folder: &Path, cause: &io::Error) -> Box<Diagnostic> {
    let message = format!("cannot write the frozen cache in {}: {}", folder.display(), reason(cause));
    let help = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some disk space, or set `--cache-budget SIZE`"
        }
        _ => {
            "make the folder writable, name another with `--cache-dir DIR`, or turn the cache off with `--cache-budget 0`"
        }
    };
    let note = "the run goes on: what is neither in memory nor in files is computed again";
    Box::new(Diagnostic::new(Code::CacheUnwritable, message).in_file(folder, None).help(help).note(note))
}
