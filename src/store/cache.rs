//! The user's cache: digests of large files, and whatever a phase would otherwise work out again.
//!
//! A cache may vanish, be unwritable or damaged: reading it then gives nothing, and writing it is never an error. What has no
//! place on disk is kept in memory, so that no phase of a process does again what an earlier one did.

use super::atomic;
use crate::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files below this many bytes are hashed faster than a remembered digest is looked up.
const LARGE: u64 = 1 << 20;

/// The most bytes that the entries of one kind take on disk.
const LIMIT: u64 = 1 << 30;

/// A file changed more recently than this may change again without a new time stamp.
const SETTLED: Duration = Duration::from_millis(100);

/// A folder of remembered values. The default one has no folder, and remembers for as long as it lives; so do its clones.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
    held: Arc<Mutex<Held>>,
}

/// By kind and key, what could not be written.
type Held = BTreeMap<(String, String), Vec<u8>>;

impl Cache {
    /// A cache in that folder, which is created when something is first remembered.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..Self::default() }
    }

    /// The user's cache: `REFTC_CACHE`, else `XDG_CACHE_HOME/reftc`, else `~/.cache/reftc`.
    pub fn from_env() -> Self {
        Self { folder: user_folder(|name| std::env::var_os(name).map(PathBuf::from)), ..Self::default() }
    }

    /// The folder, where there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What was last put under `kind` and `key`; `None` where it is missing, damaged or of another shape.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        serde_json::from_slice(&self.get_bytes(kind, key)?).ok()
    }

    /// Remembers a value for this and later processes.
    pub fn put<T: Serialize>(&self, kind: &str, key: &str, value: &T) {
        if let Ok(text) = serde_json::to_string(value) {
            self.put_bytes(kind, key, text.as_bytes());
        }
    }

    /// As [`Cache::get`], for bytes.
    pub fn get_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        let written = self.entry(kind, key).and_then(|path| checked(std::fs::read(path).ok()?));
        written.or_else(|| self.held().get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    /// As [`Cache::put`], for bytes.
    pub fn put_bytes(&self, kind: &str, key: &str, bytes: &[u8]) {
        let write = |path: PathBuf| atomic::replace(&path, &[digest::of(bytes).as_bytes(), b"\n", bytes]).ok();
        match self.entry(kind, key).and_then(write) {
            Some(()) => self.trim(kind, LIMIT),
            None => {
                self.held().insert((kind.to_owned(), key.to_owned()), bytes.to_vec());
            }
        }
    }

    /// Removes what was put longest ago of a kind, until the rest takes at most `limit` bytes on disk.
    fn trim(&self, kind: &str, limit: u64) {
        let Some(folder) = &self.folder else { return };
        let entries = std::fs::read_dir(folder.join(kind)).into_iter().flatten().flatten();
        let mut entries: Vec<(SystemTime, PathBuf, u64)> = entries
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, entry.path(), metadata.len()))
            })
            .collect();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(.., bytes)| bytes).sum();
        for (_, path, bytes) in entries {
            if total <= limit {
                break;
            }
            let _ = std::fs::remove_file(path);
            total -= bytes;
        }
    }

    /// The SHA-256 of a file's content, remembered by path, size, time of change and inode where the file is large.
    ///
    /// # Errors
    /// Whatever reading the file gives.
    pub fn digest(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let before = Identity::of(&file.metadata()?);
        let key = std::path::absolute(path)?.to_string_lossy().into_owned();
        if before.size >= LARGE
            && let Some(known) = self.get::<KnownDigest>("digest", &key)
            && known.identity == before
        {
            return Ok(known.sha256);
        }
        let sha256 = digest::of_reader(&mut file)?;
        let settled = before == Identity::of(&file.metadata()?) && before.is_older_than(SETTLED);
        if before.size >= LARGE && settled {
            self.put("digest", &key, &KnownDigest { identity: before, sha256: sha256.clone() });
        }
        Ok(sha256)
    }

    /// Whether something can be remembered at all, for `reftc doctor`.
    pub fn is_writable(&self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        let written = atomic::replace(&probe, &[]).is_ok();
        let _ = std::fs::remove_file(probe);
        written
    }

    fn entry(&self, kind: &str, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(kind).join(digest::of(key)))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands behind the checksum of an entry, if it is that of the rest.
fn checked(mut entry: Vec<u8>) -> Option<Vec<u8>> {
    let end = entry.iter().position(|&byte| byte == b'\n')?;
    let is_whole = entry[..end] == *digest::of(&entry[end + 1..]).as_bytes();
    is_whole.then(|| entry.split_off(end + 1))
}

