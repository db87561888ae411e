//! One line for each diagnostic, as compilers print them for editors and `grep`.

use super::place;
use crate::diag::Diagnostic;
use crate::source::Sources;

/// `spec.reft:3:9: error[E0201]: unknown field …` and a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let spec = diagnostic.span().and_then(|span| place(span, sources));
    let position = match (spec, &diagnostic.place) {
        (Some(place), _) => format!("{}:{}:{}: ", place.file, place.line, place.column),
        (None, Some(file)) => match file.line {
            Some(line) => format!("{}:{line}: ", file.path.display()),
            None => format!("{}: ", file.path.display()),
        },
        (None, None) => String::new(),
    };
    let severity = diagnostic.severity.name();
    let message = diagnostic.message.replace(['\n', '\r'], " ");
    format!("{position}{severity}[{}]: {message}\n", diagnostic.code.as_str())
}
