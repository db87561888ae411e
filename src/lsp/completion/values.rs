//! Values of a type: its words and calls, names that hold one, arguments.

use super::super::markdown;
use super::super::modules::uses;
use super::super::names::{Definition, Sort};
use super::expected::Expected;
use super::{Offer, Scene, escaped};
use crate::check::schema::{self, Form, Parameter};
use crate::check::types::Type;
use crate::diag::Code;
use crate::intervention::Kind;
use crate::syntax::tree::{Entry, Expr, ExprKind, File, ItemKind};
use lsp_types::CompletionItemKind;
use std::path::PathBuf;

/// What may stand where a value is wanted.
pub fn values(scene: &Scene<'_>) -> Vec<Offer> {
    let Expected::Value { holds, form } = scene.expected else { return Vec::new() };
    let mut offers = Vec::new();
    if let Some(form) = form {
        offers.extend(arguments(scene, form));
    }
    match holds {
        Some(Type::Bool) => {
            offers.extend(["true", "false"].map(|word| Offer::new(word, CompletionItemKind::VALUE, "bool")));
        }
        Some(Type::Kind) => {
            offers.extend(Kind::ALL.map(|kind| {
                let entry = kind.entry();
                Offer::new(entry.name, CompletionItemKind::CLASS, entry.formula).documented(markdown::kind(kind))
            }));
            offers.extend(names(scene, |sort| sort == Sort::Intervention));
        }
        Some(Type::Model) => offers.extend(names(scene, |sort| sort == Sort::Model)),
        Some(Type::Data) => offers.extend(names(scene, |sort| sort == Sort::Data)),
        Some(Type::Split) => offers.extend(splits(scene)),
        Some(holds) => {
            offers.extend(schema::forms(holds).filter(|form| !form.later).map(written));
            if holds == Type::Positions {
                let segments =
                    [("f1", "the first prompt token"), ("l1", "the last prompt token"), ("f3+l3", "three at each end")];
                offers.extend(segments.map(|(word, doc)| Offer::new(word, CompletionItemKind::VALUE, doc)));
            }
            offers.extend(lets(scene, Some(holds)));
        }
        None if form.is_none() => {
            // Whatever a `let` may be.
            offers.extend(schema::forms(Type::Source).filter(|form| !form.later).map(written));
            offers.extend(lets(scene, None));
        }
        None => {}
    }
    offers
}

/// Experiments that can be extended.
pub fn experiments(scene: &Scene<'_>) -> Vec<Offer> {
    names(scene, |sort| sort == Sort::Experiment)
}

/// Types that a `let` can have.
pub fn types() -> Vec<Offer> {
    let named = Type::ALL.iter().filter(|holds| !holds.name().contains(' '));
    named.map(|holds| Offer::new(holds.name(), CompletionItemKind::TYPE_PARAMETER, holds.example())).collect()
}

/// Warnings that can be allowed.
pub fn warnings() -> Vec<Offer> {
    let offer = |code: Code| {
        Offer::new(code.name(), CompletionItemKind::ENUM_MEMBER, code.as_str()).documented(markdown::warning(code))
    };
    Code::lints().map(offer).collect()
}

/// A word or call, its required arguments to be filled in.
fn written(form: &'static Form) -> Offer {
    let kind = if form.parameters.is_empty() { CompletionItemKind::ENUM_MEMBER } else { CompletionItemKind::FUNCTION };
    let offer = Offer::new(form.name, kind, form.doc).documented(markdown::form(form));
    let required = form.parameters.iter().filter(|parameter| parameter.default.is_none());
    let places: Vec<String> = required.enumerate().map(|(at, parameter)| place(at + 1, parameter)).collect();
    match (form.parameters, places.is_empty()) {
        ([], _) => offer,
        ([first, ..], true) => {
            let default = escaped(first.default.unwrap_or_default());
            offer.snippet(format!("{}({}: ${{1:{default}}})", form.name, first.name))
        }
        _ => offer.snippet(format!("{}({})", form.name, places.join(", "))),
    }
}

fn place(number: usize, parameter: &Parameter) -> String {
    match parameter.holds {
        Type::String | Type::Pattern | Type::Template => format!("\"${{{number}:}}\""),
        holds => format!("${{{number}:{}}}", escaped(holds.example().trim_matches(['[', ']']))),
    }
}

