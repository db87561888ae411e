//! `reftc fmt`

use super::args::FmtArgs;
use super::output::Output;
use crate::compile;
use crate::diag::{Code, Diagnostic, Result};
use crate::source::Sources;
use crate::store::atomic;
use crate::syntax;
use crate::world::World;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Formats every spec in place; 1 if one has syntax errors or, with `--check`, is not in canonical form.
pub fn fmt(arguments: &FmtArgs, world: &dyn World, output: &Output) -> ExitCode {
    let mut clean = true;
    for path in &arguments.specs {
        clean &= format_one(path, arguments.check, world, output);
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn format_one(path: &Path, check: bool, world: &dyn World, output: &Output) -> bool {
    let from_stdin = path == Path::new("-");
    let text = if from_stdin { read_stdin() } else { compile::read(path, world) };
    let mut sources = Sources::default();
    let text = match text {
        Ok(text) => text,
        Err(diagnostic) => {
            output.failure(&diagnostic, &sources);
            return false;
        }
    };
    let id = sources.add(path, text.clone());
    let (file, diagnostics) = syntax::parse(id, &text);
    if !diagnostics.is_empty() {
        output.findings(&diagnostics, &sources);
        output.summary(&diagnostics);
        return false;
    }
    let formatted = syntax::format(&file, &text);
    if from_stdin && !check {
        output.data(&formatted);
        return true;
    }
    if formatted == text {
        return true;
    }
    if check {
        output.note(&format!("{} is not in canonical form; `reftc fmt {}` writes it", path.display(), path.display()));
        return false;
    }
    match atomic::write(path, formatted.as_bytes()) {
        Ok(()) => {
            output.note(&format!("formatted {}", path.display()));
            true
        }
        Err(diagnostic) => {
            output.failure(&diagnostic, &sources);
            false
        }
    }
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    match std::io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Box::new(Diagnostic::new(Code::UnreadableSpec, format!("cannot read stdin: {error}")))),
    }
}
