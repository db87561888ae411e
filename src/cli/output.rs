//! The only place that prints: data to stdout, everything else to stderr.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is what prints")]

use super::args::{Cli, Color, MessageFormat};
use crate::diag::render::{Format, human, render, summary};
use crate::diag::{Diagnostic, Severity};
use crate::report::table::Style;
use crate::source::Sources;
use indicatif::ProgressBar;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// People are shown this many findings at a time; the first ones often cause the others.
const SHOWN: usize = 20;

/// The bar on stderr, which notes of any thread must not tear.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How this process talks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub format: MessageFormat,
    /// Progress bars on stderr.
    pub bars: bool,
    colour: bool,
    /// Box-drawing characters.
    unicode: bool,
    width: usize,
}

impl Output {
    /// As the arguments, the terminal and NO_COLOR say.
    pub fn new(cli: &Cli) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = std::io::stderr().is_terminal();
        let colour = match cli.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !plain && terminal,
        };
        let (_, width) = console::Term::stderr().size();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = usize::from(width).clamp(60, 120);
        Self { format: cli.message_format, bars: colour && terminal && !dumb, colour, unicode: !dumb, width }
    }

    /// Data, to stdout. A reader that has gone away is no error.
    pub fn data(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// A line about what happens, to stderr. A bar there makes way for it.
    pub fn note(&self, text: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        };
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows this bar below all notes from now on, or none.
    pub fn show_bar(&self, bar: Option<ProgressBar>) {
        *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// Findings and their summary; in JSON they are data.
    pub fn findings(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        let format = match self.format {
            MessageFormat::Human => {
                Format::Human(human::Style { colour: self.colour, unicode: self.unicode, width: self.width })
            }
            MessageFormat::Short => Format::Short,
            MessageFormat::Json => Format::Json,
            MessageFormat::Github => Format::Github,
        };
        let people = matches!(self.format, MessageFormat::Human | MessageFormat::Short);
        let shown = if people { diagnostics.len().min(SHOWN) } else { diagnostics.len() };
        let mut text = render(&diagnostics[..shown], sources, format);
        if shown < diagnostics.len() {
            text.push_str(&format!("… and {} more\n", diagnostics.len() - shown));
        }
        match self.format {
            MessageFormat::Json | MessageFormat::Github => self.data(&text),
            _ => self.note(text.trim_end_matches('\n')),
        }
    }

    /// How wide a table on stdout may be: as the terminal is, or as COLUMNS says; `None` where nothing limits it.
    pub fn table_width(&self) -> Option<usize> {
        let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let terminal = || console::Term::stdout().size_checked().map(|(_, width)| usize::from(width));
        set.or_else(|| std::io::stdout().is_terminal().then(terminal).flatten()).filter(|width| *width > 0)
    }

    /// The signs that tables and pictures are drawn with.
    pub fn style(&self) -> Style {
        if self.unicode { Style::Unicode } else { Style::Ascii }
    }

    /// How many errors and warnings there were, and how to read on.
    pub fn summary(&self, diagnostics: &[Diagnostic]) {
        let human = matches!(self.format, MessageFormat::Human | MessageFormat::Short);
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
        let first = diagnostics.iter().find(is_error).or(diagnostics.first());
        if let (true, Some(first)) = (human, first) {
            self.note(&format!("{}; `reftc explain {}` tells more", summary(diagnostics), first.code.as_str()));
        }
    }

    /// That there was nothing to find; tools know it by the silence.
    pub fn praise(&self, text: &str) {
        if self.format == MessageFormat::Human {
            self.note(text);
        }
    }

    /// Asks a question that is answered by yes or no, and no otherwise; `None` where nobody is there to answer.
    pub fn ask(&self, question: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// An error that ends the command.
    pub fn failure(&self, diagnostic: &Diagnostic, sources: &Sources) {
        let one = std::slice::from_ref(diagnostic);
        self.findings(one, sources);
        self.summary(one);
    }

    /// Wrong usage of the command line.
    pub fn usage_error(&self, message: &str, help: &str) {
        self.note(&format!("error: {message}\n\n  help: {help}"));
    }
}

/// 1 where there are errors, 0 otherwise.
pub fn exit_code(diagnostics: &[Diagnostic]) -> ExitCode {
    let errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    if errors { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
