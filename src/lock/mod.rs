//! The lock of a spec: what its models, data and library were, by content.
//!
//! `spec.lock` lies beside `spec.reft` and belongs into git; a run folder keeps `lock.json`, the same for its experiment alone. `file.rs`
//! reads and writes them, `gather.rs` looks at what is there now, `drift.rs` holds one against the other.

mod drift;
mod file;
mod gather;
mod say;

pub use drift::{Change, Drift, Kind};
pub use file::path_of;
pub use gather::Inputs;

use crate::model::hub::Pin;
use crate::plan::NUMERICS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a spec was run with. Names are as the spec writes them; paths are told from the folder of the spec, with `/`.
///
/// Fields stand in the order of their names, here and below, as they do in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `data/train.jsonl`, `hf("org/name", split: "train")`
    #[serde(default)]
    pub data: BTreeMap<String, Data>,
    #[serde(default)]
    pub library: Library,
    /// `path("model")`, `hf("org/name")`
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    pub numerics: u32,
    pub reftc: String,
    /// The saved interventions that training starts from, by their folders.
    #[serde(default)]
    pub saved: BTreeMap<String, Saved>,
}

/// The files of a model, tokenizer included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// By name. Weights that were not at hand are missing.
    pub files: BTreeMap<String, ModelFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Pin>,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    pub bytes: u64,
    pub sha256: String,
}

/// A file of rows, or the files of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Pin>,
    /// Before slices.
    pub rows: usize,
    /// Of several files, over their digests.
    pub sha256: String,
}

/// A saved intervention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub sha256: String,
}

/// The library that is part of the binary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// SHA-256 over all of its files.
    pub edition: String,
    /// SHA-256 of those that the spec uses.
    pub files: BTreeMap<String, String>,
}

impl Lock {
    /// A lock with nothing in it, by this version.
    pub fn empty(library: Library) -> Self {
        Self {
            data: BTreeMap::new(),
            library,
            models: BTreeMap::new(),
            numerics: NUMERICS,
            reftc: env!("CARGO_PKG_VERSION").to_owned(),
            saved: BTreeMap::new(),
        }
    }

    /// The commits that it holds branches to; of a dataset where the first says so.
    pub fn pins(&self) -> Vec<(bool, Pin)> {
        let models = self.models.values().filter_map(|model| model.hub.clone()).map(|pin| (false, pin));
        models.chain(self.data.values().filter_map(|data| data.hub.clone()).map(|pin| (true, pin))).collect()
    }

    /// This lock for what is there now: what is new is added, what is no longer asked for is taken out, and what has drifted stays as it is
    /// here.
    #[must_use]
    pub fn kept(&self, present: &Self) -> Self {
        let mut kept = Self { numerics: self.numerics, reftc: self.reftc.clone(), ..present.clone() };
        keep(&mut kept.data, &self.data);
        keep(&mut kept.saved, &self.saved);
        for (name, model) in &mut kept.models {
            let Some(old) = self.models.get(name) else { continue };
            let mut files = old.files.clone();
            if old.same_commit(model) {
                // Weights that were not at hand when the lock was written.
                model.files.iter().for_each(|(name, file)| {
                    files.entry(name.clone()).or_insert_with(|| file.clone());
                });
            }
            *model = Model { files, ..old.clone() };
        }
        keep(&mut kept.library.files, &self.library.files);
        if kept.library.files == self.library.files {
            kept.library.edition.clone_from(&self.library.edition);
        }
        kept
    }
}

impl Model {
    /// Whether both are the same commit of a hub, whose files are the same whichever of them are at hand.
    fn same_commit(&self, other: &Self) -> bool {
        matches!((&self.hub, &other.hub), (Some(own), Some(other)) if own.commit == other.commit)
    }
}

/// Puts older values in the place of those of the same name.
fn keep<T: Clone>(entries: &mut BTreeMap<String, T>, older: &BTreeMap<String, T>) {
    entries.iter_mut().for_each(|(name, entry)| {
        if let Some(old) = older.get(name) {
            entry.clone_from(old);
        }
    });
}
