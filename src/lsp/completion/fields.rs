//! Declarations of a file, and fields and sections of a block.

use super::super::markdown;
use super::{Offer, Scene, escaped};
use crate::check::schema::{self, Block, Fallback, Field};
use crate::intervention::Kind;
use crate::syntax::tree::{self, Entry, ItemKind};
use lsp_types::CompletionItemKind;

/// What begins a declaration, and how it goes on.
const DECLARATIONS: [(&str, &str, &str); 7] = [
    ("use", "names of another file", "use \"${1:path.reft}\" as ${2:name}"),
    ("let", "a name for a value", "let ${1:name} = ${2:value}"),
    ("model", "a frozen language model", "model ${1:name} = ${2:hf(\"${3:org/name}\")}"),
    (
        "data",
        "rows of a task, and the templates that make them text",
        "data ${1:name} {\n  train  = ${2:json(\"${3:data/train.json}\")}\n  prompt = \"${4:{question\\}\\\\n}\"\n  target = \"${5:{answer\\}}\"\n}",
    ),
    ("intervention", "a named intervention", "intervention ${1:name} = ${2:loreft} {\n  $0\n}"),
    (
        "experiment",
        "a model, data, interventions, a training and its evaluations",
        "experiment ${1:name} {\n  model = ${2:model}\n  data  = ${3:data}\n\n  intervene ${4:edit} = ${5:loreft} {\n    layers    = ${6:all}\n    positions = ${7:f3+l3}\n    rank      = ${8:4}\n  }\n\n  train {\n    epochs = ${9:3}\n    lr     = ${10:9e-4}\n  }\n}",
    ),
    ("allow", ALLOW_DOC, ALLOW),
];

/// Stands at the top level and in every block.
const ALLOW: &str = "allow(${1:warning})";
const ALLOW_DOC: &str = "warnings that are meant here";

/// The sections of an experiment.
const SECTIONS: [(&str, &str); 3] = [
    (
        "intervene",
        "intervene ${1:edit} = ${2:loreft} {\n  layers    = ${3:all}\n  positions = ${4:f3+l3}\n  rank      = ${5:4}\n}",
    ),
    ("train", "train {\n  epochs = ${1:3}\n  lr     = ${2:9e-4}\n}"),
    ("eval", "eval ${1:test} {\n  on = ${2:data.test}\n}"),
];

/// What may stand at the top level.
pub fn declarations() -> Vec<Offer> {
    let offer = |(word, doc, snippet): &(&str, &str, &str)| {
        Offer::new(*word, CompletionItemKind::KEYWORD, *doc).snippet(*snippet)
    };
    DECLARATIONS.iter().map(offer).collect()
}

/// The fields of a block that are not written yet, required ones first, and the sections of an experiment.
pub fn entries(scene: &Scene<'_>, block: &'static Block) -> Vec<Offer> {
    let body = body_at(scene);
    let written = |name: &str| body.is_some_and(|body| has_field(scene, body, name));
    let rest = &scene.document.content()[scene.at..];
    let rest = rest.lines().next().unwrap_or_default();
    let assigned = rest.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
    let assigned = assigned.trim_start().starts_with('=');
    let kind = kind_around(scene);
    let offered = |field: &&Field| {
        field.default != Fallback::Later && !written(field.name) && kind.is_none_or(|kind| fits(kind, field))
    };
    let mut fields: Vec<&Field> = block.fields.iter().filter(offered).collect();
    fields.sort_by_key(|field| field.default != Fallback::Required);
    let mut offers: Vec<Offer> = fields
        .into_iter()
        .map(|field| {
            let detail = format!("{} {}", field.holds.name(), field.fallback());
            let offer = Offer::new(field.name, CompletionItemKind::FIELD, detail.trim_end());
            let offer = offer.documented(markdown::field(field));
            let value = match field.default {
                Fallback::Text(text) => text,
                _ => field.holds.example(),
            };
            if assigned { offer } else { offer.snippet(format!("{} = ${{1:{}}}", field.name, escaped(value))) }
        })
        .collect();
    if block.name == "experiment" {
        for (word, snippet) in SECTIONS {
            let once = word == "train" && body.is_some_and(|body| has_section(body, word));
            let doc = schema::block(word).map_or("", |block| block.doc);
            if !once {
                offers.push(Offer::new(word, CompletionItemKind::KEYWORD, doc).snippet(snippet));
            }
        }
    }
    offers.push(Offer::new("allow", CompletionItemKind::KEYWORD, ALLOW_DOC).snippet(ALLOW));
    offers
}

/// The innermost block around the place.
fn body_at<'s>(scene: &Scene<'s>) -> Option<&'s tree::Block> {
    let inside = |body: &tree::Block| (body.span.start as usize) < scene.at && scene.at <= body.span.end as usize;
    let mut found: Option<&tree::Block> = None;
    for item in &scene.document.tree().items {
        let mut body = match &item.kind {
            ItemKind::Model { body: Some(body), .. }
            | ItemKind::Intervention { body: Some(body), .. }
            | ItemKind::Data { body, .. }
            | ItemKind::Experiment { body, .. } => Some(body),
            _ => None,
        };
        while let Some(block) = body.filter(|body| inside(body)) {
            found = Some(block);
            body = block.entries.iter().find_map(|entry| match entry {
                Entry::Section(section) if inside(&section.body) => Some(&section.body),
                _ => None,
            });
        }
    }
    found
}

/// Whether a field is written, elsewhere than at the place.
fn has_field(scene: &Scene<'_>, body: &tree::Block, name: &str) -> bool {
    body.entries.iter().any(|entry| match entry {
        Entry::Field(field) => {
            let here = field.name.span.start as usize <= scene.at && scene.at <= field.name.span.end as usize;
            !here && field.name.text() == name
        }
        _ => false,
    })
}

fn has_section(body: &tree::Block, keyword: &str) -> bool {
    body.entries.iter().any(|entry| matches!(entry, Entry::Section(section) if section.keyword.text == keyword))
}

/// The kind of the intervention around the place, if one is written.
fn kind_around(scene: &Scene<'_>) -> Option<Kind> {
    let head = &scene.cursor.block()?.head;
    let (name, kind) = head.split_once('=')?;
    name.starts_with("interven").then(|| Kind::find(kind.trim()))?
}

/// Whether interventions of a kind have a field.
fn fits(kind: Kind, field: &Field) -> bool {
    !["act", "bias", "dropout"].contains(&field.name) || kind.entry().has_field(field.name)
}
