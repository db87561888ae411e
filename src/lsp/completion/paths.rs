//! Inside `sweep` and `expect`: paths to the fields of the experiment, and to what it promises.

use super::super::markdown;
use super::{Offer, Scene, escaped};
use crate::check::schema::{self, Fallback};
use crate::check::spec::Quantity;
use crate::check::types::Type;
use crate::syntax::tree::{Block, Entry, ExprKind, ItemKind, Section};
use lsp_types::CompletionItemKind;
use std::path::PathBuf;

/// A block with a name that the experiment has or inherits: all that is written of it, the nearest first.
struct Named {
    keyword: &'static str,
    name: String,
    bodies: Vec<Block>,
}

/// The paths that a sweep may vary, the likeliest first, but for those that are written already. Where the `=` is written too, the
/// path alone is inserted.
pub fn swept(scene: &Scene<'_>, written: &dyn Fn(&str) -> bool, assigned: bool) -> Vec<Offer> {
    let blocks = blocks(scene);
    let named = |keyword: &str| {
        let blocks = blocks.iter().filter(move |block| block.keyword == keyword);
        blocks.map(|block| (format!("{}.{}.", block.keyword, block.name), block.keyword)).collect::<Vec<_>>()
    };
    let own = [("train.".to_owned(), "train"), (String::new(), "experiment")];
    let mut offers = Vec::new();
    for (prefix, block) in named("intervene").into_iter().chain(own).chain(named("eval")) {
        let fields = schema::block(block).into_iter().flat_map(|block| block.fields);
        let fields = fields.filter(|field| field.default != Fallback::Later);
        offers.extend(fields.map(|field| {
            let value = match field.default {
                Fallback::Text(text) => text,
                _ => field.holds.example(),
            };
            path(format!("{prefix}{}", field.name), field.holds, value, assigned).documented(markdown::field(field))
        }));
        if block == "intervene" {
            offers.push(path(format!("{prefix}kind"), Type::Kind, Type::Kind.example(), assigned));
        }
    }
    offers.retain(|offer| !written(&offer.label));
    offers
}

fn path(label: String, holds: Type, value: &str, assigned: bool) -> Offer {
    let snippet = if assigned { String::new() } else { format!("{label} = [${{1:{}}}]", escaped(value)) };
    Offer::new(label, CompletionItemKind::FIELD, holds.name()).snippet(snippet)
}

/// What an experiment may promise: numbers of its plan, and measures of its evaluations.
pub fn promised(scene: &Scene<'_>) -> Vec<Offer> {
    let mut offers = measures(scene);
    let quantities = Quantity::ALL.iter().map(|quantity| (quantity.name(), quantity.doc()));
    let numbers = quantities.chain([("train.loss", "the loss of the last step")]);
    offers.extend(numbers.map(|(name, doc)| Offer::new(name, CompletionItemKind::PROPERTY, doc)));
    offers
}

/// `eval.NAME.METRIC` for every evaluation of the experiment.
pub fn measures(scene: &Scene<'_>) -> Vec<Offer> {
    let evals = blocks(scene).into_iter().filter(|block| block.keyword == "eval");
    evals
        .map(|block| {
            let label = format!("eval.{}.{}", block.name, metric(&block.bodies));
            Offer::new(label, CompletionItemKind::PROPERTY, "measured by a run")
        })
        .collect()
}

/// What an evaluation measures: as it says, or by default.
fn metric(bodies: &[Block]) -> String {
    let field = |name: &str| {
        bodies.iter().flat_map(|body| &body.entries).find_map(|entry| match entry {
            Entry::Field(field) if field.name.text() == name => Some(&field.value.kind),
            _ => None,
        })
    };
    match field("metric") {
        Some(ExprKind::Word(word)) => word.text(),
        _ if field("choices").is_some() => "accuracy".to_owned(),
        _ => "exact_match".to_owned(),
    }
}

/// The named blocks of the experiment around the place, its own and those that it inherits.
fn blocks(scene: &Scene<'_>) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut removed: Vec<(String, String)> = Vec::new();
    for (path, experiment) in line(scene) {
        let module = scene.modules.get(&path);
        let bodies = module.into_iter().flat_map(|module| &module.file.items).filter_map(|item| match &item.kind {
            ItemKind::Experiment { name, body, .. } if name.text == experiment => Some(body),
            _ => None,
        });
        for entry in bodies.flat_map(|body| &body.entries) {
            match entry {
                Entry::Section(section) => {
                    let Some((keyword, name)) = named(section) else { continue };
                    if removed.iter().any(|(word, gone)| word == keyword && gone == name) {
                        continue;
                    }
                    match found.iter_mut().find(|block| block.keyword == keyword && block.name == name) {
                        Some(block) => block.bodies.push(section.body.clone()),
                        None => {
                            found.push(Named { keyword, name: name.to_owned(), bodies: vec![section.body.clone()] })
                        }
                    }
                }
                Entry::Remove(remove) => removed.push((remove.keyword.text.clone(), remove.name.text.clone())),
                _ => {}
            }
        }
    }
    found
}

fn named(section: &Section) -> Option<(&'static str, &str)> {
    let keyword = ["intervene", "eval"].into_iter().find(|keyword| *keyword == section.keyword.text)?;
    Some((keyword, &section.name.as_ref()?.text))
}

/// The experiment around the place and those that it extends, each with its file.
fn line(scene: &Scene<'_>) -> Vec<(PathBuf, String)> {
    let head = scene.cursor.open.first().map_or("", |open| open.head.as_str());
    let mut words = head.split_whitespace();
    let (Some("experiment"), Some(name)) = (words.next(), words.next()) else { return Vec::new() };
    let mut line = vec![(scene.document.path.clone(), name.to_owned())];
    while let Some(parent) = line.last().and_then(|(path, name)| scene.modules.parent(path, name)) {
        if line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}
