//! What a spec says, without a look at any model: enough to tell two specs apart.

use super::compile;
use crate::check::modules::LIBRARY;
use crate::data::source::{Dataset, Source};
use crate::diag::{Code, Diagnostic, Result, Severity};
use crate::difference::Outline;
use crate::model::config::ModelSource;
use crate::model::known::KnownModel;
use crate::plan::Field;
use crate::revision::Revision;
use crate::source::Sources;
use crate::world::World;
use std::io;
use std::path::{Path, PathBuf};

/// A spec that cannot be told apart from another, as it has errors.
pub struct Unsound {
    pub errors: Vec<Diagnostic>,
    pub sources: Sources,
}

/// The outlines of the experiments of a spec, as it is on disk or in a revision. Neither its model nor its rows need be there.
pub fn outlines(
    path: &Path,
    revision: Option<&Revision>,
    world: &dyn World,
) -> std::result::Result<Vec<Outline>, Unsound> {
    let compiled = compile(path, &[], &Texts { revision, world });
    let library = |path: &Path| LIBRARY.iter().any(|(name, _)| Path::new(name) == path);
    let sources = match revision {
        Some(revision) => compiled.sources.renamed(|path| match library(path) {
            true => path.to_path_buf(),
            false => PathBuf::from(revision.name_of(path)),
        }),
        None => compiled.sources,
    };
    let is_error = |diagnostic: &Diagnostic| {
        diagnostic.severity == Severity::Error && !matches!(diagnostic.code, Code::ModelNotFound | Code::DataNotFound)
    };
    let errors: Vec<Diagnostic> = compiled.diagnostics.into_iter().filter(is_error).collect();
    if !errors.is_empty() {
        return Err(Unsound { errors, sources });
    }
    let outlines = compiled.spec.outlines.iter().map(|outline| Outline {
        experiment: outline.name.clone(),
        fields: outline.fields.iter().map(|field| Field::new(field, None, &sources)).collect(),
    });
    Ok(outlines.collect())
}

/// A world in which no model is found, and specs may be those of a revision. Other files that the revision does not have, as data are
/// often not committed, are those on disk.
struct Texts<'a> {
    revision: Option<&'a Revision>,
    world: &'a dyn World,
}

impl Texts<'_> {
    /// The content in the revision; `None` where that of the disk stands for it, with the path there.
    fn committed(&self, path: &Path) -> io::Result<std::result::Result<Vec<u8>, PathBuf>> {
        let Some(revision) = self.revision else { return Ok(Err(path.to_path_buf())) };
        match revision.read(path) {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(error) if path.extension().is_some_and(|extension| extension == "reft") => Err(error),
            Err(_) => Ok(Err(revision.on_disk(path))),
        }
    }
}

impl World for Texts<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.committed(path)?.or_else(|path| self.world.read(&path))
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        match self.committed(path)? {
            Ok(bytes) => Ok(crate::digest::of(bytes)),
            Err(path) => self.world.digest(&path),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        matches!(self.committed(path), Ok(Ok(_))) || self.world.exists(path)
    }

    fn model(&self, _: &ModelSource) -> Result<Box<dyn KnownModel>> {
        Err(Box::new(Diagnostic::new(Code::ModelNotFound, "no model is looked at")))
    }

    fn dataset(&self, _: &Dataset, _: bool) -> Result<Source> {
        Err(Box::new(Diagnostic::new(Code::DataNotFound, "no dataset is looked at")))
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        match self.revision {
            Some(revision) => revision.list(folder),
            None => self.world.list(folder),
        }
    }

    fn cached_bytes(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.world.cached_bytes(kind, key)
    }

    fn remember_bytes(&self, kind: &str, key: &str, value: &[u8]) {
        self.world.remember_bytes(kind, key, value);
    }

    fn touched(&self) -> Vec<PathBuf> {
        self.world.touched()
    }
}
