//! Experiments with what they inherit: one block, in which each entry comes from where it was last set.

use super::Checker;
use super::scope::{Declared, unknown_name};
use crate::diag::{Code, Diagnostic, suggest};
use crate::intervention::Kind;
use crate::source::Span;
use crate::syntax::tree::{Block, Entry, Expr, ExprKind, Ident, Path, Remove, Section};

/// An experiment with what it inherits.
pub struct Whole {
    /// The entries of all levels; each keeps the place that it was written at.
    pub body: Block,
    overrides: Vec<Override>,
}

/// One entry that takes the place of another.
struct Override {
    by: Span,
    of: Span,
    /// What the other belongs to.
    owner: String,
}

/// One experiment of a line of inheritance.
#[derive(Clone, Copy)]
struct Level<'a> {
    name: &'a Ident,
    /// What it extends, as written.
    parent: Option<&'a Path>,
    body: &'a Block,
}

/// The entries of the levels so far, on which the next one is laid.
struct Levels {
    entries: Vec<Slot>,
    overrides: Vec<Override>,
    /// Names of the interventions that are being expanded.
    expanding: Vec<Ident>,
}

/// An entry, and the level that it was last set at.
struct Slot {
    entry: Option<Entry>,
    owner: String,
    /// Whether the level at hand may still set it.
    inherited: bool,
}

impl<'a> Checker<'a> {
    /// The experiment with what it inherits; `None` where a parent is not found or inherits from itself, which is reported.
    pub(super) fn whole(&mut self, name: &'a Ident, parent: Option<&'a Path>, body: &'a Block) -> Option<Whole> {
        let line = self.line(Level { name, parent, body })?;
        let mut levels = Levels { entries: Vec::new(), overrides: Vec::new(), expanding: Vec::new() };
        for level in line.iter().rev() {
            self.lay(&mut levels, level);
        }
        let entries = levels.entries.into_iter().filter_map(|slot| slot.entry).collect();
        Some(Whole { body: Block { entries, span: body.span }, overrides: levels.overrides })
    }

