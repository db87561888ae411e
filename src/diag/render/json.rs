//! One JSON object a line, for tools. Fields are only ever added; `v` grows when one changes its meaning.

use super::place;
use crate::diag::Diagnostic;
use crate::source::{Sources, Span};
use serde::Serialize;

#[derive(Serialize)]
struct Line<'d> {
    v: u32,
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    message: &'d str,
    file: Option<String>,
    span: Option<Range>,
    labels: Vec<Label<'d>>,
    place: Option<FilePlace>,
    help: &'d [String],
    note: Option<&'d str>,
    fix: Option<Fix<'d>>,
}

/// `start` and `end` count bytes from 0; lines and columns count from 1, columns in characters.
#[derive(Serialize)]
struct Range {
    start: u32,
    end: u32,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
struct Label<'d> {
    file: Option<String>,
    span: Option<Range>,
    text: &'d str,
}

#[derive(Serialize)]
struct FilePlace {
    path: String,
    line: Option<usize>,
}

#[derive(Serialize)]
struct Fix<'d> {
    file: Option<String>,
    span: Option<Range>,
    replacement: &'d str,
}

/// The diagnostic as one line of JSON and a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let (file, span) = diagnostic.span().map_or((None, None), |span| range(span, sources));
    let line = Line {
        v: 1,
        code: diagnostic.code.as_str(),
        name: diagnostic.code.name(),
        severity: diagnostic.severity.name(),
        message: &diagnostic.message,
        file,
        span,
        labels: diagnostic
            .labels
            .iter()
            .map(|label| {
                let (file, span) = range(label.span, sources);
                Label { file, span, text: &label.text }
            })
            .collect(),
        place: diagnostic
            .place
            .as_ref()
            .map(|place| FilePlace { path: place.path.display().to_string(), line: place.line }),
        help: &diagnostic.help,
        note: diagnostic.note.as_deref(),
        fix: diagnostic.fix.as_ref().map(|fix| {
            let (file, span) = range(fix.span, sources);
            Fix { file, span, replacement: &fix.replacement }
        }),
    };
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn range(span: Span, sources: &Sources) -> (Option<String>, Option<Range>) {
    let Some(place) = place(span, sources) else { return (None, None) };
    let range = Range {
        start: span.start,
        end: span.end,
        line: place.line,
        column: place.column,
        end_line: place.end_line,
        end_column: place.end_column,
    };
    (Some(place.file), Some(range))
}
