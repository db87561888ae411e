//! The comments that are not printed yet.

use crate::source::Span;
use crate::syntax::parse::first_on_line;
use crate::syntax::tree::{Comment, File};
use std::ops::Range;

/// All comments of a file in order; each is taken once.
pub(super) struct Comments<'t> {
    text: &'t str,
    all: &'t [Comment],
    taken: usize,
}

/// A comment and how it stood.
pub(super) struct Taken<'t> {
    pub text: &'t str,
    pub start: usize,
    /// Whether other text stood before it on its line.
    pub trailing: bool,
}

impl<'t> Comments<'t> {
    pub fn new(file: &'t File, text: &'t str) -> Self {
        Self { text, all: &file.comments, taken: 0 }
    }

    /// Takes the next comment if it begins before `until`.
    pub fn next_before(&mut self, until: usize) -> Option<Taken<'t>> {
        let comment = self.all.get(self.taken)?;
        let start = comment.span.start as usize;
        if start >= until {
            return None;
        }
        self.taken += 1;
        Some(Taken { text: &comment.text, start, trailing: !first_on_line(self.text, start) })
    }

    /// Whether a comment that is not taken yet lies in a span.
    pub fn any_in(&self, span: Span) -> bool {
        self.starts_in(span.range()).next().is_some()
    }

    /// Whether a comment on a line of its own lies in a range.
    pub fn own_line_in(&self, range: Range<usize>) -> bool {
        self.starts_in(range).any(|start| first_on_line(self.text, start))
    }

    /// Where the comments in a range begin that are not taken yet.
    pub fn starts_in(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let first = self.all.partition_point(|comment| (comment.span.start as usize) < range.start);
        self.all[first.max(self.taken)..]
            .iter()
            .map(|comment| comment.span.start as usize)
            .take_while(move |start| *start < range.end)
    }
}
