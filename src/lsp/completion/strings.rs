//! Inside strings: columns of the data in templates, and names of files.

use super::{Offer, Scene};
use crate::check::types::Type;
use crate::source::without_detours;
use lsp_types::CompletionItemKind;
use std::path::Path;

/// What may stand in a string that begins with `text`, and how much of that is replaced.
pub fn offers(scene: &Scene<'_>, text: &str) -> (Vec<Offer>, usize) {
    if scene.expected.holds() == Some(Type::Template) {
        let column = open_place(text);
        return (column.map_or(Vec::new(), |_| columns(scene)), column.map_or(0, str::len));
    }
    let file = text.rsplit('/').next().unwrap_or_default();
    let folder = &text[..text.len() - file.len()];
    let found = match caller(scene) {
        Some("json" | "jsonl" | "csv" | "tsv" | "parquet") => {
            files(scene, folder, &["json", "jsonl", "csv", "tsv", "parquet"])
        }
        Some("gguf") => files(scene, folder, &["gguf"]),
        Some("path") => files(scene, folder, &[]),
        Some("embedded") => vec![Offer::new("tiny", CompletionItemKind::VALUE, "the model that is part of reftc")],
        None if scene.cursor.entry.trim_start().starts_with("use ") => files(scene, folder, &["reft"]),
        _ => Vec::new(),
    };
    (found, file.len())
}

/// The call that the string is an argument of.
fn caller<'s>(scene: &Scene<'s>) -> Option<&'s str> {
    let open = scene.cursor.inside().last().filter(|open| open.bracket == '(')?;
    open.head.rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
}

/// What is written of a `{column}` that is still open.
fn open_place(text: &str) -> Option<&str> {
    let mut open = None;
    let mut at = 0;
    while let Some(step) = text[at..].find(['{', '}']) {
        at += step;
        let rest = &text[at..];
        let doubled = rest.starts_with("{{") || rest.starts_with("}}");
        open = (!doubled && rest.starts_with('{')).then_some(at + 1);
        at += if doubled { 2 } else { 1 };
    }
    open.map(|start| text[start..].trim_start_matches(['\\', '"']))
}

/// The columns of the data around the place, or, in an experiment, of all data.
fn columns(scene: &Scene<'_>) -> Vec<Offer> {
    let Some(facts) = scene.workspace.facts.get(&scene.document.path) else { return Vec::new() };
    let head = scene.cursor.block().map_or("", |open| open.head.as_str());
    let around = head.strip_prefix("data ").map(str::trim);
    let rest = &scene.document.content()[scene.at..];
    let closed = rest.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_').starts_with('}');
    let mut offers: Vec<Offer> = Vec::new();
    for (data, columns) in &facts.columns {
        if around.is_some_and(|around| around != data) {
            continue;
        }
        for column in columns {
            if offers.iter().any(|offer| offer.label == *column) {
                continue;
            }
            let offer = Offer::new(column, CompletionItemKind::FIELD, format!("a column of `{data}`"));
            let text = if is_plain(column) { column.clone() } else { format!("\\\\\"{column}\\\\\"") };
            offers.push(match (closed, is_plain(column)) {
                (true, true) => offer,
                (true, false) => offer.snippet(text),
                (false, _) => offer.snippet(format!("{text}\\}}")),
            });
        }
    }
    offers
}

/// Whether a column's name needs no quotes in a template.
fn is_plain(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    begins && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The files of these extensions, and the folders, in a folder beside the spec.
fn files(scene: &Scene<'_>, folder: &str, extensions: &[&str]) -> Vec<Offer> {
    let beside = scene.document.path.parent().unwrap_or(Path::new(""));
    let looked_at = without_detours(&beside.join(folder));
    let own = match &scene.document.path {
        path if path.parent() == Some(&looked_at) => path.file_name(),
        _ => None,
    };
    let mut offers = Vec::new();
    for name in scene.workspace.world.list(&looked_at) {
        let path = Path::new(&name);
        let extension = path.extension().and_then(|extension| extension.to_str());
        if name.starts_with('.') || own.is_some_and(|own| own == path.as_os_str()) {
            continue;
        }
        if extension.is_some_and(|extension| extensions.contains(&extension)) {
            offers.push(Offer::new(name, CompletionItemKind::FILE, ""));
        } else if extension.is_none() && !scene.workspace.world.list(&looked_at.join(&name)).is_empty() {
            offers.push(Offer::new(format!("{name}/"), CompletionItemKind::FOLDER, ""));
        }
    }
    offers
}
