//! `hf("org/name", rev: "main")`: a model from the Hugging Face hub, in the cache that the hub's own tools share; in `dataset.rs` the
//! rows of a dataset.
//!
//! The layout is theirs: `models--org--name/` holds `refs/<revision>` with a commit, `snapshots/<commit>/<file>` that
//! link to `blobs/<etag>`, and half a download as `blobs/<etag>.incomplete`. What is in the cache is used as it is,
//! without a word to the network; a revision once resolved stays until its reference is deleted, so that a check and
//! the run after it see the same commit.

mod dataset;
mod failure;
pub mod pins;
mod repository;
pub mod settings;
pub mod split_files;
mod transfer;

pub use dataset::{find_rows, pin_of};
pub use pins::{Pin, Pins};
pub use repository::{Progress, Snapshot};
pub use settings::HubSettings;

use crate::diag::Result;
use failure::{Asked, Failure};
use repository::Repository;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use transfer::Client;

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Files that some models have.
const OPTIONAL: [&str; 3] = ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"];
/// Files that every model has. They are fetched last: where they are, the optional ones have been asked for.
const REQUIRED: [&str; 2] = ["tokenizer.json", "config.json"];

/// Which files of a model are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Configuration and tokenizer: all that `check` needs.
    Metadata,
    /// The weights too.
    Everything,
}

/// A model of the hub, with its place in the cache.
#[derive(Debug)]
pub struct Hub<'a> {
    repository: Repository<'a>,
}

impl<'a> Hub<'a> {
    /// The model `org/name` at a branch, a tag or a commit.
    ///
    /// # Errors
    /// `E0301` where no model can have that name or revision.
    pub fn new(settings: &'a HubSettings, name: &'a str, revision: &'a str) -> Result<Self> {
        let asked = Asked { settings, name, revision, is_data: false };
        Ok(Self { repository: Repository::new(asked)? })
    }

    /// The model as it lies in the cache, if all that is wanted is there. Never asks the network.
    pub fn cached(&self, wanted: Wanted) -> Option<Snapshot> {
        let snapshot = self.repository.known_commit().map(|commit| self.repository.snapshot(commit))?;
        let has = |file: &str| snapshot.folder.join(file).is_file();
        let has_weights = || has(WEIGHTS) || shards(&snapshot.folder).is_ok_and(|shards| shards.iter().all(|s| has(s)));
        let complete = REQUIRED.into_iter().all(has) && (wanted == Wanted::Metadata || has_weights());
        complete.then_some(snapshot)
    }

    /// The model, from the cache or else downloaded into it. A broken download goes on where it stopped, and large
    /// files are held against their SHA-256.
    ///
    /// # Errors
    /// `E0301` no such model or revision, `E0303` not a model in safetensors, `E0307` no network, `E0308` any other
    /// failure, a checksum that does not fit included.
    pub fn fetch(&self, wanted: Wanted, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Snapshot> {
        if let Some(snapshot) = self.cached(wanted) {
            return Ok(snapshot);
        }
        let asked = &self.repository.asked;
        if asked.settings.offline {
            return Err(asked.offline());
        }
        self.download(wanted, progress).map_err(|failure| asked.diagnose(failure))
    }

    fn download(
        &self,
        wanted: Wanted,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> std::result::Result<Snapshot, Failure> {
        let repository = &self.repository;
        let client = Client::new(repository.asked.settings);
        let has_config = |commit: &String| repository.snapshot(commit.clone()).folder.join("config.json").exists();
        let commit = match repository.known_commit().filter(has_config) {
            Some(commit) => commit,
            None => client.head(&repository.url("config.json"))?.commit,
        };
        let snapshot = repository.snapshot(commit);
        let mut get = |file: &str| repository.download_file(&client, &snapshot, file, progress);
        for file in OPTIONAL {
            get(file).or_else(Failure::allow_missing)?;
        }
        for file in REQUIRED {
            get(file)?;
        }
        if wanted == Wanted::Everything && get(WEIGHTS).or_else(Failure::allow_missing)?.is_none() {
            get(INDEX)?;
            for shard in shards(&snapshot.folder)? {
                get(&shard)?;
            }
        }
        repository.keep_commit(&snapshot.commit)?;
        Ok(snapshot)
    }
}

/// Why the hub is out of reach; `None` where it answers. For `reftc doctor`, whatever `offline` says.
pub fn out_of_reach(settings: &HubSettings) -> Option<String> {
    match Client::new(settings).reach(&settings.endpoint) {
        Err(Failure::Network(cause)) => Some(cause),
        _ => None,
    }
}

/// The files that the index of sharded weights names, each in the folder of the index.
fn shards(folder: &Path) -> std::result::Result<Vec<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(INDEX);
    let text = std::fs::read(&path).map_err(|cause| Failure::disk(&path, cause))?;
    let index: Index = serde_json::from_slice(&text).map_err(|cause| Failure::disk(&path, cause.into()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    match names.iter().find(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
        Some(name) => Err(Failure::Answer(format!("{INDEX} names a file outside of the model: `{name}`"))),
        None => Ok(names.into_iter().collect()),
    }
}
