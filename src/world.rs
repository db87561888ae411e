//! The one door through which `check` and `plan` reach files, so that a test can stand in for the machine.

use crate::data::source::{Dataset, Source};
use crate::diag::Result;
use crate::digest;
use crate::lock::{Lock, path_of};
use crate::model::config::ModelSource;
use crate::model::files::Content;
use crate::model::hub::{HubSettings, Progress, Wanted, find_rows};
use crate::model::known::KnownModel;
use crate::model::located::Locator;
use crate::store::cache::Cache;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `check` and `plan` may ask of the machine. Every method may be called from several threads.
pub trait World: Sync {
    /// The whole content of a file.
    ///
    /// # Errors
    /// Whatever reading the file gives; the path then counts as touched all the same.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The SHA-256 of a file's content, 64 hexadecimal digits; of an unchanged large file it is remembered.
    ///
    /// # Errors
    /// Whatever reading the file gives.
    fn digest(&self, path: &Path) -> io::Result<String>;

    /// Whether there is a file or folder of that name.
    fn exists(&self, path: &Path) -> bool;

    /// The facts of a model, its weights untouched.
    ///
    /// # Errors
    /// Where the model is not found (E0301), cannot be read (E0302), or would have to be fetched (E0307).
    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>>;

    /// The files of a split of a dataset of the hub, which are downloaded where they are not at hand and `may_fetch`.
    ///
    /// # Errors
    /// Where there is no such dataset or subset (E0401) or split (E0408), no network (E0307), or the download failed (E0308).
    fn dataset(&self, dataset: &Dataset, may_fetch: bool) -> Result<Source>;

    /// The names in a folder, sorted; empty where it cannot be read. For near misses.
    fn list(&self, folder: &Path) -> Vec<String>;

    /// What an earlier compilation remembered under `kind` and `key`.
    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>>;

    /// Remembers `value` for later compilations and for runs. The key must say all that the value depends on. Never fails.
    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]);

    /// As [`World::cached_bytes`], for text.
    fn cached(&self, kind: &str, key: &str) -> Option<String> {
        String::from_utf8(self.cached_bytes(kind, key)?).ok()
    }

    /// As [`World::remember_bytes`], for text.
    fn remember(&self, kind: &str, key: &str, value: &str) {
        self.remember_bytes(kind, key, value.as_bytes());
    }

    /// A folder of the user's cache, for files that other programs open; `None` where there is none.
    fn cache_folder(&self) -> Option<PathBuf> {
        None
    }

    /// From now on, branches of hubs stand for the commits that the lock of this spec names, and for the newest ones where it has none.
    fn follow_lock(&self, _spec: &Path) {}

    /// Every path asked for so far, sorted, those that are missing included.
    fn touched(&self) -> Vec<PathBuf>;
}

/// The machine that reftc runs on.
pub struct RealWorld {
    cache: Cache,
    locator: Locator,
    touched: Mutex<BTreeSet<PathBuf>>,
    /// Hears of downloads of data.
    downloads: Option<Box<Listener>>,
}

/// Someone who is told how far a download is.
type Listener = dyn Fn(Progress<'_>) + Send + Sync;

impl RealWorld {
    /// A world that looks for models by `locator` and remembers things in its cache.
    pub fn new(locator: Locator) -> Self {
        Self { cache: locator.cache.clone(), locator, touched: Mutex::default(), downloads: None }
    }

    /// The same world, which tells of its downloads of data.
    #[must_use]
    pub fn telling(self, downloads: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        Self { downloads: Some(Box::new(downloads)), ..self }
    }

    fn touch(&self, path: &Path) {
        lock(&self.touched).insert(path.to_path_buf());
    }
}

impl World for RealWorld {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.touch(path);
        std::fs::read(path)
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        self.touch(path);
        self.cache.digest(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.touch(path);
        path.exists()
    }

    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        if let ModelSource::Folder(path) | ModelSource::Gguf(path) = source {
            self.touch(path);
        }
        let located = self.locator.locate(source, Wanted::Metadata, &mut |_| {})?;
        for part in located.files().parts() {
            if let Content::File(path) = part.content {
                self.touch(&path);
            }
        }
        Ok(Box::new(located))
    }

    fn dataset(&self, dataset: &Dataset, may_fetch: bool) -> Result<Source> {
        let mut tell = |progress: Progress<'_>| self.downloads.iter().for_each(|listener| listener(progress));
        find_rows(&self.locator.hub, dataset, may_fetch, &mut tell)
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.cache.get_bytes(kind, key)
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        self.cache.put_bytes(kind, key, value);
    }

    fn cache_folder(&self) -> Option<PathBuf> {
        self.cache.folder().map(Path::to_path_buf)
    }

    fn follow_lock(&self, spec: &Path) {
        // What is wrong with a lock is told by the commands that are about it.
        let lock = Lock::read(&path_of(spec)).ok().flatten();
        self.locator.hub.pins.set(lock.map(|lock| lock.pins()).unwrap_or_default());
    }

    fn touched(&self) -> Vec<PathBuf> {
        lock(&self.touched).iter().cloned().collect()
    }
}

