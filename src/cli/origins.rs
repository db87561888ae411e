//! Where the fields of an experiment were set.

use crate::check::Spec;
use crate::check::spec::Experiment;
use crate::report::table::{Align, Style, Table};
use crate::source::{Sources, Span};

/// Wider values are cut.
const WIDTH: usize = 60;

/// A table for each experiment of that name, or for all: field, value as written, and the file and line of it. Of a sweep the first point is
/// shown.
pub fn text(spec: &Spec, only: Option<&str>, sources: &Sources, style: Style) -> String {
    let mut texts = Vec::new();
    let mut shown = Vec::new();
    for experiment in &spec.experiments {
        if only.is_some_and(|name| name != experiment.name) || shown.contains(&&experiment.name) {
            continue;
        }
        shown.push(&experiment.name);
        texts.push(format!("experiment {}\n{}", experiment.name, table(experiment, sources).text(style)));
    }
    texts.join("\n")
}

fn table(experiment: &Experiment, sources: &Sources) -> Table {
    let mut table = Table::new(&["field", "value", "set at"].map(|title| (title, Align::Left)));
    for origin in &experiment.origins {
        let place = origin.place.map_or_else(|| "default".to_owned(), |place| line(place, sources));
        table.push([origin.path.clone(), shorten(&origin.value), place]);
    }
    table
}

/// `specs/base.reft:31`
fn line(place: Span, sources: &Sources) -> String {
    match sources.file(place.file) {
        Some(file) => format!("{}:{}", file.path.display(), file.line_column(place.start as usize).0),
        None => String::new(),
    }
}

/// One line of limited width.
fn shorten(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
