//! What a run knows of the records in files, and which it may throw out.

use super::{ItemName, folder};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The records of a folder as this run found them, and as it changed them since.
///
/// What another run adds meanwhile is found when it is asked for, and not counted before: together the two may exceed the budget,
/// until a later run needs room.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    budget: u64,
    /// Nothing more is written, because writing failed.
    closed: bool,
    records: BTreeMap<String, Known>,
    /// The bytes of all records.
    bytes: u64,
    /// Those of records that earlier runs left and this run did not use.
    unused: u64,
    /// The names of these, the newest first; some may have been used since.
    earlier: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    bytes: u64,
    standing: Standing,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    /// It was there before this run, which has not used it.
    Earlier(SystemTime),
    /// A thread of this run is writing it.
    Writing,
    /// This run put or used it.
    Used,
}

impl Files {
    /// Looks at a folder, which need not be there, and clears away what killed writers left.
    pub fn open(folder: PathBuf) -> Self {
        let (mut records, abandoned) = folder::list(&folder);
        for path in abandoned {
            let _ = std::fs::remove_file(path);
        }
        records.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.name.cmp(&b.name)));
        let bytes = records.iter().map(|entry| entry.bytes).sum();
        Self {
            folder,
            budget: 0,
            closed: false,
            bytes,
            unused: bytes,
            earlier: records.iter().map(|entry| entry.name.clone()).collect(),
            records: records
                .into_iter()
                .map(|entry| (entry.name, Known { bytes: entry.bytes, standing: Standing::Earlier(entry.time) }))
                .collect(),
        }
    }

    /// Sets the bytes that all records may have.
    pub fn limit(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes for which there is room, or can be made.
    pub fn room(&self) -> u64 {
        if self.closed { 0 } else { self.budget.saturating_sub(self.bytes - self.unused) }
    }

    /// Where the file of that name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The records that may hold the wanted items, that of just these items first, which another run may have written meanwhile.
    pub fn candidates(&self, segment: &str, wanted: &[ItemName]) -> Vec<(String, PathBuf)> {
        let (prefix, exact) = (folder::prefix(segment), folder::name(segment, wanted));
        let of_segment = self.records.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        let others = of_segment.map(|(name, _)| name).filter(|name| **name != exact).cloned();
        let all = std::iter::once(exact.clone()).chain(others);
        let whole =
            all.filter(|name| !matches!(self.records.get(name).map(|known| known.standing), Some(Standing::Writing)));
        whole.map(|name| (name.clone(), self.path(&name))).collect()
    }

    /// Makes room for a record that is about to be written; false where it is not to be.
    pub fn reserve(&mut self, name: &str, bytes: u64) -> bool {
        if self.records.contains_key(name) {
            self.mark_used(name, bytes);
            return false;
        }
        // Looked at first, so that nothing is thrown out in vain.
        if bytes > self.room() {
            return false;
        }
        while self.bytes + bytes > self.budget {
            let Some(oldest) = self.earlier.pop() else { return false };
            self.throw_out(&oldest);
        }
        self.bytes += bytes;
        self.records.insert(name.to_owned(), Known { bytes, standing: Standing::Writing });
        true
    }

    /// The record has been written.
    pub fn settle(&mut self, name: &str) {
        if let Some(known) = self.records.get_mut(name) {
            known.standing = Standing::Used;
        }
    }

    /// This run used a record, so it stays.
    pub fn mark_used(&mut self, name: &str, bytes: u64) {
        match self.records.get_mut(name) {
            Some(Known { standing: Standing::Used | Standing::Writing, .. }) => return,
            Some(known) => {
                known.standing = Standing::Used;
                self.unused -= known.bytes;
            }
            None => {
                self.bytes += bytes;
                self.records.insert(name.to_owned(), Known { bytes, standing: Standing::Used });
            }
        }
        folder::touch(&self.path(name));
    }

    /// There is no such record any more, or it was not written in the end.
    pub fn forget(&mut self, name: &str) {
        let Some(known) = self.records.remove(name) else { return };
        self.bytes -= known.bytes;
        if let Standing::Earlier(_) = known.standing {
            self.unused -= known.bytes;
        }
    }

    /// Ends all writing; true for the first time.
    pub fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    /// Removes a record of an earlier run, unless it is in use: by this run, or by another one now, as its time says.
    fn throw_out(&mut self, name: &str) {
        let Some(Known { standing: Standing::Earlier(time), bytes }) = self.records.get(name).copied() else { return };
        let path = self.path(name);
        match std::fs::metadata(&path).and_then(|facts| facts.modified()) {
            Ok(now) if now != time => self.mark_used(name, bytes),
            _ => {
                let _ = std::fs::remove_file(&path);
                self.forget(name);
            }
        }
    }
}
