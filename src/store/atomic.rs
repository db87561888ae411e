//! Files that are either as they were or wholly new: written beside, flushed to disk, renamed.

use crate::diag::{Code, Diagnostic, Result, reason};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a folder and those above it.
///
/// # Errors
/// `E0501` with the path and the cause.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|cause| unwritable(path, &cause))
}

/// Replaces the content of a file; its folder is created where it is missing. No reader sees half of it.
///
/// # Errors
/// `E0501` with the path and the cause; the old content is then untouched.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    let mut file = AtomicFile::create(path)?;
    file.write_all(content).map_err(|cause| unwritable(path, &cause))?;
    file.finish()
}

/// As [`fn@write`], but not flushed to disk: after a power cut the file may be torn. For what is verified whenever it is read.
/// The content comes in parts, so that nothing is copied to join them.
///
/// # Errors
/// The cause; the old content is then untouched.
pub fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let mut file = AtomicFile::begin(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.flush()?;
    file.rename()
}

/// A file that comes into being under its name only when it is whole. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    beside: PathBuf,
    file: io::BufWriter<File>,
    finished: bool,
}

impl AtomicFile {
    /// Begins a file beside `target`, in the same folder, which must be there.
    ///
    /// # Errors
    /// `E0501` with the path and the cause.
    pub fn create(target: &Path) -> Result<Self> {
        Self::begin(target).map_err(|cause| unwritable(target, &cause))
    }

    fn begin(target: &Path) -> io::Result<Self> {
        let (beside, file) = create_beside(target)?;
        Ok(Self { target: target.to_path_buf(), beside, file: io::BufWriter::new(file), finished: false })
    }

    /// Brings the content to disk and gives the file its name.
    ///
    /// # Errors
    /// `E0501` with the path and the cause; a file that had the name before is then untouched.
    pub fn finish(mut self) -> Result<()> {
        let settled = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        settled.and_then(|()| self.rename()).map_err(|cause| unwritable(&self.target, &cause))?;
        sync_folder(&self.target);
        Ok(())
    }

    fn rename(&mut self) -> io::Result<()> {
        std::fs::rename(&self.beside, &self.target)?;
        self.finished = true;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

/// A new file in the folder of `target`, whose name no other process or thread uses.
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let beside = target.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (beside, file)),
        }
    }
}

/// Removes what processes that are gone left unfinished in a folder and those inside it.
pub fn clear_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clear_leftovers(&path);
        } else if writer_of(&path).is_some_and(|process| !may_be_alive(process, &path)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The process that writes a file of [`create_beside`].
fn writer_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (_, numbers) = name.rsplit_once('.')?;
    numbers.split_once('-')?.0.parse().ok()
}

/// Where the system has no list of processes, a file counts as given up after an hour.
fn may_be_alive(process: u32, path: &Path) -> bool {
    let processes = Path::new("/proc");
    if processes.join("self").exists() {
        return processes.join(process.to_string()).exists();
    }
    let age = path.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_none_or(|age| age < std::time::Duration::from_secs(3600))
}

/// A rename lasts only once the folder itself is on disk; systems that cannot sync a folder do so by themselves.
fn sync_folder(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// `E0501`: what could not be written, and why.
pub fn unwritable(path: &Path, cause: &io::Error) -> Box<Diagnostic> {
    let help = match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable, or name another with `--runs FOLDER`"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some disk space and run again",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed: move it away, or name another folder with `--runs FOLDER`"
        }
        _ => "name another folder with `--runs FOLDER`",
    };
    let message = format!("cannot write {}: {}", path.display(), reason(cause));
    Box::new(Diagnostic::new(Code::RunUnwritable, message).in_file(path, None).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/result.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_file_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.jsonl");
        write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half of the n").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_dead_processes_left_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let own = format!(".a.json.{}-3.tmp", std::process::id());
        for name in [
            "a.json",
            ".lock",
            ".a.json.4294967290-0.tmp",
            "x.tmp",
            ".b.tmp",
            own.as_str(),
            "eval/.c.jsonl.4294967290-7.tmp",
        ] {
            write(&folder.path().join(name), b"").unwrap();
        }
        clear_leftovers(folder.path());
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut left = [".b.tmp", ".lock", "a.json", "eval", "x.tmp", own.as_str()];
        left.sort_unstable();
        assert_eq!(names, left);
        assert_eq!(std::fs::read_dir(folder.path().join("eval")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("runs"), "").unwrap();
        let error = write(&folder.path().join("runs/name/plan.json"), b"").unwrap_err();
        assert_eq!(error.code, Code::RunUnwritable);
        assert!(error.message.starts_with("cannot write ") && error.message.contains("runs/name"), "{error}");
        assert!(error.help[0].contains("--runs FOLDER"));
    }
}
