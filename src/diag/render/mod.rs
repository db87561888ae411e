//! Renderers of diagnostics: for people (miette), short lines, JSON lines for tools, and GitHub's annotations.

pub mod github;
pub mod human;
pub mod json;
pub mod short;

use super::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Snippets with labels.
    Human(human::Style),
    /// `spec.reft:3:9: error[E0201]: …`
    Short,
    /// One object a line.
    Json,
    /// `::error file=spec.reft,line=3,…`
    Github,
}

/// All diagnostics in their order; every line ends with a newline. Empty for none.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, format: Format) -> String {
    let one = |diagnostic: &Diagnostic| match format {
        Format::Human(style) => human::render(diagnostic, sources, style) + "\n",
        Format::Short => short::render(diagnostic, sources),
        Format::Json => json::render(diagnostic, sources),
        Format::Github => github::render(diagnostic, sources),
    };
    diagnostics.iter().map(one).collect()
}

/// `2 errors, 1 warning`; empty for none.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity: Severity, word: &str| match diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == severity)
        .count()
    {
        0 => None,
        1 => Some(format!("1 {word}")),
        several => Some(format!("{several} {word}s")),
    };
    let advice = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Advice).count();
    let advice = match advice {
        0 => None,
        1 => Some("1 piece of advice".to_owned()),
        several => Some(format!("{several} pieces of advice")),
    };
    let counts = [count(Severity::Error, "error"), count(Severity::Warning, "warning"), advice];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A span in terms of its file, 1-based, columns in characters.
struct Place {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

/// Where a span lies; `None` for a span of an unknown file.
fn place(span: Span, sources: &Sources) -> Option<Place> {
    let file = sources.file(span.file)?;
    let (line, column) = file.line_column(span.start as usize);
    let (end_line, end_column) = file.line_column(span.end as usize);
    Some(Place { file: file.path.display().to_string(), line, column, end_line, end_column })
}
