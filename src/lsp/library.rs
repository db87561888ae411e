//! The library that is part of the binary, as files that any editor can open.

use crate::check::modules::LIBRARY;
use crate::digest;
use crate::source::without_detours;
use crate::store::atomic;
use crate::world::World;
use std::io;
use std::path::{Path, PathBuf};

/// Where the files of the library stand. Each version has a folder of its own; they are written when an editor is led to them.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// `None` where nothing can be written.
    folder: Option<PathBuf>,
}

impl Library {
    /// The library in the user's cache.
    pub fn new(world: &dyn World) -> Self {
        let content: String = LIBRARY.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        let digest = digest::of(content);
        let digits = digest.get(..8).unwrap_or(&digest);
        let folder = world.cache_folder().and_then(|cache| std::path::absolute(cache).ok());
        Self { folder: folder.map(|cache| cache.join("library").join(digits)) }
    }

    /// Where a path leads that a file in `folder` uses.
    pub fn locate(&self, folder: &Path, written: &str) -> PathBuf {
        match LIBRARY.iter().find(|(name, _)| *name == written) {
            Some((name, _)) => self.folder.as_ref().map_or_else(|| PathBuf::from(name), |library| library.join(name)),
            None => without_detours(&folder.join(written)),
        }
    }

    /// The path for an editor of a file as the compiler calls it.
    pub fn path(&self, named: &Path) -> PathBuf {
        let name = LIBRARY.iter().find(|(name, _)| Path::new(name) == named);
        name.map_or_else(|| without_detours(named), |(name, _)| self.locate(Path::new(""), name))
    }

    /// The text behind a path of the library.
    pub fn text(&self, path: &Path) -> Option<&'static str> {
        let (_, text) = LIBRARY.iter().find(|(name, _)| self.locate(Path::new(""), name) == path)?;
        Some(text)
    }

    /// Sees to it that a file of the library is there, for reading only; false where it cannot be. Any other path is left alone.
    pub fn show(&self, path: &Path) -> bool {
        let Some(text) = self.text(path) else { return true };
        let is_there = || std::fs::read(path).is_ok_and(|found| found == text.as_bytes());
        self.folder.is_some() && (is_there() || write(path, text).is_ok())
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    atomic::replace(path, &[text.as_bytes()])?;
    let mut permissions = std::fs::metadata(path)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions)
}
