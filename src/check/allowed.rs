//! `allow(…)`: the warnings that a spec means, and where.

use super::modules::Modules;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Span;
use crate::syntax::tree::{Allow, Block, Entry, Ident, ItemKind};

/// Every `allow` of a spec and the files that it uses.
pub struct Allowed {
    /// A warning, and the declaration, section or file in which it is allowed.
    places: Vec<(Code, Span)>,
}

impl Allowed {
    /// Reads them; names that are no warnings, and those that stand twice in one block, are reported.
    pub fn read(modules: &Modules, found: &mut Vec<Diagnostic>) -> Self {
        let mut places = Vec::new();
        for module in modules.all() {
            let mut own = Group { place: module.tree.span, names: Vec::new() };
            let mut groups = Vec::new();
            for item in &module.tree.items {
                match &item.kind {
                    ItemKind::Allow(allow) => own.names.extend(&allow.names),
                    ItemKind::Model { body: Some(body), .. }
                    | ItemKind::Intervention { body: Some(body), .. }
                    | ItemKind::Data { body, .. }
                    | ItemKind::Experiment { body, .. } => collect(body, item.span, &mut groups),
                    _ => {}
                }
            }
            groups.push(own);
            for group in &groups {
                places.extend(group.codes(found).into_iter().map(|code| (code, group.place)));
            }
        }
        Self { places }
    }

    /// Whether the main place of a warning lies where it is allowed.
    pub fn covers(&self, diagnostic: &Diagnostic) -> bool {
        let Some(place) = diagnostic.span() else { return false };
        self.places.iter().any(|(code, outer)| *code == diagnostic.code && outer.contains(place))
    }
}

/// The names that are allowed at one place.
struct Group<'t> {
    place: Span,
    names: Vec<&'t Ident>,
}

/// The names of a block that belongs to `place`, and of the blocks in it.
fn collect<'t>(body: &'t Block, place: Span, groups: &mut Vec<Group<'t>>) {
    let allows = body.entries.iter().filter_map(|entry| match entry {
        Entry::Allow(Allow { names, .. }) => Some(names),
        _ => None,
    });
    groups.push(Group { place, names: allows.flatten().collect() });
    for entry in &body.entries {
        if let Entry::Section(section) = entry {
            collect(&section.body, section.span, groups);
        }
    }
}

impl Group<'_> {
    fn codes(&self, found: &mut Vec<Diagnostic>) -> Vec<Code> {
        let mut codes: Vec<(Code, Span)> = Vec::new();
        for name in &self.names {
            let Some(code) = Code::lint(&name.text) else {
                found.push(no_warning(name));
                continue;
            };
            match codes.iter().find(|(known, _)| *known == code) {
                Some((_, first)) => found.push(
                    Diagnostic::at(
                        Code::DuplicateField,
                        name.span,
                        format!("`{}` is allowed twice in one place", name.text),
                        "allowed again here",
                    )
                    .label(*first, "first allowed here")
                    .help("remove one of them"),
                ),
                None => codes.push((code, name.span)),
            }
        }
        codes.into_iter().map(|(code, _)| code).collect()
    }
}

/// A name in an `allow` that is not the name of a warning.
fn no_warning(name: &Ident) -> Diagnostic {
    let text = &name.text;
    let written = text.replace('_', "-").to_lowercase();
    let meant = Code::lint(&written).or_else(|| Code::lints().find(|code| code.as_str().eq_ignore_ascii_case(text)));
    if let Some(meant) = meant {
        let label = if text.contains('_') { "written with `_`" } else { "not as it is written" };
        let message = format!("a warning is allowed by its name, `{}`", meant.name());
        return Diagnostic::at(Code::UnknownWord, name.span, message, label)
            .help(format!("write `allow({})`", meant.name()))
            .fix(name.span, meant.name());
    }
    if let Some(error) = Code::find(&written).or_else(|| Code::find(text)) {
        return Diagnostic::at(
            Code::UnknownWord,
            name.span,
            format!("`{text}` is an error, and only warnings can be allowed"),
            format!("{}, {}", error.as_str(), error.name()),
        )
        .help(format!("mend what it tells of; see `reftc explain {}`", error.as_str()));
    }
    let names = || Code::lints().map(Code::name);
    let diagnostic =
        Diagnostic::at(Code::UnknownWord, name.span, format!("there is no warning `{text}`"), "unknown warning");
    match suggest::near(&written, names()).as_slice() {
        [] if matches!(written.as_str(), "warnings" | "all") => {
            diagnostic.help("name each warning that is meant, such as `trailing-space`")
        }
        [] => diagnostic.help(
            "`reftc explain` lists all codes and their names; those of warnings begin with W, those of advice with A",
        ),
        [only] => {
            diagnostic.help(format!("did you mean `{only}`?")).maybe_fix(name.span, suggest::slip_of(&written, names()))
        }
        several => diagnostic.help(format!("did you mean one of {}?", suggest::list(several))),
    }
}
