//! Which files a source expression reads, as far as the tree and the cache tell.

use super::overlay::Overlay;
use crate::data::source::{Dataset, Format, Separated, Source};
use crate::syntax::tree::{Argument, Expr, ExprKind, File, ItemKind};
use crate::world::World;
use std::path::Path;

/// Longer chains of `let`s are cycles.
const LETS: usize = 16;

/// The files and format of `json("…")`, with slices around it or behind a `let`; of a dataset where it is in the cache.
pub fn find(expr: &Expr, file: &File, folder: &Path, world: &Overlay<'_>) -> Option<Source> {
    source(expr, file, folder, world, LETS)
}

fn source(expr: &Expr, file: &File, folder: &Path, world: &Overlay<'_>, left: usize) -> Option<Source> {
    match &expr.kind {
        ExprKind::Slice { base, .. } | ExprKind::Method { base, .. } => source(base, file, folder, world, left),
        ExprKind::Word(path) => {
            let [name] = path.segments.as_slice() else { return None };
            let declared = file.items.iter().find_map(|item| match &item.kind {
                ItemKind::Let { name: own, value, .. } if own.text == name.text => Some(value),
                _ => None,
            });
            source(declared?, file, folder, world, left.checked_sub(1)?)
        }
        ExprKind::Call { name, arguments } if name.text() == "hf" => world.dataset(&dataset(arguments)?, false).ok(),
        ExprKind::Call { name, arguments } => {
            let path = text(arguments, "file", Some(0))?;
            let format = match name.text().as_str() {
                "json" => Format::Json,
                "jsonl" => Format::Jsonl,
                "csv" => Format::Csv(separated(arguments, Some('"'))),
                "tsv" => Format::Tsv(separated(arguments, None)),
                "parquet" => Format::Parquet,
                _ => return None,
            };
            Some(Source::file(folder.join(path), format))
        }
        _ => None,
    }
}

fn dataset(arguments: &[Argument]) -> Option<Dataset> {
    Some(Dataset {
        repo: text(arguments, "repository", Some(0))?,
        split: text(arguments, "split", Some(1))?,
        config: text(arguments, "config", Some(2)).unwrap_or_default(),
        revision: text(arguments, "rev", Some(3)).unwrap_or_else(|| "main".to_owned()),
    })
}

/// The string of the argument of that name, or at that place.
fn text(arguments: &[Argument], name: &str, at: Option<usize>) -> Option<String> {
    match &argument(arguments, name, at)?.kind {
        ExprKind::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The argument of that name, or without a name at that place.
fn argument<'t>(arguments: &'t [Argument], name: &str, at: Option<usize>) -> Option<&'t Expr> {
    let named = |argument: &&Argument| argument.name.as_ref().is_some_and(|own| own.text == name);
    let unnamed = at.and_then(|at| arguments.get(at)).filter(|argument| argument.name.is_none());
    arguments.iter().find(named).or(unnamed).map(|argument| &argument.value)
}

fn separated(arguments: &[Argument], quote: Option<char>) -> Separated {
    let header = argument(arguments, "header", None).is_none_or(|value| value.kind != ExprKind::Bool(false));
    let columns = match argument(arguments, "columns", None).map(|value| &value.kind) {
        Some(ExprKind::List(items)) => items.iter().filter_map(|item| match &item.kind {
            ExprKind::String(text) => Some(text.clone()),
            _ => None,
        }),
        _ => return Separated { header, columns: Vec::new(), quote: written_quote(arguments).unwrap_or(quote) },
    };
    Separated { header, columns: columns.collect(), quote: written_quote(arguments).unwrap_or(quote) }
}

fn written_quote(arguments: &[Argument]) -> Option<Option<char>> {
    match &argument(arguments, "quote", None)?.kind {
        ExprKind::Word(path) => match path.text().as_str() {
            "none" => Some(None),
            "single" => Some(Some('\'')),
            "double" => Some(Some('"')),
            _ => None,
        },
        _ => None,
    }
}
