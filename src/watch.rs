//! Watching files: which of them changed, once they have come to rest.
//!
//! Editors save by writing in place, by renaming a new file over the old one, or by deleting and creating. So events
//! only say when to look; what counts is whether the file under the name is another than before. Where no events come
//! (network disks), a look now and then serves.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

/// Files are at rest when nothing happened to them for this long.
const QUIET: Duration = Duration::from_millis(100);
/// A file that never rests is reported after this long.
const LONGEST: Duration = Duration::from_secs(3);
/// The time between two looks where no event comes.
const LOOK: Duration = Duration::from_secs(2);

enum Message {
    /// Something happened to these paths; to anything, where none is named.
    Touched(Vec<PathBuf>),
    /// It may be time to stop.
    Wake,
}

/// Watches a set of files, those included that are not there yet.
pub struct Watcher {
    /// By absolute path.
    files: BTreeMap<PathBuf, File>,
    /// The folders that events come from, with the stamps they had.
    folders: BTreeMap<PathBuf, Option<Stamp>>,
    /// Absent where the system gives no more watches.
    native: Option<RecommendedWatcher>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    look: Duration,
}

/// A watched file.
struct File {
    /// As the caller wrote it.
    name: PathBuf,
    /// Where links lead to.
    target: PathBuf,
    stamp: Option<Stamp>,
}

/// What tells one state of a file from another without reading it; the folder's time says nothing and is left out.
#[derive(PartialEq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// Wakes [`Watcher::wait`] from another thread, such as a handler of Ctrl-C, so that it sees that it is to stop.
#[derive(Clone)]
pub struct Waker(Sender<Message>);

impl Waker {
    /// Makes the watcher look whether it is to stop.
    pub fn wake(&self) {
        // A watcher that is gone has stopped.
        let _ = self.0.send(Message::Wake);
    }
}

impl Watcher {
    /// Watches these files by a look at them every now and then, for folders that tell of no events, as on network disks.
    pub fn polling(paths: impl IntoIterator<Item = PathBuf>, look: Duration) -> Self {
        let mut watcher = Self::new(std::iter::empty());
        (watcher.native, watcher.look) = (None, look);
        watcher.update(paths);
        watcher
    }

