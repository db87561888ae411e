//! `reftc check --fix`: what is put into a spec before its findings are told.

use super::output::Output;
use crate::compile::{compile_text, read};
use crate::diag::{Result, fix};
use crate::source::{FileId, Sources};
use crate::store::atomic;
use crate::world::World;
use std::path::Path;

/// Writes the spec with every safe fix applied, and says how many there were. A file that cannot be read stays for the check to report;
/// files that the spec uses are not touched.
///
/// # Errors
/// `E0501` where the file cannot be written; it is then as it was.
pub fn fix(path: &Path, world: &dyn World, output: &Output) -> Result<()> {
    let Ok(text) = read(path, world) else { return Ok(()) };
    let mended = fix::mend(&text, FileId(0), |text| {
        let mut sources = Sources::default();
        let id = sources.add(path, text.to_owned());
        compile_text(id, sources, &[], world).diagnostics
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