/// What tells the present state of a file from others without reading it; `None` where it is not there, or changed so
/// recently that it may change again unseen.
pub fn state_of(path: &Path) -> Option<String> {
    let identity = Identity::of(&path.metadata().ok()?);
    identity.is_older_than(SETTLED).then(|| digest::json(&identity))
}

fn user_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    set("REFTC_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("reftc")))
        .or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache").join("reftc")))
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    size: u64,
    /// Nanoseconds since 1970; 0 where the system does not say.
    modified: u64,
    inode: u64,
}

#[derive(Serialize, Deserialize)]
struct KnownDigest {
    identity: Identity,
    sha256: String,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0));
        Self { size: metadata.len(), modified, inode: inode(metadata) }
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let modified = UNIX_EPOCH + Duration::from_nanos(self.modified);
        self.modified > 0 && SystemTime::now().duration_since(modified).is_ok_and(|past| past > age)
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        (folder, cache)
    }

    /// Overwrites a large file, keeping its time stamp, and says what its digest is taken to be.
    fn age(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn values_come_back_and_damaged_ones_do_not() {
        let (_folder, cache) = cache();
        cache.put("report", "a key / with anything", &vec![1, 2, 3]);
        assert_eq!(cache.get::<Vec<u32>>("report", "a key / with anything"), Some(vec![1, 2, 3]));
        assert_eq!(cache.get::<String>("report", "a key / with anything"), None);
        let entry = cache.entry("report", "a key / with anything").unwrap();
        let text = std::fs::read_to_string(&entry).unwrap().replace("[1,2,3]", "[1,2,4]");
        std::fs::write(&entry, text).unwrap();
        assert_eq!(cache.get::<Vec<u32>>("report", "a key / with anything"), None);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for cache in [Cache::at(file.clone()), Cache::default()] {
            assert!(!cache.is_writable());
            cache.put("kind", "key", &1);
            assert_eq!(cache.clone().get::<u32>("kind", "key"), Some(1), "kept in memory");
            assert_eq!(cache.get::<u32>("other", "key"), None);
        }
        assert_eq!(Cache::at(file).get::<u32>("kind", "key"), None);
    }

    #[test]
    fn the_oldest_entries_make_room() {
        let (_folder, cache) = cache();
        for (seconds, key) in [(3, "c"), (1, "a"), (2, "b")] {
            cache.put_bytes("rows", key, &[0; 100]);
            age(&cache.entry("rows", key).unwrap(), seconds);
        }
        let kept = || ["a", "b", "c"].map(|key| cache.get_bytes("rows", key).is_some());
        cache.trim("rows", 1000);
        assert_eq!(kept(), [true, true, true]);
        cache.trim("rows", 2 * (100 + 65));
        assert_eq!(kept(), [false, true, true]);
        cache.trim("rows", 0);
        assert_eq!(kept(), [false, false, false]);
    }

    #[test]
    fn the_digest_of_a_large_file_is_remembered_until_the_file_changes() {
        let (folder, cache) = cache();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, vec![1; LARGE as usize]).unwrap();
        age(&path, 1_000_000_000);
        let first = cache.digest(&path).unwrap();
        std::fs::write(&path, vec![2; LARGE as usize]).unwrap();
        age(&path, 1_000_000_000);
        assert_eq!(cache.digest(&path).unwrap(), first, "same path, size, time and inode: not read again");
        age(&path, 1_000_000_001);
        let second = cache.digest(&path).unwrap();
        assert_ne!(second, first);
        assert_eq!(second, digest::of(vec![2; LARGE as usize]));
    }

    #[test]
    fn the_digest_of_a_fresh_file_is_not_remembered() {
        let (folder, cache) = cache();
        let path = folder.path().join("fresh");
        std::fs::write(&path, vec![1; LARGE as usize]).unwrap();
        let future = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(&path).unwrap().set_modified(future).unwrap();
        cache.digest(&path).unwrap();
        let key = path.to_string_lossy().into_owned();
        assert!(cache.get::<KnownDigest>("digest", &key).is_none());
    }

    #[test]
    fn the_folder_follows_the_variables() {
        let folder = |set: &[(&str, &str)]| {
            user_folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(folder(&[("REFTC_CACHE", "/a"), ("HOME", "/h")]), Some("/a".into()));
        assert_eq!(folder(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), Some("/x/reftc".into()));
        assert_eq!(folder(&[("REFTC_CACHE", ""), ("HOME", "/h")]), Some("/h/.cache/reftc".into()));
        assert_eq!(folder(&[]), None);
    }
}
