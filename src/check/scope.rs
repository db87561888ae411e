//! Names of a file: what is declared, where, and what was used.

use super::types::Type;
use crate::diag::{Code, Diagnostic, Sink, suggest};
use crate::source::Span;
use crate::syntax::tree::{Block, Expr, File, Ident, ItemKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What a name stands for.
#[derive(Clone, Copy)]
pub enum Declared<'a> {
    Let { type_name: Option<&'a Ident>, value: &'a Expr },
    Model { value: &'a Expr, body: Option<&'a Block> },
    Data { body: &'a Block },
    Experiment { body: &'a Block, doc: &'a str },
}

impl Declared<'_> {
    /// Whether a field of that type takes this name.
    pub fn serves(self, holds: Type) -> bool {
        match self {
            Declared::Model { .. } => holds == Type::Model,
            Declared::Data { .. } => holds == Type::Data,
            Declared::Let { .. } | Declared::Experiment { .. } => false,
        }
    }

    /// `a model`, for messages.
    pub fn description(self) -> &'static str {
        match self {
            Declared::Let { .. } => "a `let`",
            Declared::Model { .. } => "a model",
            Declared::Data { .. } => "data",
            Declared::Experiment { .. } => "an experiment",
        }
    }
}

/// One declaration.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a Ident,
    pub declared: Declared<'a>,
}

/// All names of one file.
pub struct Scope<'a> {
    entries: Vec<Entry<'a>>,
    by_name: BTreeMap<&'a str, usize>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Scope<'a> {
    /// Collects the declarations of a file; reports names that are declared twice and what comes in a later version.
    pub fn collect(file: &'a File, text: &str, sink: &mut Sink) -> Self {
        let mut scope = Scope { entries: Vec::new(), by_name: BTreeMap::new(), used: RefCell::default() };
        // Text that is not evaluated, and may use names all the same.
        let mut passed_over = Vec::new();
        for item in &file.items {
            let (name, declared) = match &item.kind {
                ItemKind::Let { name, type_name, value } => {
                    (name, Declared::Let { type_name: type_name.as_ref(), value })
                }
                ItemKind::Model { name, value, body } => (name, Declared::Model { value, body: body.as_ref() }),
                ItemKind::Data { name, body } => (name, Declared::Data { body }),
                ItemKind::Experiment { name, parent, body } => {
                    if let Some(parent) = parent {
                        sink.push(later(parent.span, "`extends`", "write the whole experiment out"));
                    }
                    (name, Declared::Experiment { body, doc: &item.doc })
                }
                ItemKind::Use { path, .. } => {
                    sink.push(later(path.span, "`use`", "copy the declarations into this file"));
                    continue;
                }
                ItemKind::Intervention { name, .. } => {
                    let help = "write it inside the experiment: `intervene NAME = loreft { … }`";
                    sink.push(later(name.span, "a named `intervention`", help));
                    passed_over.push(item.span);
                    continue;
                }
                ItemKind::Bad => {
                    passed_over.push(item.span);
                    continue;
                }
                ItemKind::Edition { .. } => continue,
            };
            if let Some(first) = scope.by_name.get(name.text.as_str()).and_then(|&at| scope.entries.get(at)) {
                sink.push(
                    Diagnostic::at(
                        Code::DuplicateName,
                        name.span,
                        format!("the name `{}` is declared twice", name.text),
                        "declared again here",
                    )
                    .label(first.name.span, "first declared here")
                    .help(format!("give one of them another name, such as `{}_2`", name.text)),
                );
                passed_over.push(item.span);
                continue;
            }
            scope.by_name.insert(&name.text, scope.entries.len());
            scope.entries.push(Entry { name, declared });
        }
        passed_over.into_iter().for_each(|span| scope.mention(text.get(span.range()).unwrap_or_default()));
        scope
    }

    /// Counts every name that stands in `text` as used.
    pub fn mention(&self, text: &str) {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let named = words.filter(|word| self.by_name.contains_key(word)).map(str::to_owned);
        self.used.borrow_mut().extend(named);
    }

    /// Counts every name of one sort as used: a wrong name may have meant any of them.
    pub fn mention_all(&self, keep: impl Fn(Declared<'a>) -> bool) {
        let names = self.names(keep).into_iter().map(str::to_owned);
        self.used.borrow_mut().extend(names);
    }

    /// Looks a name up and remembers that it was used.
    pub fn find(&self, name: &str) -> Option<Entry<'a>> {
        let entry = self.entries.get(*self.by_name.get(name)?)?;
        self.used.borrow_mut().insert(name.to_owned());
        Some(*entry)
    }

    /// All declarations in written order.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The names of one sort, for near misses.
    pub fn names(&self, keep: impl Fn(Declared<'a>) -> bool) -> Vec<&'a str> {
        self.entries.iter().filter(|entry| keep(entry.declared)).map(|entry| entry.name.text.as_str()).collect()
    }

    /// Warns about every `let`, model and data that nothing uses.
    pub fn report_unused(&self, sink: &mut Sink) {
        let used = self.used.borrow();
        for entry in &self.entries {
            if matches!(entry.declared, Declared::Experiment { .. }) || used.contains(&entry.name.text) {
                continue;
            }
            sink.push(
                Diagnostic::at(
                    Code::UnusedName,
                    entry.name.span,
                    format!("`{}` is never used", entry.name.text),
                    format!("{} that no experiment reaches", entry.declared.description()),
                )
                .help("remove it, or use it in an experiment"),
            );
        }
    }
}

/// What is part of the language but not of this version.
pub fn later(span: Span, what: &str, instead: &str) -> Diagnostic {
    Diagnostic::at(Code::LaterVersion, span, format!("{what} comes in a later version of reftc"), "not in this version")
        .help(instead)
}

/// A name that nothing declares.
pub fn unknown_name(name: &Ident, wanted: &str, candidates: &[&str], declare: &str) -> Diagnostic {
    let found = suggest::near(&name.text, candidates.iter().copied());
    let diagnostic = Diagnostic::at(
        Code::UnknownName,
        name.span,
        format!("there is no {wanted} named `{}`", name.text),
        "not declared in this file",
    );
    match found.as_slice() {
        [] if candidates.is_empty() => diagnostic.help(declare),
        [] => diagnostic.help(format!("write {}, or declare it: {declare}", suggest::list(candidates))),
        [only] => diagnostic
            .help(format!("did you mean `{only}`?"))
            .maybe_fix(name.span, suggest::slip_of(&name.text, candidates.iter().copied())),
        several => diagnostic.help(format!("did you mean one of {}?", suggest::list(several))),
    }
}
