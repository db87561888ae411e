//! `hf("org/name", rev: "main")`: a model from the Hugging Face hub, in the cache that the hub's own tools share.
//!
//! The layout is theirs: `models--org--name/` holds `refs/<revision>` with a commit, `snapshots/<commit>/<file>` that
//! link to `blobs/<etag>`, and half a download as `blobs/<etag>.incomplete`. What is in the cache is used as it is,
//! without a word to the network; a revision once resolved stays until its reference is deleted, so that a check and
//! the run after it see the same commit.

mod failure;
pub mod settings;
mod transfer;

pub use settings::HubSettings;

use crate::diag::Result;
use failure::{Asked, Failure};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use transfer::{Client, Remote};

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

/// One commit of a model in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Holds the files under their own names.
    pub folder: PathBuf,
    /// 40 hexadecimal digits.
    pub commit: String,
}

/// How far the download of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    pub file: &'a str,
    /// Bytes on disk, those of an earlier, broken download included.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// A model of the hub, with its place in the cache.
#[derive(Debug)]
pub struct Hub<'a> {
    settings: &'a HubSettings,
    asked: Asked<'a>,
    repo: Repo,
    cached: CacheRepo,
}

impl<'a> Hub<'a> {
    /// The model `org/name` at a branch, a tag or a commit.
    ///
    /// # Errors
    /// `E0301` where no model can have that name or revision.
    pub fn new(settings: &'a HubSettings, name: &'a str, revision: &'a str) -> Result<Self> {
        let asked = Asked { settings, name, revision };
        let is_word = |part: &str| {
            part.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_')
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        };
        if name.split('/').count() > 2 || !name.split('/').all(is_word) {
            return Err(asked.bad_name());
        }
        if !revision.split('/').all(is_word) {
            return Err(asked.no_revision());
        }
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        let cached = Cache::new(settings.cache.clone()).repo(repo.clone());
        Ok(Self { settings, asked, repo, cached })
    }

    /// The model as it lies in the cache, if all that is wanted is there. Never asks the network.
    pub fn cached(&self, wanted: Wanted) -> Option<Snapshot> {
        let snapshot = self.known_commit().map(|commit| self.snapshot(commit))?;
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
        if self.settings.offline {
            return Err(self.asked.offline());
        }
        self.download(wanted, progress).map_err(|failure| self.asked.diagnose(failure))
    }

    fn download(
        &self,
        wanted: Wanted,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> std::result::Result<Snapshot, Failure> {
        let client = Client::new(self.settings);
        let known =
            self.known_commit().filter(|commit| self.snapshot(commit.clone()).folder.join("config.json").exists());
        let commit = match known {
            Some(commit) => commit,
            None => client.head(&self.url(&self.repo.url_revision(), "config.json"))?.commit,
        };
        let snapshot = self.snapshot(commit);
        let mut get = |file: &str| self.download_file(&client, &snapshot, file, progress);
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
        if !is_commit(self.asked.revision) {
            self.cached.create_ref(&snapshot.commit).map_err(|cause| Failure::disk(&snapshot.folder, cause))?;
        }
        Ok(snapshot)
    }

    /// Brings one file into the snapshot.
    fn download_file(
        &self,
        client: &Client,
        snapshot: &Snapshot,
        file: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> std::result::Result<Option<()>, Failure> {
        let pointer = snapshot.folder.join(file);
        if pointer.is_file() {
            return Ok(Some(()));
        }
        let url = self.url(&snapshot.commit, file);
        let remote = client.head(&url).map_err(|failure| failure.of_file(file))?;
        let blob = self.cached.blob_path(&remote.etag);
        let disk = |cause| Failure::disk(&blob, cause);
        let _lock = self.lock(&remote).map_err(disk)?;
        if !blob.is_file() {
            let mut report = |done, total| progress(Progress { file, done, total });
            client.download(&url, &remote, &blob, &mut report).map_err(|failure| failure.of_file(file))?;
        }
        link(&blob, &pointer).map_err(disk)?;
        Ok(Some(()))
    }

    /// The commit that the revision stands for, as far as the cache knows.
    fn known_commit(&self) -> Option<String> {
        let revision = self.asked.revision;
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = std::fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    fn snapshot(&self, commit: String) -> Snapshot {
        Snapshot { folder: self.cached.pointer_path(&commit), commit }
    }

    fn folder(&self) -> PathBuf {
        self.settings.cache.join(self.repo.folder_name())
    }

    fn url(&self, revision: &str, file: &str) -> String {
        format!("{}/{}/resolve/{revision}/{file}", self.settings.endpoint, self.repo.url())
    }

    /// One process downloads a blob at a time; the lock is the one that the hub's own tools take.
    fn lock(&self, remote: &Remote) -> std::io::Result<std::fs::File> {
        let locks = self.settings.cache.join(".locks").join(self.repo.folder_name());
        std::fs::create_dir_all(&locks)?;
        let path = locks.join(format!("{}.lock", remote.etag));
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    }
}

/// Why the hub is out of reach; `None` where it answers. For `reftc doctor`, whatever `offline` says.
pub fn out_of_reach(settings: &HubSettings) -> Option<String> {
    match Client::new(settings).reach(&settings.endpoint) {
        Err(Failure::Network(cause)) => Some(cause),
        _ => None,
    }
}

/// A commit of git: 40 hexadecimal digits.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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

/// Gives a blob its name in a snapshot.
fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
    if let Some(folder) = pointer.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A link may be there, but lead nowhere.
    let _ = std::fs::remove_file(pointer);
    #[cfg(unix)]
    let linked =
        std::os::unix::fs::symlink(Path::new("../../blobs").join(blob.file_name().unwrap_or_default()), pointer);
    #[cfg(not(unix))]
    let linked = std::fs::copy(blob, pointer).map(|_| ());
    linked
}
