//! `reftc check`

use super::args::CheckArgs;
use super::compile::compile;
use super::output::{Output, exit_code};
use crate::diag::{Diagnostic, Severity};
use crate::world::World;
use std::process::ExitCode;

/// Checks every spec; 1 if any has errors.
pub fn check(arguments: &CheckArgs, world: &dyn World, output: &Output) -> ExitCode {
    let mut all = Vec::new();
    for path in &arguments.specs {
        let mut compiled = compile(path, world);
        deny(&mut compiled.diagnostics, &arguments.deny);
        if !compiled.diagnostics.is_empty() {
            output.findings(&compiled.diagnostics, &compiled.sources);
        }
        all.append(&mut compiled.diagnostics);
    }
    output.summary(&all);
    exit_code(&all)
}

/// Makes the named warnings errors.
fn deny(diagnostics: &mut [Diagnostic], names: &[String]) {
    for diagnostic in diagnostics {
        let code = diagnostic.code;
        let named =
            |name: &String| name == "warnings" || name == code.name() || name.eq_ignore_ascii_case(code.as_str());
        if names.iter().any(named) {
            diagnostic.severity = Severity::Error;
        }
    }
}
