//! The layer × token picture of a plan as SVG, and what the plan says.

use super::markup::{definitions, escape};
use crate::model::config::ModelSource;
use crate::plan::Experiment;
use crate::report::grid::{Cell, Column};
use crate::report::{plan, units};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// More tokens than this are not all drawn.
const TOKENS: usize = 84;
/// A plan of more layers than any model has is damaged.
const LAYERS: usize = 1024;
const MARGIN: f64 = 34.0;

/// The plan of a run in words, with its picture.
pub fn html(experiment: &Experiment) -> String {
    let mut facts: Vec<(String, String)> = Vec::new();
    for (name, text) in plan::lines(&with_short_paths(experiment)) {
        match facts.last_mut().filter(|_| name.is_empty()) {
            Some((_, value)) => {
                let _ = write!(value, "<br>{}", escape(&text));
            }
            None => facts.push((name.to_owned(), escape(&text))),
        }
    }
    format!("{}{}", draw(experiment).unwrap_or_default(), definitions(&facts))
}

/// Where files lie on the machine of a run is nothing for those who read about it.
fn with_short_paths(experiment: &Experiment) -> Experiment {
    let mut short = experiment.clone();
    let shorten = |path: &mut PathBuf| *path = end_of(path);
    short.train.splits.iter_mut().for_each(|part| shorten(&mut part.split.source.path));
    short.starts.iter_mut().for_each(|start| shorten(&mut start.folder));
    if let ModelSource::Folder(path) | ModelSource::Gguf(path) = &mut short.model.source {
        shorten(path);
    }
    short
}

/// The last two parts of a path.
fn end_of(path: &Path) -> PathBuf {
    let parts: Vec<_> = path.components().collect();
    parts[parts.len().saturating_sub(2)..].iter().collect()
}

/// `None` for a plan that no compiler made.
fn draw(experiment: &Experiment) -> Option<String> {
    let layers = experiment.model.config.layers;
    let known = |layer: &usize| *layer < layers;
    if layers == 0 || layers > LAYERS || !experiment.interventions.iter().all(|block| block.layers.iter().all(known)) {
        return None;
    }
    let picture = plan::picture(experiment);
    let columns = picture.columns_up_to(TOKENS);
    let rows = picture.rows(&columns);
    let size = (860.0 / columns.len() as f64).clamp(9.0, 22.0);
    let height = if layers > 40 { size.min(9.0) } else { size.min(14.0) };
    let (width, bottom) = (MARGIN + columns.len() as f64 * size, layers as f64 * height);
    let mut paths: Vec<String> = vec![String::new(); Cell::ALL.len()];
    let mut used = vec![false; Cell::ALL.len()];
    for (layer, cells) in rows.iter().enumerate() {
        let y = (layers - 1 - layer) as f64 * height;
        let mut cells = cells.iter();
        for (at, column) in columns.iter().enumerate() {
            let Column::Token(_) = column else { continue };
            let Some(kind) = cells.next().and_then(|cell| Cell::ALL.iter().position(|known| known == cell)) else {
                continue;
            };
            used[kind] = true;
            let x = MARGIN + at as f64 * size;
            let _ =
                write!(paths[kind], "M{:.1} {:.1}h{:.1}v{:.1}h-{2:.1}z", x + 0.75, y + 0.75, size - 1.5, height - 1.5);
        }
    }
    let mut svg = String::new();
    for (number, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = write!(svg, "<path class=\"cell k{number}\" d=\"{path}\"/>");
    }
    marks(&mut svg, &columns, size, bottom);
    let every = if layers <= 16 { 1 } else { 5 };
    for layer in (0..layers).filter(|layer| layer % every == 0 || *layer == layers - 1) {
        let crowded = layer != layers - 1 && layers - 1 - layer < every.min(2);
        if !crowded {
            let y = (layers - 1 - layer) as f64 * height + height / 2.0 + 3.5;
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{layer}</text>",
                MARGIN - 7.0
            );
        }
    }
    let border = columns.iter().position(|column| matches!(column, Column::Border)).unwrap_or(0);
    let token = |count: usize| units::counted(count, "token");
    let (prompt, target) = (token(picture.row.prompt), token(picture.target()));
    let after = MARGIN + (border as f64 + 1.0) * size;
    let _ = write!(
        svg,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"{0:.1}\">prompt, {prompt}</text><text class=\"title\" x=\"{after:.1}\" y=\"{0:.1}\">target, {target}</text>",
        bottom + 18.0
    );
    let legend = Cell::ALL.iter().enumerate().filter(|(number, _)| used[*number]).map(|(number, cell)| {
        let meaning = cell.meaning().trim_start_matches("blank: ");
        format!("<li><span class=\"swatch cell k{number}\"></span>{meaning}</li>")
    });
    Some(format!(
        "<figure class=\"picture\">\n<figcaption>What of a typical training row is computed: layers upwards, tokens from left to right</figcaption>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"picture of the plan\">\
         <svg viewBox=\"0 0 {:.0} {:.0}\" width=\"{0:.0}\" role=\"img\" aria-label=\"{layers} layers, prompt of {prompt}, target of {target}\">{svg}</svg></div>\n\
         <ul class=\"legend\">{}</ul>\n</figure>\n",
        width.max(after + 130.0),
        bottom + 26.0,
        legend.collect::<String>()
    ))
}

/// The line between prompt and target, and the gaps where tokens are left out.
fn marks(svg: &mut String, columns: &[Column], size: f64, bottom: f64) {
    for (at, column) in columns.iter().enumerate() {
        let x = MARGIN + (at as f64 + 0.5) * size;
        let _ = match column {
            Column::Border => write!(svg, "<path class=\"axis\" d=\"M{x:.1} 0V{bottom:.1}\"/>"),
            Column::Gap => {
                let y = bottom / 2.0;
                write!(svg, "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">…</text>")
            }
            Column::Token(_) => Ok(()),
        };
    }
}