    /// Watches these files from now on.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let native = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let paths = match event {
                // reftc itself reads the files.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
                Ok(event) if !event.need_rescan() => event.paths,
                _ => Vec::new(),
            };
            let _ = events.send(Message::Touched(paths));
        });
        let (files, folders, look) = (BTreeMap::new(), BTreeMap::new(), LOOK);
        let mut watcher = Self { files, folders, native: native.ok(), sender, receiver, look };
        watcher.update(paths);
        watcher
    }

    /// Watches these files instead. One that was watched before and changed since is still reported; call this before
    /// long work that follows the reading of the files.
    pub fn update(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        for name in paths {
            let path = std::path::absolute(&name).unwrap_or_else(|_| name.clone());
            let target = path.canonicalize().unwrap_or_else(|_| path.clone());
            let stamp = before.remove(&path).map_or_else(|| Stamp::of(&path), |file| file.stamp);
            self.files.insert(path, File { name, target, stamp });
        }
        self.follow();
    }

    /// How many files are watched.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// What wakes [`Watcher::wait`].
    pub fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// Waits until files have changed and come to rest, and gives their names as they were written, in the order of
    /// their absolute paths; `None` where it is to stop, of which a [`Waker`] tells.
    pub fn wait(&mut self, is_over: impl Fn() -> bool) -> Option<Vec<PathBuf>> {
        loop {
            while self.changed().next().is_none() {
                if is_over() {
                    return None;
                }
                match self.receiver.recv_timeout(self.look) {
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Ok(Message::Wake) => {}
                    Ok(Message::Touched(_)) | Err(RecvTimeoutError::Timeout) => self.follow(),
                }
            }
            self.settle(&is_over)?;
            self.follow();
            let changed: Vec<PathBuf> = self.changed().cloned().collect();
            // Nothing is left where a file was changed and changed back.
            let names = changed.iter().filter_map(|path| self.files.get_mut(path).map(|file| file.see(path)));
            let names: Vec<PathBuf> = names.collect();
            if !names.is_empty() {
                return Some(names);
            }
        }
    }

    fn changed(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(|(path, file)| Stamp::of(path) != file.stamp).map(|(path, _)| path)
    }

    /// Waits until nothing has happened to the files for a while; `None` where it is to stop.
    fn settle(&self, is_over: &dyn Fn() -> bool) -> Option<()> {
        let end = Instant::now() + LONGEST;
        let mut rest = Instant::now() + QUIET;
        loop {
            let wait = rest.min(end).saturating_duration_since(Instant::now());
            if is_over() {
                return None;
            }
            match self.receiver.recv_timeout(wait) {
                Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Message::Wake) => {}
                Ok(Message::Touched(paths)) if self.concerns(&paths) => rest = Instant::now() + QUIET,
                Ok(Message::Touched(_)) => {}
                Err(RecvTimeoutError::Timeout) => return Some(()),
            }
            if Instant::now() >= end {
                return Some(());
            }
        }
    }

    /// Whether one of the paths is a watched file, or a folder above one.
    fn concerns(&self, paths: &[PathBuf]) -> bool {
        let is_above = |path: &PathBuf| {
            self.files.iter().any(|(file, state)| file.starts_with(path) || state.target.starts_with(path))
        };
        paths.is_empty() || paths.iter().any(is_above)
    }

    /// Listens to the folders of the files, where need be to the nearest above that is there.
    fn follow(&mut self) {
        let Some(native) = &mut self.native else { return };
        let nearest = |path: &Path| path.ancestors().skip(1).find(|folder| folder.is_dir()).map(Path::to_path_buf);
        let both = |(path, file): (&PathBuf, &File)| [nearest(path), nearest(&file.target)];
        let wanted: BTreeSet<PathBuf> = self.files.iter().flat_map(both).flatten().collect();
        self.folders.retain(|folder, stamp| {
            let keep = wanted.contains(folder) && Stamp::of(folder) == *stamp;
            if !keep {
                let _ = native.unwatch(folder);
            }
            keep
        });
        for folder in wanted {
            if !self.folders.contains_key(&folder) && native.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                let stamp = Stamp::of(&folder);
                self.folders.insert(folder, stamp);
            }
        }
    }
}

impl File {
    /// Takes the present state for the known one.
    fn see(&mut self, path: &Path) -> PathBuf {
        self.stamp = Stamp::of(path);
        self.target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        self.name.clone()
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let inode = inode(&metadata);
        // A folder changes its time with every file in it.
        let (size, modified) = if metadata.is_dir() { (0, None) } else { (metadata.len(), metadata.modified().ok()) };
        Some(Self { size, modified, inode })
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A folder with `spec.reft` in it, and a watcher that relies on events alone.
    fn watched(names: &[&str]) -> (tempfile::TempDir, Watcher) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spec.reft"), "one").unwrap();
        let mut watcher = Watcher::new(names.iter().map(|name| folder.path().join(name)));
        watcher.look = Duration::from_secs(60);
        (folder, watcher)
    }

    /// The names of the next changed files; fails instead of hanging.
    fn next(watcher: &mut Watcher) -> Vec<String> {
        let (waker, is_late) = (watcher.waker(), Arc::new(AtomicBool::new(false)));
        let (done, is_done) = channel::<()>();
        let late = is_late.clone();
        let guard = std::thread::spawn(move || {
            if is_done.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
                late.store(true, Ordering::Relaxed);
                waker.wake();
            }
        });
        let paths = watcher.wait(|| is_late.load(Ordering::Relaxed)).expect("no change was seen");
        drop(done);
        guard.join().unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn each_way_of_saving_is_seen() {
        let (folder, mut watcher) = watched(&["spec.reft"]);
        let spec = folder.path().join("spec.reft");
        fs::write(&spec, "in place").unwrap();
        assert_eq!(next(&mut watcher), ["spec.reft"]);
        fs::write(folder.path().join("spec.reft~"), "renamed over").unwrap();
        fs::rename(folder.path().join("spec.reft~"), &spec).unwrap();
        assert_eq!(next(&mut watcher), ["spec.reft"]);
        fs::remove_file(&spec).unwrap();
        fs::write(&spec, "created anew").unwrap();
        assert_eq!(next(&mut watcher), ["spec.reft"]);
        fs::remove_file(&spec).unwrap();
        assert_eq!(next(&mut watcher), ["spec.reft"], "a file that is gone has changed");
    }

