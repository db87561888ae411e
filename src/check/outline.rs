//! What an experiment says, field by field, whether or not its model and its rows are at hand.

use super::spec::{FieldOrigin, Outline};
use super::sweep::Sweep;
use crate::syntax::tree::Ident;
use std::collections::BTreeSet;

/// The outline of an experiment from the fields of each of its points.
pub fn outline(name: &Ident, sweep: &Sweep, points: &[Vec<FieldOrigin>]) -> Outline {
    let swept = sweep.fields.iter().filter_map(|field| place(field.path.strip_prefix("sweep.")?, points));
    let swept: Vec<&str> = swept.collect();
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    let mut fields: Vec<FieldOrigin> = Vec::new();
    for field in points.iter().flatten() {
        // Points differ in the swept fields, and in the model and the data that these may name.
        let promise = field.path.starts_with("expect.");
        let known = if promise { fields.contains(field) } else { !paths.insert(field.path.as_str()) };
        if !known && !swept.contains(&field.path.as_str()) {
            fields.push(field.clone());
        }
    }
    let grid = sweep.fields.iter().all(|field| field.path != "sweep.points" || field.means == "grid");
    fields.extend(sweep.fields.iter().cloned().map(|field| match field.means.is_empty() {
        true => FieldOrigin { means: values(&field, points, grid), ..field },
        false => field,
    }));
    Outline { name: name.text.clone(), fields }
}

/// The values of a swept field. In a grid their order means nothing; else they belong to those of the other fields.
fn values(field: &FieldOrigin, points: &[Vec<FieldOrigin>], grid: bool) -> String {
    let path = field.path.strip_prefix("sweep.").and_then(|path| place(path, points)).unwrap_or_default();
    let values = points.iter().filter_map(|fields| fields.iter().find(|field| field.path == path));
    let values = values.map(|field| field.means.as_str());
    let values: Vec<&str> = match grid {
        true => values.collect::<BTreeSet<_>>().into_iter().collect(),
        false => values.collect(),
    };
    format!("[{}]", values.join(", "))
}

/// The field that a swept path sets: of `data.prompt`, the one of `data.reviews.prompt` and its like that differs.
fn place<'p>(path: &str, points: &'p [Vec<FieldOrigin>]) -> Option<&'p str> {
    let first = points.first()?;
    let short = path.split_once('.').filter(|(owner, _)| matches!(*owner, "model" | "data"));
    let is_meant = |field: &&FieldOrigin| match short {
        _ if field.path == path => true,
        Some((owner, name)) => {
            let rest = field.path.strip_prefix(owner).and_then(|rest| rest.strip_prefix('.'));
            rest.and_then(|rest| rest.split_once('.')).is_some_and(|(_, last)| last == name)
        }
        None => false,
    };
    let differs = |field: &&FieldOrigin| {
        let others = points.iter().filter_map(|fields| fields.iter().find(|other| other.path == field.path));
        others.into_iter().any(|other| other.means != field.means)
    };
    let meant: Vec<&FieldOrigin> = first.iter().filter(is_meant).collect();
    meant.iter().copied().find(differs).or(meant.first().copied()).map(|field| field.path.as_str())
}
