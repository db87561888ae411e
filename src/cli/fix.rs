//! `reftc check --fix`: what is put into a spec before its findings are told.

use super::compile::compile;
use super::output::Output;
use crate::diag::{Code, Result, Severity, fix};
use crate::model::config::ModelSource;
use crate::model::known::KnownModel;
use crate::source::FileId;
use crate::store::atomic;
use crate::world::World;
use std::io;
use std::path::{Path, PathBuf};

/// Writes the spec with every safe fix applied, and says how many there were. A file that cannot be read stays for the check to report;
/// files that the spec uses are not touched.
///
/// # Errors
/// `E0501` where the file cannot be written; it is then as it was.
pub fn fix(path: &Path, world: &dyn World, output: &Output) -> Result<()> {
    let before = compile(path, world);
    if before.diagnostics.iter().any(|found| found.code == Code::UnreadableSpec && found.severity == Severity::Error) {
        return Ok(());
    }
    let mended = fix::mend(before.text(), FileId(0), |text| {
        let edited = Edited { world, path, text };
        compile(path, &edited).diagnostics
    });
    if mended.fixed == 0 {
        return Ok(());
    }
    atomic::write(path, mended.text.as_bytes()).map_err(|mut cause| {
        cause.help = vec!["make the file and its folder writable, or check without `--fix`".to_owned()];
        cause
    })?;
    let findings = if mended.fixed == 1 { "finding" } else { "findings" };
    output.note(&format!("fixed {} {findings} in {}", mended.fixed, path.display()));
    Ok(())
}

/// The world with another text in the place of one file.
struct Edited<'w> {
    world: &'w dyn World,
    path: &'w Path,
    text: &'w str,
}

impl World for Edited<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { self.world.read(path) }
    }

    fn digest(&self, path: &Path) -> io::Result<String> {
        self.world.digest(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.world.exists(path)
    }

    fn model(&self, source: &ModelSource) -> Result<Box<dyn KnownModel>> {
        self.world.model(source)
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

    fn touched(&self) -> Vec<PathBuf> {
        self.world.touched()
    }
}
