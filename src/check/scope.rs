//! Names: what each file declares, where, and what was used. A name is looked up in the file that it is written in.

use super::modules::{Module, Modules};
use super::types::Type;
use crate::diag::{Code, Diagnostic, Sink, suggest};
use crate::source::{FileId, Sources, Span};
use crate::syntax::tree::{Block, Expr, Ident, Item, ItemKind, Path};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What a name stands for.
#[derive(Clone, Copy)]
pub enum Declared<'a> {
    Let {
        type_name: Option<&'a Ident>,
        value: &'a Expr,
    },
    Model {
        value: &'a Expr,
        body: Option<&'a Block>,
    },
    Data {
        body: &'a Block,
    },
    Intervention {
        value: &'a Expr,
        body: Option<&'a Block>,
    },
    Experiment {
        parent: Option<&'a Path>,
        body: &'a Block,
        doc: &'a str,
    },
    /// A file, by `use`; `None` for one that could not be read.
    File(Option<FileId>),
}

impl Declared<'_> {
    /// Whether a field of that type takes this name.
    pub fn serves(self, holds: Type) -> bool {
        match self {
            Declared::Model { .. } => holds == Type::Model,
            Declared::Data { .. } => holds == Type::Data,
            Declared::Intervention { .. } => holds == Type::Kind,
            Declared::Let { .. } | Declared::Experiment { .. } | Declared::File(_) => false,
        }
    }

    /// `a model`, for messages.
    pub fn description(self) -> &'static str {
        match self {
            Declared::Let { .. } => "a `let`",
            Declared::Model { .. } => "a model",
            Declared::Data { .. } => "data",
            Declared::Intervention { .. } => "an intervention",
            Declared::Experiment { .. } => "an experiment",
            Declared::File(_) => "a file",
        }
    }
}

/// One declaration.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a Ident,
    pub declared: Declared<'a>,
}

/// The names of one file.
struct Names<'a> {
    file: FileId,
    entries: Vec<Entry<'a>>,
    by_name: BTreeMap<&'a str, usize>,
    /// `ns.name` for each name of the files that it uses.
    imported: Vec<(String, Entry<'a>)>,
}

/// The names of a spec and of all files that it uses.
pub struct Scope<'a> {
    /// The spec's own come first.
    files: Vec<Names<'a>>,
    sources: &'a Sources,
    /// The names that were used, by the places of their declarations.
    used: RefCell<BTreeSet<Span>>,
}

impl<'a> Scope<'a> {
    /// Collects the declarations of all files; reports names that are declared twice.
    pub fn collect(modules: &'a Modules, sources: &'a Sources, sink: &mut Sink) -> Self {
        let mut passed_over = Vec::new();
        let mut files: Vec<Names<'a>> =
            modules.all().iter().map(|module| Names::collect(module, &mut passed_over, sink)).collect();
        for at in 0..files.len() {
            let Some(uses) = files.get(at).map(|names| names.entries.clone()) else { continue };
            let mut imported = Vec::new();
            for entry in uses {
                let Declared::File(used) = entry.declared else { continue };
                let theirs = files.iter().find(|names| Some(names.file) == used);
                let inner = theirs.into_iter().flat_map(|names| &names.entries);
                let inner = inner.filter(|inner| !matches!(inner.declared, Declared::File(_)));
                imported.extend(inner.map(|inner| (format!("{}.{}", entry.name.text, inner.name.text), *inner)));
            }
            if let Some(names) = files.get_mut(at) {
                names.imported = imported;
            }
        }
        let scope = Scope { files, sources, used: RefCell::default() };
        passed_over.into_iter().for_each(|span| scope.mention(span));
        scope
    }

