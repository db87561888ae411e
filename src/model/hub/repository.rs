//! One repository of the hub at one revision, with its place in the cache.

use super::failure::{Asked, Failure};
use super::pins::Pin;
use super::transfer::{Client, Remote};
use crate::diag::Result;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::path::{Path, PathBuf};

/// One commit of a repository in the cache.
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

#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub asked: Asked<'a>,
    repo: Repo,
    cached: CacheRepo,
}

impl<'a> Repository<'a> {
    /// The repository at a branch, a tag or a commit.
    ///
    /// # Errors
    /// `E0301`, of data `E0401`, where none can have that name or revision.
    pub fn new(asked: Asked<'a>) -> Result<Self> {
        let is_word = |part: &str| {
            part.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_')
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        };
        if asked.name.split('/').count() > 2 || !asked.name.split('/').all(is_word) {
            return Err(asked.bad_name());
        }
        if !asked.revision.split('/').all(is_word) {
            return Err(asked.no_revision());
        }
        let kind = if asked.is_data { RepoType::Dataset } else { RepoType::Model };
        let pinned = asked.settings.pins.commit(asked.is_data, asked.name, asked.revision);
        let revision = pinned.unwrap_or_else(|| asked.revision.to_owned());
        let repo = Repo::with_revision(asked.name.to_owned(), kind, revision);
        let cached = Cache::new(asked.settings.cache.clone()).repo(repo.clone());
        Ok(Self { asked, repo, cached })
    }

    /// The commit that the revision stands for, as far as the cache knows.
    pub fn known_commit(&self) -> Option<String> {
        let (revision, settings) = (self.repo.revision(), self.asked.settings);
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        if settings.pins.are_looked_up_anew() && !settings.offline {
            return settings.pins.commit(self.asked.is_data, self.asked.name, revision);
        }
        let commit = std::fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// Remembers which commit the revision stands for.
    pub fn keep_commit(&self, commit: &str) -> std::result::Result<(), Failure> {
        let revision = self.repo.revision();
        if is_commit(revision) {
            return Ok(());
        }
        let pin =
            Pin { commit: commit.to_owned(), repository: self.asked.name.to_owned(), revision: revision.to_owned() };
        self.asked.settings.pins.looked_up(self.asked.is_data, pin);
        self.cached.create_ref(commit).map_err(|cause| Failure::disk(&self.folder(), cause))
    }

    pub fn snapshot(&self, commit: String) -> Snapshot {
        Snapshot { folder: self.cached.pointer_path(&commit), commit }
    }

    /// The folder of all that is in the cache of the repository.
    pub fn folder(&self) -> PathBuf {
        self.asked.settings.cache.join(self.repo.folder_name())
    }

    /// The address of a file at the revision that was asked for.
    pub fn url(&self, file: &str) -> String {
        self.url_at(&self.repo.url_revision(), file)
    }

    /// The address of what the hub says about the revision.
    pub fn about(&self) -> String {
        format!("{}/api/{}", self.asked.settings.endpoint, self.repo.api_url())
    }

    fn url_at(&self, revision: &str, file: &str) -> String {
        format!("{}/{}/resolve/{revision}/{file}", self.asked.settings.endpoint, self.repo.url())
    }

    /// Brings one file into the snapshot.
    pub fn download_file(
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
        let url = self.url_at(&snapshot.commit, file);
        let remote = client.head(&url).map_err(|failure| failure.of_file(file))?;
        let blob = self.cached.blob_path(&remote.etag);
        let disk = |cause| Failure::disk(&blob, cause);
        let _lock = self.lock(&remote).map_err(disk)?;
        if !blob.is_file() {
            let mut report = |done, total| progress(Progress { file, done, total });
            client.download(&url, &remote, &blob, &mut report).map_err(|failure| failure.of_file(file))?;
        }
        link(&blob, &snapshot.folder, file).map_err(disk)?;
        Ok(Some(()))
    }

    /// One process downloads a blob at a time; the lock is the one that the hub's own tools take.
    fn lock(&self, remote: &Remote) -> std::io::Result<std::fs::File> {
        let locks = self.asked.settings.cache.join(".locks").join(self.repo.folder_name());
        std::fs::create_dir_all(&locks)?;
        let path = locks.join(format!("{}.lock", remote.etag));
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    }
}

/// A commit of git: 40 hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Gives a blob the name of a file in a snapshot.
fn link(blob: &Path, snapshot: &Path, file: &str) -> std::io::Result<()> {
    let pointer = snapshot.join(file);
    if let Some(folder) = pointer.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A link may be there, but lead nowhere.
    let _ = std::fs::remove_file(&pointer);
    #[cfg(unix)]
    let linked = {
        let up = "../".repeat(2 + file.matches('/').count());
        std::os::unix::fs::symlink(Path::new(&up).join("blobs").join(blob.file_name().unwrap_or_default()), &pointer)
    };
    #[cfg(not(unix))]
    let linked = std::fs::copy(blob, &pointer).map(|_| ());
    linked
}
