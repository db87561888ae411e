//! Braces and brackets that were opened and not closed: one diagnostic for each place where closers are missing.

use super::chunk::shorten;
use crate::diag::{Code, Diagnostic, Sink};
use crate::source::Span;
use std::ops::Range;

/// What was opened and not closed.
#[derive(Default)]
pub struct Unclosed {
    openers: Vec<Opener>,
    suspects: Vec<Span>,
    quiet: Vec<Range<usize>>,
}

struct Opener {
    span: Span,
    closer: char,
    /// The byte after the last text inside.
    end: usize,
}

impl Unclosed {
    /// Notes that the bracket at `span` is not closed; what it holds ends at `end`.
    pub fn push(&mut self, text: &str, span: Span, end: usize) {
        let closer = match text.get(span.range()) {
            Some("{") => '}',
            Some("[") => ']',
            _ => ')',
        };
        self.openers.push(Opener { span, closer, end: text[..end].trim_end().len() });
    }

    /// Closers missing in `range` follow from an error that is reported already.
    pub fn silence(&mut self, range: Range<usize>) {
        self.quiet.push(range);
    }

    /// Whether closers are missing right before `at`.
    pub fn ends_before(&self, text: &str, at: usize) -> bool {
        let end = text[..at].trim_end().len();
        self.openers.iter().any(|opener| opener.end == end) || self.quiet.iter().any(|range| range.contains(&end))
    }

    /// Looks at a block that was closed: a `}` to the left of the line of its `{` may have been meant for another block.
    pub fn closed(&mut self, text: &str, opener: Span, closer: usize) {
        let line = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let indentation = |at: usize| text[line(at)..].chars().take_while(|c| *c == ' ' || *c == '\t').count();
        let first = text[line(closer)..closer].trim().is_empty();
        if first && indentation(closer) < indentation(opener.start as usize) {
            self.suspects.push(opener);
        }
    }

    /// Reports everything noted.
    pub fn report(&self, text: &str, sink: &mut Sink) {
        let silent = |end: usize| self.quiet.iter().any(|range| range.start <= end && end <= range.end);
        let mut openers: Vec<&Opener> = self.openers.iter().filter(|opener| !silent(opener.end)).collect();
        openers.sort_by_key(|opener| (opener.end, std::cmp::Reverse(opener.span.start)));
        for group in openers.chunk_by(|one, other| one.end == other.end) {
            sink.push(self.diagnostic(text, group));
        }
    }

    /// One diagnostic for openers, the innermost first, whose closers are missing at the same place.
    fn diagnostic(&self, text: &str, group: &[&Opener]) -> Diagnostic {
        let (file, end) = (group[0].span.file, group[0].end);
        let closers: Vec<String> = group.iter().map(|opener| opener.closer.to_string()).collect();
        let block = group.iter().all(|opener| opener.closer == '}');
        let next = end + (text[end..].len() - text[end..].trim_start().len());
        let word =
            text[next..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum::<usize>();
        let (place, label) = if next == text.len() {
            (Span::new(file, end, end), "the file ends here".to_owned())
        } else if block {
            (Span::new(file, next, next + word.max(1)), format!("expected `{}` before this", closers.join(" ")))
        } else {
            (Span::new(file, end, end), format!("expected `{}` here", closers.join("")))
        };
        let message = match group {
            [one] => format!("`{}` is never closed", head(text, one.span)),
            _ => format!("{} brackets are never closed", group.len()),
        };
        let mut diagnostic = Diagnostic::at(Code::UnclosedBlock, place, message, label);
        for opener in group {
            diagnostic = diagnostic.label(opener.span, format!("opened here, needs a `{}`", opener.closer));
        }
        let outermost = group.iter().map(|opener| opener.span.start).min().unwrap_or(0);
        let suspect =
            self.suspects.iter().find(|suspect| block && (outermost + 1..end as u32).contains(&suspect.start));
        if let Some(suspect) = suspect {
            diagnostic = diagnostic.label(*suspect, "perhaps this one: its `}` stands further left than its line");
        }
        let insertion = suspect.is_none().then(|| insertion(text, group));
        diagnostic.help(format!("write `{}`", closers.join(" "))).maybe_fix(Span::new(file, end, end), insertion)
    }
}

/// The opener and what stands before it: `train {`, `json(`, `[`.
fn head(text: &str, opener: Span) -> String {
    let before = &text[..opener.start as usize];
    let bracket = &text[opener.range()];
    let line = before.rsplit(['\n', '{', '}', ';']).next().unwrap_or("").trim_start();
    match bracket {
        "{" => shorten(&format!("{line}{bracket}")),
        _ => {
            let word = line.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
            format!("{word}{bracket}")
        }
    }
}

/// The closers as they are inserted: those of blocks on lines of their own, under the line that they close.
fn insertion(text: &str, group: &[&Opener]) -> String {
    let mut inserted = String::new();
    for opener in group {
        let start = opener.span.start as usize;
        let line = &text[text[..start].rfind('\n').map_or(0, |newline| newline + 1)..];
        let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        if opener.closer == '}' {
            inserted.push('\n');
            inserted.push_str(indentation);
        }
        inserted.push(opener.closer);
    }
    inserted
}
