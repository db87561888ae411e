//! The user's cache: digests of large files, and whatever a phase would otherwise work out again.
//!
//! A cache may vanish, be unwritable or damaged: reading it then gives nothing, and writing it is never an error.

use super::atomic;
use crate::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files below this many bytes are hashed faster than a remembered digest is looked up.
const LARGE: u64 = 1 << 20;

/// A file changed more recently than this may change again without a new time stamp.
const SETTLED: Duration = Duration::from_millis(100);

/// A folder of remembered values. The default one has no folder and remembers nothing.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// A cache in that folder, which is created when something is first remembered.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder: Some(folder) }
    }

    /// The user's cache: `REFTC_CACHE`, else `XDG_CACHE_HOME/reftc`, else `~/.cache/reftc`.
    pub fn from_env() -> Self {
        Self { folder: user_folder(|name| std::env::var_os(name).map(PathBuf::from)) }
    }

    /// The folder, where there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What was last put under `kind` and `key`; `None` where it is missing, damaged or of another shape.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        serde_json::from_str(&self.get_text(kind, key)?).ok()
    }

    /// Remembers a value for this and later processes.
    pub fn put<T: Serialize>(&self, kind: &str, key: &str, value: &T) {
        if let Ok(text) = serde_json::to_string(value) {
            self.put_text(kind, key, &text);
        }
    }

    /// As [`Cache::get`], for text.
    pub fn get_text(&self, kind: &str, key: &str) -> Option<String> {
        let entry = std::fs::read_to_string(self.entry(kind, key)?).ok()?;
        let (sum, text) = entry.split_once('\n')?;
        (sum == digest::of(text)).then(|| text.to_owned())
    }

    /// As [`Cache::put`], for text.
    pub fn put_text(&self, kind: &str, key: &str, text: &str) {
        if let Some(path) = self.entry(kind, key) {
            let _ = atomic::replace(&path, &[digest::of(text).as_bytes(), b"\n", text.as_bytes()]);
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
        let cache = Cache::at(file);
        cache.put("kind", "key", &1);
        assert_eq!(cache.get::<u32>("kind", "key"), None);
        assert!(!cache.is_writable());
        assert!(!Cache::default().is_writable());
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
