//! Findings as an editor shows them.

use super::documents::Documents;
use super::position::Text;
use crate::compile::Compiled;
use crate::diag::{self, Code, Severity};
use crate::source::without_detours;
use crate::source::{FileId, Span};
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location, NumberOrString, Position,
    Range, Uri,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of a compilation, ready for positions.
pub struct Files<'d> {
    documents: &'d Documents,
    files: Vec<(PathBuf, Text)>,
}

impl<'d> Files<'d> {
    /// Finds the lines of every file.
    pub fn new(compiled: &Compiled, documents: &'d Documents) -> Self {
        let sources = (0..).map_while(|number| compiled.sources.file(FileId(number)));
        let text = |content: &str| Text::new(content, documents.encoding);
        Self { documents, files: sources.map(|file| (without_detours(&file.path), text(&file.text))).collect() }
    }

    /// The paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The path of a place, and its range there.
    pub fn place(&self, span: Span) -> Option<(&Path, Range)> {
        let (path, text) = self.files.get(span.file.0 as usize)?;
        // What is wrong with a file as a whole is shown in its first line.
        let whole = span.start == 0 && span.end as usize == text.content.len();
        let end = text.content.find(['\n', '\r']).unwrap_or(text.content.len());
        let range = if whole { text.range(Span::new(span.file, 0, end)) } else { text.range(span) };
        Some((path, range))
    }

    fn location(&self, span: Span) -> Option<Location> {
        let (path, range) = self.place(span)?;
        Some(Location { uri: self.documents.uri(path)?, range })
    }
}

/// The findings of a compilation, each with its file. Every file has a list, empty where all is well.
pub fn by_file(compiled: &Compiled, documents: &Documents) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
    let files = Files::new(compiled, documents);
    let mut found: BTreeMap<PathBuf, Vec<Diagnostic>> =
        files.paths().map(|path| (path.to_path_buf(), Vec::new())).collect();
    for finding in &compiled.diagnostics {
        let place = finding.span().and_then(|span| files.place(span));
        let Some(path) = place.map(|(path, _)| path).or_else(|| files.paths().next()) else { continue };
        let range = place.map(|(_, range)| range).unwrap_or_default();
        found.entry(path.to_path_buf()).or_default().push(diagnostic(finding, range, &files));
    }
    found
}

/// One finding at a range of its file.
pub fn diagnostic(finding: &diag::Diagnostic, range: Range, files: &Files<'_>) -> Diagnostic {
    let code = finding.code.as_str();
    let (severity, tags) = match finding.severity {
        Severity::Error => (DiagnosticSeverity::ERROR, None),
        Severity::Warning => {
            let unused = finding.code == Code::UnusedName;
            (DiagnosticSeverity::WARNING, unused.then(|| vec![DiagnosticTag::UNNECESSARY]))
        }
        Severity::Advice => (DiagnosticSeverity::HINT, None),
    };
    let related = related(finding, files);
    Diagnostic {
        range,
        severity: Some(severity),
        code: Some(NumberOrString::String(code.to_owned())),
        source: Some("reftc".to_owned()),
        message: message(finding),
        related_information: (!related.is_empty()).then_some(related),
        tags,
        data: Some(json!({ "name": finding.code.name(), "explain": format!("reftc explain {code}") })),
        ..Diagnostic::default()
    }
}

/// What is wrong, and below it the ways out.
fn message(finding: &diag::Diagnostic) -> String {
    let mut text = finding.message.clone();
    if let Some(label) = finding.labels.first().filter(|label| !label.text.is_empty()) {
        text.push_str(": ");
        text.push_str(&label.text);
    }
    let help = finding.help.iter().map(|line| format!("\nhelp: {line}"));
    help.chain(finding.note.iter().map(|line| format!("\nnote: {line}"))).for_each(|line| text.push_str(&line));
    text
}

/// Where causes lie.
fn related(finding: &diag::Diagnostic, files: &Files<'_>) -> Vec<DiagnosticRelatedInformation> {
    let labels = finding.labels.iter().skip(1).filter_map(|label| {
        Some(DiagnosticRelatedInformation { location: files.location(label.span)?, message: label.text.clone() })
    });
    let place = finding.place.iter().filter_map(|place| {
        let line = u32::try_from(place.line.unwrap_or(1).saturating_sub(1)).ok()?;
        let start = Position::new(line, 0);
        let uri: Uri = files.documents.uri(&without_detours(&place.path))?;
        let message = place.path.file_name()?.to_string_lossy().into_owned();
        Some(DiagnosticRelatedInformation { location: Location { uri, range: Range::new(start, start) }, message })
    });
    labels.chain(place).collect()
}
