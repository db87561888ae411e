//! Snippets with labels for people, drawn by miette.
//!
//! miette knows one source for each diagnostic and one line of help; labels in other files become related
//! diagnostics, and help, notes and files beside the spec are written here, unwrapped, so that they can be copied.
//! The code stands before the message, in the place of miette's sign for the severity.

use crate::diag::{Diagnostic, Label, Severity};
use crate::source::{FileId, SourceFile, Sources};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use std::fmt;

/// The looks of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Box-drawing characters; ASCII without.
    pub unicode: bool,
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Style {
    /// What golden files and pipes get: 100 columns, Unicode, no colour.
    pub const PLAIN: Self = Self { unicode: true, colour: false, width: 100 };
}

/// One diagnostic with its snippets and footers; ends with a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let mut theme = match (style.unicode, style.colour) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    let title = format!("{}[{}]:", diagnostic.severity.name(), diagnostic.code.as_str());
    match diagnostic.severity {
        Severity::Error => theme.characters.error = title,
        Severity::Warning | Severity::Advice => theme.characters.warning = title,
    }
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width.max(40)).with_links(false);
    let handler = handler.with_wrap_lines(false);
    let mut out = String::new();
    if handler.render_report(&mut out, &Report::of(diagnostic, sources)).is_err() {
        out = format!("{diagnostic}\n");
    }
    let footer = |word: &str, text: &str| {
        let text = text.replace('\n', "\n        ");
        if style.colour { format!("  \u{1b}[36m{word}:\u{1b}[0m {text}\n") } else { format!("  {word}: {text}\n") }
    };
    if let Some(place) = &diagnostic.place {
        let line = place.line.map_or(String::new(), |line| format!(":{line}"));
        out.push_str(&footer("file", &format!("{}{line}", place.path.display())));
    }
    diagnostic.help.iter().for_each(|help| out.push_str(&footer("help", help)));
    diagnostic.note.iter().for_each(|note| out.push_str(&footer("note", note)));
    let lines = out.lines().map(|line| line.trim_end().to_owned() + "\n");
    // miette leaves room for a sign in front of the title.
    let text: String = lines.skip_while(|line| line.trim().is_empty()).collect();
    text.strip_prefix("  ").map_or(text.clone(), str::to_owned)
}

/// A diagnostic, or its labels in one other file, as miette wants it.
#[derive(Debug)]
struct Report {
    message: String,
    severity: miette::Severity,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report>,
}

impl Report {
    fn of(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let mut files: Vec<FileId> = Vec::new();
        for label in &diagnostic.labels {
            if !files.contains(&label.span.file) && sources.file(label.span.file).is_some() {
                files.push(label.span.file);
            }
        }
        let mut report = Self {
            message: diagnostic.message.clone(),
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                // The third level of miette is for the other files of a finding.
                Severity::Warning | Severity::Advice => miette::Severity::Warning,
            },
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
        };
        let mut files = files.into_iter().filter_map(|id| sources.file(id).map(|file| (id, file)));
        if let Some((id, file)) = files.next() {
            report.labels = labels(diagnostic, id, file);
            report.source = Some(named(file));
        }
        for (id, file) in files {
            report.related.push(Self {
                message: format!("in {}", file.path.display()),
                severity: miette::Severity::Advice,
                source: Some(named(file)),
                labels: labels(diagnostic, id, file),
                related: Vec::new(),
            });
        }
        report
    }
}

fn named(file: &SourceFile) -> NamedSource<String> {
    NamedSource::new(file.path.display().to_string(), file.text.clone())
}

/// The labels that lie in this file; the first of the diagnostic is the primary one.
fn labels(diagnostic: &Diagnostic, id: FileId, file: &SourceFile) -> Vec<LabeledSpan> {
    let spans = diagnostic.labels.iter().enumerate().filter(|(_, label)| label.span.file == id);
    spans
        .map(|(index, label)| {
            let (start, length) = visible(label, &file.text);
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            match index {
                0 => LabeledSpan::new_primary_with_span(text, (start, length)),
                _ => LabeledSpan::new(text, start, length),
            }
        })
        .collect()
}

/// A range that miette can draw: inside the text, on character boundaries, not behind the last line, and
/// in one line where the label spans several.
fn visible(label: &Label, text: &str) -> (usize, usize) {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut start = floor(label.span.start as usize);
    if text[start..].trim().is_empty() {
        start = start.min(text.trim_end().len());
    }
    let end = floor(label.span.end as usize).max(start);
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    let end = end.min(line_end);
    match text[..start].chars().next_back() {
        Some(last) if start == text.len() => (start - last.len_utf8(), last.len_utf8()),
        _ => (start, end - start),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let related = self.related.iter().map(|report| report as &dyn miette::Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(related) as Box<dyn Iterator<Item = _>>)
    }
}
