//! Paths such as `train.lr` and `intervene.edit.rank`: what they lead to in the block of an experiment, and setting it.

use super::Checker;
use super::schema::{self, Fallback};
use super::types::Type;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Span;
use crate::syntax::tree::{Block, Entry, Expr, Field, Ident, Path, Section};

/// What a path leads to.
pub struct Place {
    /// The block: `train`, or `intervene` and its name; `None` for the experiment's own fields.
    block: Option<(&'static str, Option<String>)>,
    /// The field; `None` for the kind of an intervention.
    field: Option<&'static str>,
    pub holds: Type,
}

impl Checker<'_> {
    /// What a path leads to in that block; reports one that leads nowhere.
    pub(super) fn place(&mut self, body: &Block, path: &Path) -> Option<Place> {
        let places = places(body);
        let text = path.text();
        if let Some(at) = places.iter().position(|(name, _)| *name == text) {
            return places.into_iter().nth(at).map(|(_, place)| place);
        }
        let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
        let diagnostic = Diagnostic::at(
            Code::UnknownField,
            path.span,
            format!("`{text}` leads to no field of this experiment"),
            "unknown path",
        );
        if let Some(meant) = meant(path, &text, &names) {
            self.sink.push(diagnostic.help(format!("write `{meant}`")).fix(path.span, meant));
            return None;
        }
        self.sink.push(match suggest::near(&text, names.iter().copied()).as_slice() {
            [only, ..] => {
                let slip = suggest::slip_of(&text, names.iter().copied());
                diagnostic.help(format!("did you mean `{only}`?")).maybe_fix(path.span, slip)
            }
            [] => diagnostic.help("write for example `train.lr`, `intervene.NAME.rank`, `eval.NAME.decode` or `seed`"),
        });
        None
    }
}

impl Place {
    /// Sets the field to a value that was written at `span`.
    pub fn set(&self, body: &mut Block, path: &Path, value: Expr, span: Span) {
        match &self.block {
            None => put(body, self.field, path, value, span),
            Some((keyword, name)) => {
                let found = body.entries.iter_mut().find_map(|entry| match entry {
                    Entry::Section(section) if is(section, keyword, name.as_deref()) => Some(section),
                    _ => None,
                });
                match (found, self.field) {
                    (Some(section), None) => section.value = Some(value),
                    (Some(section), field) => put(&mut section.body, field, path, value, span),
                    (None, field) => {
                        let keyword = Ident { text: (*keyword).to_owned(), span };
                        let mut inner = Block { entries: Vec::new(), span };
                        put(&mut inner, field, path, value, span);
                        let section =
                            Section { doc: String::new(), keyword, name: None, value: None, body: inner, span };
                        body.entries.push(Entry::Section(section));
                    }
                }
            }
        }
    }
}

/// Puts a field in the place of one of that name, or adds it.
fn put(body: &mut Block, field: Option<&'static str>, path: &Path, value: Expr, span: Span) {
    let (Some(field), Some(last)) = (field, path.segments.last()) else { return };
    let name = Path { segments: vec![Ident { text: field.to_owned(), span: last.span }], span: last.span };
    let entry = Entry::Field(Field { doc: String::new(), name, value, span });
    let same = |entry: &Entry| matches!(entry, Entry::Field(other) if other.name.text() == field);
    match body.entries.iter().position(same) {
        Some(at) => body.entries[at] = entry,
        None => body.entries.push(entry),
    }
}

fn is(section: &Section, keyword: &str, name: Option<&str>) -> bool {
    section.keyword.text == keyword && section.name.as_ref().map(|name| name.text.as_str()) == name
}

/// The path that is meant by a field without its block, by a block alone, or by a name that other tools give a field.
fn meant(path: &Path, text: &str, names: &[&str]) -> Option<String> {
    let kind = format!("{text}.kind");
    if names.contains(&kind.as_str()) {
        return Some(kind);
    }
    let last = path.segments.last()?.text.as_str();
    let known = |name: &&&str| {
        let (block, field) = name.rsplit_once('.').unwrap_or(("experiment", name));
        let block = schema::block(block.split('.').next().unwrap_or_default());
        let same =
            field == last || block.is_some_and(|block| block.known_as(last).is_some_and(|known| known.name == field));
        let inside = path
            .segments
            .split_last()
            .is_none_or(|(_, outer)| outer.iter().zip(name.split('.')).all(|(written, name)| written.text == name));
        same && inside
    };
    match names.iter().filter(known).collect::<Vec<_>>().as_slice() {
        [only] => Some((**only).to_owned()),
        _ => None,
    }
}

/// Every path of an experiment, as it may be written.
fn places(body: &Block) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    let mut add = |block: &'static str, prefix: &str, name: Option<(&'static str, Option<String>)>| {
        let fields = schema::block(block).into_iter().flat_map(|block| block.fields);
        found.extend(fields.filter(|field| field.default != Fallback::Later).map(|field| {
            let place = Place { block: name.clone(), field: Some(field.name), holds: field.holds };
            (format!("{prefix}{}", field.name), place)
        }));
        if block == "intervene" {
            found.push((format!("{prefix}kind"), Place { block: name, field: None, holds: Type::Kind }));
        }
    };
    add("experiment", "", None);
    add("train", "train.", Some(("train", None)));
    for entry in &body.entries {
        let Entry::Section(Section { keyword, name: Some(name), .. }) = entry else { continue };
        for block in ["intervene", "eval"] {
            if keyword.text == block {
                add(block, &format!("{block}.{}.", name.text), Some((block, Some(name.text.clone()))));
            }
        }
    }
    found
}