    #[test]
    fn many_writes_are_one_change_and_other_files_none() {
        let (folder, mut watcher) = watched(&["spec.reft", "data.json"]);
        for number in 0..20 {
            fs::write(folder.path().join("spec.reft"), format!("{number:0>40}")).unwrap();
            fs::write(folder.path().join("notes.txt"), format!("{number}")).unwrap();
        }
        fs::write(folder.path().join("data.json"), "[]").unwrap();
        assert_eq!(next(&mut watcher), ["data.json", "spec.reft"]);
        fs::write(folder.path().join("notes.txt"), "more").unwrap();
        watcher.waker().wake();
        assert_eq!(watcher.wait(|| true), None);
    }

    #[test]
    fn a_file_that_never_rests_is_reported_all_the_same() {
        let (folder, mut watcher) = watched(&["spec.reft"]);
        let spec = folder.path().join("spec.reft");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut length = 1;
                while !stop.load(Ordering::Relaxed) {
                    fs::write(&spec, "x".repeat(length % 1000)).unwrap();
                    length += 1;
                }
            });
            let begun = Instant::now();
            assert_eq!(next(&mut watcher), ["spec.reft"]);
            assert!(begun.elapsed() >= QUIET);
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_file_is_seen_to_appear_with_the_folders_above_it() {
        let (folder, mut watcher) = watched(&["data/train/rows.json"]);
        let path = folder.path().join("data/train/rows.json");
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| next(&mut watcher));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "[]").unwrap();
            assert_eq!(seen.join().unwrap(), ["rows.json"]);
        });
        fs::remove_dir_all(folder.path().join("data")).unwrap();
        assert_eq!(next(&mut watcher), ["rows.json"]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "[1]").unwrap();
        assert_eq!(next(&mut watcher), ["rows.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_change_behind_a_link_is_seen() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().join("target");
        fs::write(&target, "one").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("link")).unwrap();
        let mut watcher = Watcher::new([folder.path().join("link")]);
        watcher.look = Duration::from_secs(60);
        fs::write(&target, "another").unwrap();
        assert_eq!(next(&mut watcher), ["link"]);
    }

    #[test]
    fn a_change_between_two_updates_is_not_lost() {
        let (folder, mut watcher) = watched(&["spec.reft"]);
        fs::write(folder.path().join("spec.reft"), "changed").unwrap();
        watcher.update(["spec.reft", "data.json"].map(|name| folder.path().join(name)));
        assert_eq!(next(&mut watcher), ["spec.reft"]);
        fs::write(folder.path().join("data.json"), "[]").unwrap();
        assert_eq!(next(&mut watcher), ["data.json"]);
        watcher.update([folder.path().join("data.json")]);
        fs::write(folder.path().join("spec.reft"), "no longer watched").unwrap();
        fs::write(folder.path().join("data.json"), "[1]").unwrap();
        assert_eq!(next(&mut watcher), ["data.json"]);
    }

    #[test]
    fn without_events_a_look_now_and_then_serves() {
        let (folder, _) = watched(&["spec.reft"]);
        let mut watcher = Watcher::polling([folder.path().join("spec.reft")], Duration::from_millis(10));
        fs::write(folder.path().join("spec.reft"), "changed").unwrap();
        assert_eq!(next(&mut watcher), ["spec.reft"]);
    }
}
