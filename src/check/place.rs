//! Paths such as `train.lr`, `intervene.edit.rank` and `data.prompt`: what they lead to from an experiment, and setting it.

use super::Checker;
use super::changes::{DataNames, set};
use super::schema::{self, Fallback};
use super::sweep::SweptPoint;
use super::types::Type;
use crate::diag::{Code, Diagnostic, suggest};
use crate::source::Span;
use crate::syntax::tree::{Block, Entry, Expr, Field, Ident, Path, Section};

/// What a path leads to.
pub struct Place {
    owner: Owner,
    /// The field; `None` for the kind of an intervention.
    field: Option<&'static str>,
    pub holds: Type,
}

/// What the field belongs to.
#[derive(Clone)]
enum Owner {
    Experiment,
    /// A block of the experiment, such as `intervene` and its name.
    Section(&'static str, Option<String>),
    Model,
    /// Data, by the places where their names are declared.
    Data(Vec<Span>),
}

impl Checker<'_> {
    /// What a path leads to from an experiment of that block, with such data; reports one that leads nowhere.
    pub(super) fn place(&mut self, body: &Block, data: &DataNames, path: &Path) -> Option<Place> {
        let places = places(body, data);
        let text = path.text();
        if let Some(at) = places.iter().position(|(name, _)| *name == text) {
            return places.into_iter().nth(at).map(|(_, place)| place);
        }
        if let Some(field) = text.strip_prefix("data.").filter(|_| data.together)
            && schema::block("data").is_some_and(|block| block.field(field).is_some())
        {
            self.sink.push(of_which_data(path, field, data));
            return None;
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
            [] => diagnostic.help(
                "write for example `train.lr`, `intervene.NAME.rank`, `eval.NAME.decode`, `data.prompt`, `model.dtype` or `seed`",
            ),
        });
        None
    }
}

/// A field of data where an experiment has several.
fn of_which_data(path: &Path, field: &str, data: &DataNames) -> Diagnostic {
    let names: Vec<String> = data.names.iter().map(|name| format!("data.{}.{field}", name.text)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Diagnostic::at(
        Code::UnknownField,
        path.span,
        format!("this experiment has several data, and `data.{field}` does not say of which"),
        "of which data is not clear",
    )
    .help(format!("write {}", suggest::list(&names)))
}

impl Place {
    /// Sets the field, at one point, to a value that was written at `span`.
    pub fn set(&self, point: &mut SweptPoint, path: &Path, value: Expr, span: Span) {
        let (body, changes) = (&mut point.body, &mut point.changes);
        let Some(field) = self.field.and_then(|name| field(name, path, value.clone(), span)) else {
            if let Owner::Section(keyword, name) = &self.owner
                && let Some(section) = section(body, keyword, name.as_deref())
            {
                section.value = Some(value);
            }
            return;
        };
        match &self.owner {
            Owner::Experiment => set(body, field),
            Owner::Model => changes.model.push(field),
            Owner::Data(names) => changes.data.extend(names.iter().map(|name| (*name, field.clone()))),
            Owner::Section(keyword, name) => match section(body, keyword, name.as_deref()) {
                Some(section) => set(&mut section.body, field),
                None => {
                    let keyword = Ident { text: (*keyword).to_owned(), span };
                    let inner = Block { entries: vec![Entry::Field(field)], span };
                    let section = Section { doc: String::new(), keyword, name: None, value: None, body: inner, span };
                    body.entries.push(Entry::Section(section));
                }
            },
        }
    }
}

/// A field as if it were written where the path is.
fn field(name: &str, path: &Path, value: Expr, span: Span) -> Option<Field> {
    let last = path.segments.last()?;
    let name = Path { segments: vec![Ident { text: name.to_owned(), span: last.span }], span: last.span };
    Some(Field { doc: String::new(), name, value, span })
}

fn section<'b>(body: &'b mut Block, keyword: &str, name: Option<&str>) -> Option<&'b mut Section> {
    body.entries.iter_mut().find_map(|entry| match entry {
        Entry::Section(section)
            if section.keyword.text == keyword && section.name.as_ref().map(|name| name.text.as_str()) == name =>
        {
            Some(section)
        }
        _ => None,
    })
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
fn places(body: &Block, data: &DataNames) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    let mut add = |block: &'static str, prefix: &str, owner: Owner| {
        let fields = schema::block(block).into_iter().flat_map(|block| block.fields);
        found.extend(fields.filter(|field| field.default != Fallback::Later).map(|field| {
            let place = Place { owner: owner.clone(), field: Some(field.name), holds: field.holds };
            (format!("{prefix}{}", field.name), place)
        }));
        if block == "intervene" {
            found.push((format!("{prefix}kind"), Place { owner, field: None, holds: Type::Kind }));
        }
    };
    add("experiment", "", Owner::Experiment);
    add("train", "train.", Owner::Section("train", None));
    add("model", "model.", Owner::Model);
    if !data.together {
        add("data", "data.", Owner::Data(data.names.iter().map(|name| name.span).collect()));
    }
    for name in &data.names {
        add("data", &format!("data.{}.", name.text), Owner::Data(vec![name.span]));
    }
    for entry in &body.entries {
        let Entry::Section(Section { keyword, name: Some(name), .. }) = entry else { continue };
        for block in ["intervene", "eval"] {
            if keyword.text == block {
                add(block, &format!("{block}.{}.", name.text), Owner::Section(block, Some(name.text.clone())));
            }
        }
    }
    found
}