/// The named arguments of a call that are not given yet.
fn arguments(scene: &Scene<'_>, form: &'static Form) -> Vec<Offer> {
    let optional = form.parameters.iter().filter(|parameter| parameter.default.is_some());
    let given = scene.document.content()[..scene.at].rfind(form.name).unwrap_or(scene.at);
    let given = &scene.document.content()[given..scene.at];
    optional
        .filter(|parameter| !given.contains(&format!("{}:", parameter.name)))
        .map(|parameter| {
            let default = parameter.default.unwrap_or_default();
            Offer::new(format!("{}:", parameter.name), CompletionItemKind::PROPERTY, parameter.holds.name())
                .documented(markdown::parameter(form, parameter))
                .snippet(format!("{}: ${{1:{}}}", parameter.name, escaped(default)))
        })
        .collect()
}

/// The files whose names can be written: this one, and those it uses, each with what stands before their names.
fn scopes(scene: &Scene<'_>) -> Vec<(String, PathBuf)> {
    let path = &scene.document.path;
    let used = uses(path, scene.document.tree()).map(|(name, used)| (format!("{name}."), used));
    std::iter::once((String::new(), path.clone())).chain(used).collect()
}

fn names(scene: &Scene<'_>, keep: impl Fn(Sort) -> bool) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (before, path) in scopes(scene) {
        let Some(module) = scene.modules.get(&path) else { continue };
        let wanted = module.names.definitions.iter().filter(|definition| keep(definition.sort));
        offers.extend(wanted.map(|definition| named(&before, definition)));
    }
    offers
}

fn named(before: &str, definition: &Definition) -> Offer {
    let kind = match definition.sort {
        Sort::Let => CompletionItemKind::CONSTANT,
        Sort::Model => CompletionItemKind::VARIABLE,
        _ => CompletionItemKind::STRUCT,
    };
    let label = format!("{before}{}", definition.name.text);
    Offer::new(label, kind, definition.sort.description()).documented(definition.doc.clone())
}

/// The `let`s that may hold a value of the type.
fn lets(scene: &Scene<'_>, holds: Option<Type>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (before, path) in scopes(scene) {
        let Some(module) = scene.modules.get(&path) else { continue };
        for item in &module.file.items {
            let ItemKind::Let { name, type_name, value } = &item.kind else { continue };
            let around = path == scene.document.path && item.span.range().contains(&scene.at);
            let found = type_name.as_ref().and_then(|word| Type::find(&word.text)).or_else(|| type_of(value));
            let fits = holds.is_none_or(|holds| found.is_none_or(|found| serves(found, holds)));
            if let Some(definition) = module.names.find(&name.text).filter(|_| fits && !around) {
                offers.push(named(&before, definition));
            }
        }
    }
    offers
}

/// Whether a value of one type can stand where another is wanted.
fn serves(found: Type, holds: Type) -> bool {
    found == holds
        || matches!((found, holds), (Type::Int, Type::Float | Type::Ratio | Type::Clip))
        || matches!((found, holds), (Type::Float | Type::Ratio, Type::Float | Type::Ratio | Type::Clip))
        || matches!((found, holds), (Type::String, Type::Template | Type::Pattern))
}

/// The type of a literal.
fn type_of(value: &Expr) -> Option<Type> {
    match &value.kind {
        ExprKind::Int(_) => Some(Type::Int),
        ExprKind::Float(_) => Some(Type::Float),
        ExprKind::Ratio(_) => Some(Type::Ratio),
        ExprKind::Size(_) => Some(Type::Size),
        ExprKind::Bool(_) => Some(Type::Bool),
        ExprKind::String(_) => Some(Type::String),
        ExprKind::Slice { .. } | ExprKind::Method { .. } => Some(Type::Source),
        ExprKind::Call { name, .. } => {
            schema::FORMS.iter().find(|form| form.name == name.text()).map(|form| form.makes)
        }
        _ => None,
    }
}

/// `data.split` for every split that is written.
fn splits(scene: &Scene<'_>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (before, path) in scopes(scene) {
        if let Some(module) = scene.modules.get(&path) {
            offers.extend(splits_of(&before, &module.file));
        }
    }
    offers
}

fn splits_of(before: &str, file: &File) -> Vec<Offer> {
    let mut offers = Vec::new();
    for item in &file.items {
        let ItemKind::Data { name, body } = &item.kind else { continue };
        for entry in &body.entries {
            let Entry::Field(written) = entry else { continue };
            let split = written.name.text();
            let field = schema::block("data").and_then(|block| block.field(&split));
            if let Some(field) = field.filter(|field| field.holds == Type::Source) {
                let label = format!("{before}{}.{split}", name.text);
                offers.push(Offer::new(label, CompletionItemKind::FIELD, field.doc));
            }
        }
    }
    offers
}
