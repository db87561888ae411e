//! `reftc check`

use super::args::CheckArgs;
use super::fix::fix;
use super::lock;
use super::output::{Output, exit_code};
use super::session::Session;
use crate::compile::{Compiled, compile};
use crate::diag::{Code, Diagnostic, Severity, in_order, suggest};
use crate::source::Sources;
use std::process::ExitCode;

/// Checks every spec, fixed first if that is asked for; 1 if any has errors.
pub fn check(arguments: &CheckArgs, session: &Session, output: &Output) -> ExitCode {
    if let Some(name) = arguments.deny.iter().find(|name| !is_warning(name)) {
        let near = suggest::near(name, Code::lints().flat_map(|code| [code.as_str(), code.name()]).chain([ALL]));
        let help = match near.as_slice() {
            [] => "`reftc explain` lists all codes; those of warnings begin with W, those of advice with A".to_owned(),
            found => format!("did you mean {}?", suggest::list(found)),
        };
        output.usage_error(&format!("there is no warning `{name}`"), &help);
        return ExitCode::from(2);
    }
    let mut all = Vec::new();
    for path in &arguments.specs {
        if arguments.fix
            && let Err(unwritten) = fix(path, &session.world, output)
        {
            output.findings(std::slice::from_ref(&unwritten), &Sources::default());
            all.push(*unwritten);
        }
        let mut compiled = compile(path, &arguments.settings, &session.world);
        let named = |code| arguments.deny.iter().any(|name| Code::find(name) == Some(code));
        let advice = std::mem::take(&mut compiled.advice);
        compiled.diagnostics.extend(advice.into_iter().filter(|advice| arguments.advice || named(advice.code)));
        if arguments.locked {
            let drift = lock::drift(path, &compiled, session);
            compiled.diagnostics.extend(drift);
        }
        deny(&mut compiled, &arguments.deny);
        in_order(&mut compiled.diagnostics);
        if !compiled.diagnostics.is_empty() {
            output.findings(&compiled.diagnostics, &compiled.sources);
        }
        all.append(&mut compiled.diagnostics);
    }
    match all.as_slice() {
        [] => output.praise(match arguments.specs.as_slice() {
            [_] => "no findings",
            _ => "no findings in any of the specs",
        }),
        _ => output.summary(&all),
    }
    exit_code(&all)
}

/// Stands for every warning.
const ALL: &str = "warnings";

fn is_warning(name: &str) -> bool {
    name == ALL || Code::find(name).is_some_and(|code| code.severity() != Severity::Error)
}

/// Makes the named warnings errors. One that is named comes back though the spec allows it; `warnings` are those that are left.
fn deny(compiled: &mut Compiled, names: &[String]) {
    let named = |diagnostic: &Diagnostic| names.iter().any(|name| Code::find(name) == Some(diagnostic.code));
    let allowed = std::mem::take(&mut compiled.allowed);
    compiled.diagnostics.extend(allowed.into_iter().filter(named));
    for diagnostic in &mut compiled.diagnostics {
        let one_of_all = diagnostic.severity == Severity::Warning && names.iter().any(|name| name == ALL);
        if named(diagnostic) || one_of_all {
            diagnostic.severity = Severity::Error;
        }
    }
}
