//! Which paths there are in some runs, and which one a word means.

use super::fact::{OWN, is_promise};
use super::record::Record;
use crate::diag::{Code, Diagnostic, Result, suggest};
use crate::source::Span;
use std::collections::BTreeSet;

/// The paths of some runs.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// Those that are told and suggested.
    told: BTreeSet<String>,
    /// Fields under the names that specs give them, `data.reviews.train` for `data.train`.
    named: BTreeSet<String>,
    is_empty: bool,
}

impl Paths {
    /// Every path that one of these runs has.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut paths = Self { is_empty: true, ..Self::default() };
        paths.told.extend(OWN.map(str::to_owned));
        for record in records {
            paths.is_empty = false;
            let fields = |fields: &[crate::plan::Field]| -> Vec<String> {
                fields.iter().filter(|field| !is_promise(field)).map(|field| field.path.clone()).collect()
            };
            paths.told.extend(fields(&record.roles));
            paths.told.extend(record.measures());
            paths.named.extend(fields(&record.plan.fields));
        }
        paths
    }

    /// The path that is meant by a word at a place: itself, or the only one that ends so. Without any run every path may be meant.
    ///
    /// # Errors
    /// `E0516`, with the paths that come near.
    pub fn find(&self, word: &str, place: Span) -> Result<String> {
        if self.is_empty || self.told.contains(word) || self.named.contains(word) {
            return Ok(word.to_owned());
        }
        let label = "no run has this";
        match self.ending(word).as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => {
                let message = format!("there is no `{word}` in these runs");
                let ends = self.told.iter().filter_map(|path| path.rsplit('.').next());
                let near = suggest::near(word, self.told.iter().map(String::as_str).chain(ends));
                let help = match near.as_slice() {
                    [] => "`reftc runs --json` shows every path; the fields of the language are listed by `reftc describe`".to_owned(),
                    [only] => format!("did you mean `{only}`?"),
                    several => format!("did you mean one of {}?", suggest::list(several)),
                };
                Err(Box::new(Diagnostic::at(Code::UnknownPath, place, message, label).help(help)))
            }
            several => {
                let message = format!("`{word}` is the end of {} paths", several.len());
                let diagnostic = Diagnostic::at(Code::UnknownPath, place, message, "not clear which");
                Err(Box::new(diagnostic.help(format!("write {}", suggest::list(several)))))
            }
        }
    }

    /// The shortest end of a path that means it. Measures keep the name of their eval.
    pub fn short<'p>(&self, path: &'p str) -> &'p str {
        let least = if path.starts_with("eval.") { 1 } else { 0 };
        let dots: Vec<usize> = path.match_indices('.').map(|(at, _)| at).collect();
        let ends = dots.iter().rev().skip(least).map(|at| &path[at + 1..]);
        ends.into_iter().find(|end| self.ending(end).len() == 1 && !self.told.contains(*end)).unwrap_or(path)
    }

    fn ending(&self, word: &str) -> Vec<&str> {
        let ends = |path: &&String| path.strip_suffix(word).is_some_and(|before| before.ends_with('.'));
        self.told.iter().filter(ends).map(String::as_str).collect()
    }
}
