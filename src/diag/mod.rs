//! What reftc has to say about a spec, a file or a run: one type for errors and warnings of every phase.
//!
//! Phases push [`Diagnostic`]s into a [`Sink`] and go on; [`render`] turns them into text for people or JSON for tools.

pub mod code;
pub mod fix;
pub mod render;
pub mod suggest;

pub use code::Code;

use crate::source::Span;
use std::path::PathBuf;

/// How bad it is. A command that saw an error exits with 1 (spec) or 3 (run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    /// Worth a thought, and often meant: told only where it is asked for.
    Advice,
}

impl Severity {
    /// `error`
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

/// A place and a few words about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A place in a file that is not a spec: a row of data, a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct FilePlace {
    pub path: PathBuf,
    /// 1-based.
    pub line: Option<usize>,
}

/// A change of the text that mends the error. There is one only where nothing else can have been meant: `check --fix` applies it unasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
}

/// One finding: what is wrong, where, why, and what to write instead.
///
/// `message` is lower-case, has no final period and stands alone; `help` is imperative and holds text to copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// The first is the place of the error, the others lie where the cause lies. Empty for what no spec line caused.
    pub labels: Vec<Label>,
    /// A file beside the spec that the message is about.
    pub place: Option<FilePlace>,
    pub help: Vec<String>,
    pub note: Option<String>,
    pub fix: Option<Fix>,
}

/// The result of work that stops at its first error.
pub type Result<T> = std::result::Result<T, Box<Diagnostic>>;

impl Diagnostic {
    /// An error or a warning, as the code says, without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            labels: Vec::new(),
            place: None,
            help: Vec::new(),
            note: None,
            fix: None,
        }
    }

    /// A finding at a place of the spec.
    pub fn at(code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(code, message).label(span, label)
    }

    /// Adds a label; the first one added is the primary one.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Puts a primary label before all others, for an error found where no span was known.
    #[must_use]
    pub fn primary(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.insert(0, Label { span, text: text.into() });
        self
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Sets the note: facts that are neither the error nor the way out.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }

    /// Names the file, and the line in it, that the message is about.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<PathBuf>, line: Option<usize>) -> Self {
        self.place = Some(FilePlace { path: path.into(), line });
        self
    }

    /// Sets the fix that `check --fix` and editors apply.
    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into() });
        self
    }

    /// Sets the fix if there is one: the replacement of the text at `span`.
    #[must_use]
    pub fn maybe_fix(self, span: Span, replacement: Option<impl Into<String>>) -> Self {
        match replacement {
            Some(replacement) => self.fix(span, replacement),
            None => self,
        }
    }

    /// The place of the error in the spec, if it has one.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Collects findings. One place gives one error of a code.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    found: Vec<Diagnostic>,
}

impl Sink {
    /// Adds a finding, unless one with the same code and place is there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let twin = |other: &Diagnostic| {
            other.code == diagnostic.code && other.span() == diagnostic.span() && other.message == diagnostic.message
        };
        if !self.found.iter().any(twin) {
            self.found.push(diagnostic);
        }
    }

    /// Adds every one of the findings.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether a finding of that code lies at that place.
    pub fn has(&self, code: Code, span: Span) -> bool {
        self.found.iter().any(|finding| finding.code == code && finding.span() == Some(span))
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The place of the finding of that number.
    pub fn place(&self, at: usize) -> Option<Span> {
        self.found.get(at)?.span()
    }

    /// Adds a label to the finding of that number, unless it has one at that place.
    pub fn label_one(&mut self, at: usize, span: Span, text: &str) {
        if let Some(diagnostic) = self.found.get_mut(at)
            && diagnostic.labels.iter().all(|label| label.span != span)
        {
            diagnostic.labels.push(Label { span, text: text.to_owned() });
        }
    }

    /// Sets the note of the finding of that number, unless it has one.
    pub fn note(&mut self, at: usize, text: &str) {
        if let Some(diagnostic) = self.found.get_mut(at) {
            diagnostic.note.get_or_insert_with(|| text.to_owned());
        }
    }

    /// Adds a label to every finding from number `first` on that has a place, and not this one already.
    pub fn label_from(&mut self, first: usize, span: Span, text: &str) {
        for diagnostic in self.found.iter_mut().skip(first) {
            if !diagnostic.labels.is_empty() && diagnostic.labels.iter().all(|label| label.span != span) {
                diagnostic.labels.push(Label { span, text: text.to_owned() });
            }
        }
    }

    /// Adds a note to every finding from number `first` on that has none.
    pub fn note_from(&mut self, first: usize, text: &str) {
        self.found.iter_mut().skip(first).for_each(|diagnostic| {
            diagnostic.note.get_or_insert_with(|| text.to_owned());
        });
    }

    /// Keeps the value, or its error.
    pub fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|diagnostic| self.push(*diagnostic)).ok()
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is an error at exactly this place.
    pub fn has_error_at(&self, span: Span) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error && diagnostic.span() == Some(span))
    }

    /// The findings in the order of their places; those without a place come last.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        in_order(&mut self.found);
        self.found
    }
}

/// Sorts findings by their places; those without a place come last.
pub fn in_order(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span().is_none(), diagnostic.span()));
}

/// A cause of the system as part of a message: in lower case and without its number.
pub fn reason(cause: &std::io::Error) -> String {
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
