//! Workflow commands, which GitHub shows as annotations beside the changed lines.

use super::place;
use crate::diag::{Diagnostic, Severity};
use crate::source::Sources;

/// `::error file=spec.reft,line=3,col=9,endLine=3,endColumn=14,title=E0201::unknown field …` and a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut properties = Vec::new();
    if let Some(place) = diagnostic.span().and_then(|span| place(span, sources)) {
        properties.push(format!("file={}", property(&place.file)));
        properties.push(format!("line={},col={}", place.line, place.column));
        properties.push(format!("endLine={},endColumn={}", place.end_line, place.end_column));
    } else if let Some(file) = &diagnostic.place {
        properties.push(format!("file={}", property(&file.path.display().to_string())));
        properties.extend(file.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", diagnostic.code.as_str()));
    let level = if diagnostic.severity == Severity::Advice { "notice" } else { diagnostic.severity.name() };
    format!("::{level} {}::{}\n", properties.join(","), data(&diagnostic.message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
