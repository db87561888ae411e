//! Values in the one form that equal ones share, however they are written: what `reftc diff` compares.

use super::Checker;
use super::types::Type;
use super::value::{FormValue, Layers, Origin, Value, WrittenSource};
use crate::data::positions::Segment;
use crate::data::source::{Dataset, Format, Step};
use crate::data::template::{Part, Template, is_plain};
use crate::source::{Span, Spanned, relative_to};
use crate::syntax::tree::Operator;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Checker<'_> {
    /// A value with its defaults, names of `let`s and spelling gone; paths are relative to the spec.
    pub(super) fn canonical(&self, value: &Value) -> String {
        match value {
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Size(bytes) => bytes.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => list(items.iter().map(|item| self.canonical(&item.value))),
            Value::Form(form) => self.canonical_form(form),
            Value::Layers(layers) => match explicit(layers) {
                Some(layers) => list(layers.iter().map(i64::to_string)),
                None => symbolic(layers),
            },
            Value::Positions(segments) => segments_text(segments.iter().map(|segment| &segment.value)),
            Value::Source(source) => self.source_text(source),
            Value::Template(value) => template(&value.template),
            Value::Kind(kind) => kind.name().to_owned(),
            Value::Name(name) => name.text.clone(),
            Value::Measure { eval, metric } => format!("eval.{}.{}", eval.value, metric.value),
            Value::Split { data, split } => format!("{}.{}", data.text, split.value),
        }
    }

    /// A word or a call, every argument written out.
    pub(super) fn canonical_form(&self, value: &FormValue) -> String {
        let argument = |argument: &Spanned<Value>| match (value.form.makes, value.form.name, argument.value.as_text()) {
            (Type::ModelSource, "path" | "gguf", Some(path)) => self.path_text(argument.span, path),
            _ => self.canonical(&argument.value),
        };
        let arguments = value.form.parameters.iter().zip(&value.arguments);
        let arguments: Vec<String> =
            arguments.map(|(parameter, found)| format!("{}: {}", parameter.name, argument(found))).collect();
        match arguments.as_slice() {
            [] => value.form.name.to_owned(),
            arguments => format!("{}({})", value.form.name, arguments.join(", ")),
        }
    }

    fn source_text(&self, source: &WrittenSource) -> String {
        let steps: String = source.steps.iter().map(step).collect();
        let (path, format) = match &source.origin {
            Origin::File { path, format } => (path, format),
            Origin::Hub(Dataset { repo, config, split, revision }, _) => {
                return format!("hf({repo:?}, split: {split:?}, config: {config:?}, rev: {revision:?}){steps}");
            }
        };
        let (name, options) = match format {
            Format::Json => ("json", String::new()),
            Format::Jsonl => ("jsonl", String::new()),
            Format::Csv(separated) => ("csv", format!(", {separated:?}")),
            Format::Tsv(separated) => ("tsv", format!(", {separated:?}")),
            Format::Parquet => ("parquet", String::new()),
        };
        format!("{name}({:?}{options}){steps}", self.relative(path))
    }

    /// A path that is written at `place`.
    fn path_text(&self, place: Span, path: &str) -> String {
        format!("{:?}", self.relative(&self.modules.locate(place, path)))
    }

    /// A path as it would be written in the spec itself, so that a folder may be moved as a whole.
    fn relative(&self, path: &Path) -> PathBuf {
        relative_to(path, self.modules.root().map_or(Path::new(""), |root| &root.folder))
    }
}

/// Segments of one set of parameters, whose order means nothing.
pub fn tied_text(segments: &[Segment]) -> String {
    segments_text(segments.iter().collect::<BTreeSet<_>>())
}

fn segments_text<'s>(segments: impl IntoIterator<Item = &'s Segment>) -> String {
    segments.into_iter().map(Segment::to_string).collect::<Vec<_>>().join("+")
}

/// The layers that are meant, where that does not depend on the model.
fn explicit(layers: &Layers) -> Option<BTreeSet<i64>> {
    Some(match layers {
        Layers::List(items) => items.iter().map(|item| item.value).collect(),
        Layers::Range { start, end, inclusive } => {
            (start.value..end.value + i64::from(*inclusive)).take(MOST).collect()
        }
        Layers::First(count) => (0..count.value).take(MOST).collect(),
        Layers::All | Layers::Last(_) | Layers::Every(_) | Layers::Depth(_) => return None,
        Layers::Sum(terms) => terms.iter().try_fold(BTreeSet::new(), |mut sum, (operator, term)| {
            let term = explicit(&term.value)?;
            match operator {
                Operator::Add => sum.extend(term),
                Operator::Subtract => sum.retain(|layer| !term.contains(layer)),
            }
            Some(sum)
        })?,
    })
}

/// No model has as many layers.
const MOST: usize = 10_000;

fn symbolic(layers: &Layers) -> String {
    match layers {
        Layers::Last(count) => format!("last({})", count.value),
        Layers::Every(step) => format!("every({step})"),
        Layers::Depth(shares) => {
            let mut shares: Vec<f64> = shares.clone();
            shares.sort_by(f64::total_cmp);
            format!("depth({})", shares.iter().map(f64::to_string).collect::<Vec<_>>().join(", "))
        }
        Layers::Sum(terms) => terms
            .iter()
            .enumerate()
            .map(|(at, (operator, term))| {
                let term = explicit(&term.value)
                    .map_or_else(|| symbolic(&term.value), |layers| list(layers.iter().map(i64::to_string)));
                match operator {
                    Operator::Add if at == 0 => term,
                    Operator::Add => format!(" + {term}"),
                    Operator::Subtract => format!(" - {term}"),
                }
            })
            .collect(),
        _ => "all".to_owned(),
    }
}

fn step(step: &Step) -> String {
    match step {
        // The same rows as without it.
        Step::Slice { start: None | Some(0), end: None } => String::new(),
        Step::Slice { start: Some(0), end } => Step::Slice { start: None, end: *end }.to_string(),
        step => step.to_string(),
    }
}

fn template(template: &Template) -> String {
    match template {
        Template::Text(parts) => text(parts),
        Template::Chat(messages) => {
            let messages = messages.iter().map(|message| format!("{}({})", message.role, text(&message.content)));
            format!("chat({})", list(messages))
        }
    }
}

fn text(parts: &[Part]) -> String {
    let mut pieces: Vec<String> = Vec::new();
    let mut plain = String::new();
    for part in parts {
        match part {
            Part::Text(text) => plain.push_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Column(name) if is_plain(name) => plain.push_str(&format!("{{{name}}}")),
            Part::Column(name) => plain.push_str(&format!("{{\"{name}\"}}")),
            Part::When { condition, then, otherwise } => {
                if !plain.is_empty() {
                    pieces.push(format!("{:?}", std::mem::take(&mut plain)));
                }
                pieces.push(format!("when({}, {}, {})", text(condition), text(then), text(otherwise)));
            }
        }
    }
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(format!("{plain:?}"));
    }
    pieces.join(" + ")
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}