    /// The names of the file that a place lies in; text from elsewhere, such as `--set`, is read as part of the spec.
    fn of(&self, file: FileId) -> Option<&Names<'a>> {
        self.files.iter().find(|names| names.file == file).or(self.files.first())
    }

    /// Counts every name that stands at that place as used: it is not evaluated, and what it meant is not known.
    pub fn mention(&self, span: Span) {
        let Some(names) = self.of(span.file) else { return };
        let words = self.sources.text(span).split(|c: char| !c.is_alphanumeric() && c != '_');
        let named = words.filter_map(|word| names.find(word)).map(|entry| entry.name.span);
        self.used.borrow_mut().extend(named);
    }

    /// Counts every name of one sort as used: a wrong name may have meant any of them.
    pub fn mention_all(&self, keep: impl Fn(Declared<'a>) -> bool) {
        let entries = self.files.iter().flat_map(|names| &names.entries);
        let spans = entries.filter(|entry| keep(entry.declared)).map(|entry| entry.name.span);
        self.used.borrow_mut().extend(spans);
    }

    /// Looks a single name up and remembers that it was used.
    pub fn find(&self, name: &Ident) -> Option<Entry<'a>> {
        let entry = self.of(name.span.file)?.find(&name.text)?;
        self.refer(entry);
        Some(entry)
    }

    /// What the first parts of a path name, and the parts that are left: `smol`, `ns.smol`, `sentiment` and `.test`.
    pub fn resolve<'p>(&self, path: &'p Path) -> Option<(Entry<'a>, &'p [Ident])> {
        let (first, rest) = path.segments.split_first()?;
        let entry = self.find(first)?;
        let (Declared::File(file), Some((second, rest))) = (entry.declared, rest.split_first()) else {
            return Some((entry, rest));
        };
        let inner = self.files.iter().find(|names| Some(names.file) == file)?.find(&second.text)?;
        self.refer(inner);
        Some((inner, rest))
    }

    /// Whether a path leads into a file that could not be read: what it names is not known then, and that was reported.
    pub fn is_lost(&self, path: &Path) -> bool {
        let first = path.segments.first().and_then(|first| self.find(first));
        first.is_some_and(|entry| matches!(entry.declared, Declared::File(None)))
    }

    /// The declaration whose name stands at that place.
    pub fn declared_at(&self, name: Span) -> Option<Entry<'a>> {
        let names = self.files.iter().find(|names| names.file == name.file)?;
        names.entries.iter().copied().find(|entry| entry.name.span == name)
    }

    fn refer(&self, entry: Entry<'_>) {
        self.used.borrow_mut().insert(entry.name.span);
    }

    /// The declarations of the spec itself, in written order.
    pub fn entries(&self) -> &[Entry<'a>] {
        self.files.first().map_or(&[], |names| &names.entries)
    }

    /// The declarations of all files, those of the spec first.
    pub fn all_entries(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        self.files.iter().flat_map(|names| names.entries.iter().copied())
    }

    /// The names of one sort that may be written at `place`, for near misses; names of used files come last.
    pub fn names(&self, place: Span, keep: impl Fn(Declared<'a>) -> bool) -> Vec<&str> {
        let Some(names) = self.of(place.file) else { return Vec::new() };
        let own = names.entries.iter().filter(|entry| keep(entry.declared)).map(|entry| entry.name.text.as_str());
        let imported = names.imported.iter().filter(|(_, entry)| keep(entry.declared)).map(|(name, _)| name.as_str());
        own.chain(imported).collect()
    }

    /// What the spec declares and nothing uses, in written order.
    pub fn unused(&self) -> Vec<Entry<'a>> {
        let used = self.used.borrow();
        let unused = |entry: &&Entry<'a>| {
            !matches!(entry.declared, Declared::Experiment { .. } | Declared::File(None))
                && !used.contains(&entry.name.span)
        };
        self.entries().iter().filter(unused).copied().collect()
    }
}

impl<'a> Names<'a> {
    fn collect(module: &'a Module, passed_over: &mut Vec<Span>, sink: &mut Sink) -> Self {
        let mut names = Names { file: module.id, entries: Vec::new(), by_name: BTreeMap::new(), imported: Vec::new() };
        for item in &module.tree.items {
            let Some((name, declared)) = declaration(item, module) else {
                // Text that is not evaluated, and may use names all the same.
                if matches!(item.kind, ItemKind::Bad) {
                    passed_over.push(item.span);
                }
                continue;
            };
            if let Some(first) = names.find(&name.text) {
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
            names.by_name.insert(&name.text, names.entries.len());
            names.entries.push(Entry { name, declared });
        }
        names
    }

    fn find(&self, name: &str) -> Option<Entry<'a>> {
        self.entries.get(*self.by_name.get(name)?).copied()
    }
}

/// What an item declares; `None` for an edition, and for what could not be read.
fn declaration<'a>(item: &'a Item, module: &'a Module) -> Option<(&'a Ident, Declared<'a>)> {
    Some(match &item.kind {
        ItemKind::Let { name, type_name, value } => (name, Declared::Let { type_name: type_name.as_ref(), value }),
        ItemKind::Model { name, value, body } => (name, Declared::Model { value, body: body.as_ref() }),
        ItemKind::Data { name, body } => (name, Declared::Data { body }),
        ItemKind::Intervention { name, value, body } => (name, Declared::Intervention { value, body: body.as_ref() }),
        ItemKind::Experiment { name, parent, body } => {
            (name, Declared::Experiment { parent: parent.as_ref(), body, doc: &item.doc })
        }
        ItemKind::Use { name, .. } => {
            let (_, file) = module.uses.iter().find(|(used, _)| used.span == name.span)?;
            (name, Declared::File(*file))
        }
        ItemKind::Edition { .. } | ItemKind::Allow(_) | ItemKind::Bad => return None,
    })
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
