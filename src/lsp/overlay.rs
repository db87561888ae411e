//! The machine as the editor shows it: open texts stand before the files of the disk.

use crate::data::source::{Dataset, Source};
use crate::diag::Result;
use crate::digest;
use crate::model::config::ModelSource;
use crate::model::known::KnownModel;
use crate::source::without_detours;
use crate::world::World;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Open texts by their paths.
pub type Texts = BTreeMap<PathBuf, Arc<str>>;

/// A world in which open texts are the content of their files.
pub struct Overlay<'w> {
    pub world: &'w dyn World,
    pub texts: &'w Texts,
}

impl World for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.texts.get(&without_detours(path)) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => self.world.read(path),
        }
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        match self.texts.get(&without_detours(path)) {
            Some(text) => Ok(digest::of(text.as_bytes())),
            None => self.world.digest(path),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.texts.contains_key(&without_detours(path)) || self.world.exists(path)
    }

    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        self.world.model(source)
    }

    /// Never fetches: half a name would be asked for with every key.
    fn dataset(&self, dataset: &Dataset, _: bool) -> Result<Source> {
        self.world.dataset(dataset, false)
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        self.world.list(folder)
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.world.cached_bytes(kind, key)
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        self.world.remember_bytes(kind, key, value);
    }

    fn follow_lock(&self, spec: &Path) {
        self.world.follow_lock(spec);
    }

    fn touched(&self) -> Vec<PathBuf> {
        self.world.touched()
    }
}