    /// The experiment and those that it extends, the eldest last.
    fn line(&mut self, own: Level<'a>) -> Option<Vec<Level<'a>>> {
        let mut line = vec![own];
        while let Some((child, path)) = line.last().and_then(|level| Some((*level, level.parent?))) {
            let found = match self.scope.resolve(path) {
                Some((entry, [])) => entry,
                _ if self.scope.is_lost(path) => return None,
                _ => {
                    let names = self.scope.names(path.span, |declared| matches!(declared, Declared::Experiment { .. }));
                    let names: Vec<&str> = names.into_iter().filter(|name| *name != child.name.text).collect();
                    let written = Ident { text: path.text(), span: path.span };
                    self.sink.push(unknown_name(&written, "experiment", &names, "`experiment NAME { … }`"));
                    return None;
                }
            };
            let Declared::Experiment { parent, body, .. } = found.declared else {
                self.sink.push(
                    Diagnostic::at(
                        Code::WrongKindOfName,
                        path.span,
                        format!("`{}` is {}, not an experiment", path.text(), found.declared.description()),
                        "an experiment is wanted here",
                    )
                    .label(found.name.span, "declared here")
                    .help("name the experiment that this one varies"),
                );
                return None;
            };
            if let Some(first) = line.iter().position(|level| level.name.span == found.name.span) {
                self.extends_itself(line.get(first..).unwrap_or_default());
                return None;
            }
            line.push(Level { name: found.name, parent, body });
        }
        Some(line)
    }

    /// A cycle of experiments, told once from its first declaration.
    fn extends_itself(&mut self, cycle: &[Level<'_>]) {
        let first = cycle.iter().enumerate().min_by_key(|(_, level)| level.name.span).map_or(0, |(at, _)| at);
        let turned: Vec<&Level<'_>> = cycle.iter().cycle().skip(first).take(cycle.len()).collect();
        let names: Vec<String> =
            turned.iter().chain(turned.first()).map(|level| format!("`{}`", level.name.text)).collect();
        let start = names.first().cloned().unwrap_or_default();
        let mut diagnostic =
            Diagnostic::new(Code::CyclicDefinition, format!("{start} extends itself: {}", names.join(" → ")));
        for level in turned {
            if let Some(parent) = level.parent {
                diagnostic = diagnostic.label(parent.span, format!("`{}` extends this", level.name.text));
            }
        }
        self.sink.push(diagnostic.help("write one of them out, without `extends`"));
    }

    /// Lays the entries of one level over those that it inherits.
    fn lay(&mut self, levels: &mut Levels, level: &Level<'_>) {
        levels.entries.iter_mut().for_each(|slot| slot.inherited = true);
        for entry in &level.body.entries {
            match entry {
                Entry::Field(field) => {
                    let name = field.name.text();
                    let same = |other: &Entry| matches!(other, Entry::Field(other) if other.name.text() == name);
                    levels.set(&level.name.text, entry.clone(), same);
                }
                Entry::Section(section) => {
                    if let Some(diagnostic) = levels.changes_nothing(section) {
                        self.mention(section.span);
                        self.sink.push(diagnostic);
                        levels.push(&level.name.text, Entry::Bad(Span { end: section.span.start, ..section.span }));
                        continue;
                    }
                    let section = self.expanded(levels, section);
                    levels.section(&level.name.text, section);
                }
                Entry::Remove(remove) => self.remove(levels, remove),
                // What is allowed depends on places, not on values.
                Entry::Allow(_) => {}
                Entry::Comparison(_) | Entry::Bad(_) => levels.push(&level.name.text, entry.clone()),
            }
        }
    }

    fn remove(&mut self, levels: &mut Levels, remove: &Remove) {
        let keyword = &remove.keyword.text;
        match levels.inherited(|entry| name_of(entry, keyword) == Some(&remove.name.text)) {
            Some(at) => levels.entries[at].entry = None,
            None => {
                let names = levels.names(keyword);
                self.sink.push(nothing_inherited(keyword, &remove.name, remove.span, &names));
            }
        }
    }

    /// A section whose value names an intervention becomes what that says, under the fields of the section itself.
    fn expanded(&mut self, levels: &mut Levels, section: &Section) -> Section {
        let Some(Expr { kind: ExprKind::Word(path), .. }) = &section.value else { return section.clone() };
        if section.keyword.text != "intervene" || Kind::find(&path.text()).is_some() {
            return section.clone();
        }
        let Some((entry, [])) = self.scope.resolve(path) else { return section.clone() };
        let Declared::Intervention { value, body } = entry.declared else { return section.clone() };
        if levels.expanding.iter().any(|name| name.span == entry.name.span) {
            let names: Vec<String> =
                levels.expanding.iter().chain([entry.name]).map(|name| format!("`{}`", name.text)).collect();
            self.sink.push(
                Diagnostic::at(
                    Code::CyclicDefinition,
                    path.span,
                    format!("`{}` is defined by itself: {}", entry.name.text, names.join(" → ")),
                    "leads back",
                )
                .help("give one of them a kind, such as `loreft`"),
            );
            let lost = Expr { kind: ExprKind::Bad, span: path.span };
            return Section { value: Some(lost), ..section.clone() };
        }
        let empty = Block { entries: Vec::new(), span: value.span };
        let declared = Section {
            doc: String::new(),
            keyword: section.keyword.clone(),
            name: section.name.clone(),
            value: Some(value.clone()),
            body: body.cloned().unwrap_or(empty),
            span: entry.name.span,
        };
        levels.expanding.push(entry.name.clone());
        let declared = self.expanded(levels, &declared);
        levels.expanding.pop();
        let value = declared.value.clone();
        Section { value, ..levels.merged(&entry.name.text, &declared, section) }
    }

    /// Tells of every finding from number `first` on that is about an inherited or an overriding entry where the other
    /// place is.
    pub(super) fn label_origins(&mut self, first: usize, whole: &Whole, name: &Ident, parent: Option<&Path>) {
        for at in first..self.sink.len() {
            let Some(place) = self.sink.place(at) else { continue };
            let within = |outer: Span| outer.contains(place);
            let over =
                whole.overrides.iter().filter(|over| within(over.by)).min_by_key(|over| over.by.end - over.by.start);
            if let Some(over) = over {
                self.sink.label_one(at, over.of, &format!("takes the place of what `{}` says here", over.owner));
            }
            if let Some(parent) = parent
                && !within(whole.body.span)
                && !within(name.span)
                && whole.body.entries.iter().any(|entry| within(entry.span()))
            {
                self.sink.label_one(at, parent.span, &format!("`{}` inherits it here", name.text));
            }
        }
    }
}

impl Levels {
    /// The inherited entry of that sort which this level has not set yet.
    fn inherited(&self, same: impl Fn(&Entry) -> bool) -> Option<usize> {
        self.entries.iter().position(|slot| slot.inherited && slot.entry.as_ref().is_some_and(&same))
    }

    /// The names of the inherited blocks of that sort.
    fn names(&self, keyword: &str) -> Vec<&str> {
        let inherited = self.entries.iter().filter(|slot| slot.inherited).filter_map(|slot| slot.entry.as_ref());
        inherited.filter_map(|entry| name_of(entry, keyword)).map(String::as_str).collect()
    }

    /// The error of an `intervene` without a kind where there is none to override.
    fn changes_nothing(&self, section: &Section) -> Option<Diagnostic> {
        let name = section.name.as_ref().filter(|_| section.keyword.text == "intervene" && section.value.is_none())?;
        let there = |slot: &Slot| slot.entry.as_ref().and_then(|entry| name_of(entry, "intervene")) == Some(&name.text);
        // A kind is a slip of its own: the name is missing.
        let found = Kind::find(&name.text).is_some() || self.entries.iter().any(there);
        (!found).then(|| nothing_inherited("intervene", name, name.span, &self.names("intervene")))
    }

    fn push(&mut self, owner: &str, entry: Entry) {
        self.entries.push(Slot { entry: Some(entry), owner: owner.to_owned(), inherited: false });
    }

    /// Puts an entry in the place of the inherited one, or after all others.
    fn set(&mut self, owner: &str, entry: Entry, same: impl Fn(&Entry) -> bool) {
        let Some(at) = self.inherited(same) else { return self.push(owner, entry) };
        let slot = &mut self.entries[at];
        if let Some(earlier) = &slot.entry {
            self.overrides.push(Override { by: entry.span(), of: earlier.span(), owner: slot.owner.clone() });
        }
        *slot = Slot { entry: Some(entry), owner: owner.to_owned(), inherited: false };
    }

    /// A block: one with a kind, `sweep` and `expect` replace the inherited one, others override its fields.
    fn section(&mut self, owner: &str, section: Section) {
        let name = section.name.as_ref().map(|name| name.text.clone());
        let keyword = section.keyword.text.clone();
        let same = |entry: &Entry| {
            matches!(entry, Entry::Section(other)
                if other.keyword.text == keyword && other.name.as_ref().map(|name| &name.text) == name.as_ref())
        };
        let replaces = section.value.is_some() || matches!(keyword.as_str(), "sweep" | "expect");
        let inherited = self.inherited(same);
        match inherited.and_then(|at| Some((at, self.entries[at].entry.clone()?))) {
            Some((at, Entry::Section(base))) if !replaces => {
                let base_owner = self.entries[at].owner.clone();
                let merged = self.merged(&base_owner, &base, &section);
                self.entries[at] =
                    Slot { entry: Some(Entry::Section(merged)), owner: owner.to_owned(), inherited: false };
            }
            _ => self.set(owner, Entry::Section(section), same),
        }
    }

    /// The fields of `base`, but for those that `section` sets.
    fn merged(&mut self, base_owner: &str, base: &Section, section: &Section) -> Section {
        let mut entries = base.body.entries.clone();
        let inherited = entries.len();
        let mut set = vec![false; inherited];
        for entry in &section.body.entries {
            let same = |other: &Entry| match (other, entry) {
                (Entry::Field(other), Entry::Field(field)) => other.name.text() == field.name.text(),
                _ => false,
            };
            match entries.iter().take(inherited).position(same) {
                Some(at) if !set[at] => {
                    set[at] = true;
                    let over = Override { by: entry.span(), of: entries[at].span(), owner: base_owner.to_owned() };
                    self.overrides.push(over);
                    entries[at] = entry.clone();
                }
                _ => entries.push(entry.clone()),
            }
        }
        let body = Block { entries, span: section.body.span };
        Section { value: section.value.clone().or_else(|| base.value.clone()), body, ..section.clone() }
    }
}

/// A block that overrides or removes what is not inherited.
pub fn nothing_inherited(keyword: &str, name: &Ident, place: Span, inherited: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::at(
        Code::NothingInherited,
        place,
        format!("no `{keyword}` named `{}` is inherited", name.text),
        "there is nothing to change",
    );
    match suggest::near(&name.text, inherited.iter().copied()).as_slice() {
        [only, ..] => diagnostic.help(format!("did you mean `{only}`?")).fix(name.span, *only),
        [] if inherited.is_empty() => diagnostic.help(match keyword {
            "intervene" => "write the kind to define it: `intervene NAME = loreft { … }`",
            _ => "only an experiment with `extends` inherits blocks",
        }),
        [] => diagnostic.help(format!("inherited are {}", suggest::list(inherited))),
    }
}

/// The name of a block of that sort.
fn name_of<'t>(entry: &'t Entry, keyword: &str) -> Option<&'t String> {
    match entry {
        Entry::Section(section) if section.keyword.text == keyword => section.name.as_ref().map(|name| &name.text),
        _ => None,
    }
}