/// A world of files held in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryWorld {
    files: BTreeMap<PathBuf, Vec<u8>>,
    remembered: Mutex<BTreeMap<(String, String), Vec<u8>>>,
    touched: Mutex<BTreeSet<PathBuf>>,
}

impl MemoryWorld {
    /// Adds a file, or replaces its content.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    fn touch(&self, path: &Path) {
        lock(&self.touched).insert(path.to_path_buf());
    }
}

impl World for MemoryWorld {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.touch(path);
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        Ok(digest::of(self.read(path)?))
    }

    fn exists(&self, path: &Path) -> bool {
        self.touch(path);
        self.files.keys().any(|file| file.starts_with(path))
    }

    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        let hub = HubSettings { offline: true, ..HubSettings::from_variables(|_| None) };
        let locator = Locator::new(hub, Cache::default());
        Ok(Box::new(locator.locate(source, Wanted::Metadata, &mut |_| {})?))
    }

    fn dataset(&self, dataset: &Dataset, may_fetch: bool) -> Result<Source> {
        let hub = HubSettings { offline: true, ..HubSettings::from_variables(|_| None) };
        find_rows(&hub, dataset, may_fetch, &mut |_| {})
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let inside = self.files.keys().filter_map(|file| file.strip_prefix(folder).ok());
        let names = inside.filter_map(|rest| rest.components().next());
        let names: BTreeSet<String> = names.map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
        names.into_iter().collect()
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        lock(&self.remembered).get(&(kind.to_owned(), key.to_owned())).cloned()
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        lock(&self.remembered).insert((kind.to_owned(), key.to_owned()), value.to_owned());
    }

    fn touched(&self) -> Vec<PathBuf> {
        lock(&self.touched).iter().cloned().collect()
    }
}

/// A lock that outlives a panic elsewhere: the sets behind it are whole after every insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(cache: PathBuf) -> RealWorld {
        RealWorld::new(Locator::new(HubSettings::from_variables(|_| None), Cache::at(cache)))
    }

    #[test]
    fn a_missing_file_is_touched() {
        let world = MemoryWorld::default().with("data/train.json", "[]");
        assert!(world.read(Path::new("data/gone.json")).is_err());
        assert_eq!(world.read(Path::new("data/train.json")).unwrap(), b"[]");
        assert_eq!(world.touched(), [PathBuf::from("data/gone.json"), PathBuf::from("data/train.json")]);
        assert_eq!(world.list(Path::new("data")), ["train.json"]);
        assert!(world.exists(Path::new("data")));
    }

    #[test]
    fn both_worlds_give_the_same_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let real = world(folder.path().join("cache"));
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(real.digest(&path).unwrap(), expected);
        assert_eq!(MemoryWorld::default().with("abc", "abc").digest(Path::new("abc")).unwrap(), expected);
    }

    #[test]
    fn what_is_remembered_is_found_by_a_later_world() {
        let folder = tempfile::tempdir().unwrap();
        world(folder.path().to_path_buf()).remember("report", "key", "value");
        let later = world(folder.path().to_path_buf());
        assert_eq!(later.cached("report", "key").as_deref(), Some("value"));
        assert_eq!(later.cached("report", "other"), None);
    }
}
