//! The semantic difference of two specs or runs: fields whose values differ, and blocks and experiments that only one side has.
//!
//! What decides nothing makes no difference: layout, comments, names of `let`s and of the model and data of an experiment, the order
//! of fields, and whether a default is written out.

use crate::plan::Field;
use serde::Serialize;
use std::collections::BTreeSet;

/// What one experiment says, field by field, in the order of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub experiment: String,
    pub fields: Vec<Field>,
}

/// What differs, by experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub experiments: Vec<Changed>,
}

/// An experiment that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub experiment: String,
    pub change: Change,
    /// Empty for an experiment that only one side has.
    pub fields: Vec<FieldChange>,
}

/// On which sides something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Removed,
    Changed,
}

/// A field, or a block as a whole, that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// `train.lr`; `eval.dev` for a block that only one side has.
    pub path: String,
    pub change: Change,
    /// `None` where it is added. A block stands with the field that says most about it.
    pub before: Option<Field>,
    /// `None` where it is removed.
    pub after: Option<Field>,
}

impl Difference {
    /// The difference of two sets of experiments, which are matched by name.
    pub fn of(before: &[Outline], after: &[Outline]) -> Self {
        let changed = |name: &str, change, fields| Changed { experiment: name.to_owned(), change, fields };
        let mut experiments = Vec::new();
        for Outline { experiment, fields } in before {
            match after.iter().find(|other| other.experiment == *experiment) {
                Some(other) => match changes(fields, &other.fields) {
                    fields if fields.is_empty() => {}
                    fields => experiments.push(changed(experiment, Change::Changed, fields)),
                },
                None => experiments.push(changed(experiment, Change::Removed, Vec::new())),
            }
        }
        let is_new = |outline: &&Outline| before.iter().all(|other| other.experiment != outline.experiment);
        let new = after.iter().filter(is_new);
        experiments.extend(new.map(|outline| changed(&outline.experiment, Change::Added, Vec::new())));
        Self { experiments }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.experiments.is_empty()
    }
}

/// A field, or a block as a whole, in which several differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Varying {
    pub path: String,
    /// What each of them says, in their order; `None` where one has no such field.
    pub values: Vec<Option<Field>>,
}

/// The fields in which any of several experiments differ, whatever their names.
pub fn varying(all: &[&[Field]]) -> Vec<Varying> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut paths: Vec<String> = Vec::new();
    for change in others.iter().flat_map(|other| changes(first, other)) {
        if !paths.contains(&change.path) {
            paths.push(change.path);
        }
    }
    let sides: Vec<Vec<Field>> = all.iter().map(|fields| by_role(fields)).collect();
    let value = |side: &Vec<Field>, path: &str| {
        let field = side.iter().find(|field| field.path == path).cloned();
        let blocks = || (path == ORDER).then(|| in_order(side)).flatten();
        field.or_else(|| whole(side, path)).or_else(blocks)
    };
    let vary = |path: String| Varying { values: sides.iter().map(|side| value(side, &path)).collect(), path };
    paths.into_iter().map(vary).collect()
}

impl FieldChange {
    fn new(before: Option<Field>, after: Option<Field>) -> Option<Self> {
        let path = before.as_ref().or(after.as_ref())?.path.clone();
        let change = match (&before, &after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        Some(Self { path, change, before, after })
    }

    /// The contents that the values of both sides name, where they are known.
    pub fn contents(&self) -> Option<(&str, &str)> {
        Some((self.before.as_ref()?.content.as_deref()?, self.after.as_ref()?.content.as_deref()?))
    }
}

/// What differs in one experiment.
fn changes(before: &[Field], after: &[Field]) -> Vec<FieldChange> {
    let (before, after) = (by_role(before), by_role(after));
    let mut found = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for Field { path, .. } in before.iter().chain(&after) {
        if !seen.insert(path) {
            continue;
        }
        let block = block_of(path);
        let has =
            |side: &[Field]| block.is_none_or(|block| side.iter().any(|field| block_of(&field.path) == Some(block)));
        match (block, has(&before) && has(&after)) {
            (Some(block), false) => {
                if seen.insert(block) {
                    found.extend(FieldChange::new(whole(&before, block), whole(&after, block)));
                }
            }
            _ => found.extend(pairs(&before, &after, path)),
        }
    }
    found.extend(order(&before, &after));
    found
}

/// The differences of the fields of one path, of which `expect` may have several.
fn pairs(before: &[Field], after: &[Field], path: &str) -> Vec<FieldChange> {
    let of = |side: &[Field]| side.iter().filter(|field| field.path == path).cloned().collect::<Vec<_>>();
    let (mut left, mut right) = (of(before), of(after));
    left.retain(|field| match right.iter().position(|other| same(field, other)) {
        Some(at) => {
            right.remove(at);
            false
        }
        None => true,
    });
    let count = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let pairs = (0..count).map(|_| (left.next(), right.next()));
    // A default that only one side has belongs to a block that only this side has.
    let told = |field: &Option<Field>| field.as_ref().is_some_and(|field| field.place.is_some());
    let pairs = pairs.filter(|(left, right)| (left.is_some() && right.is_some()) || told(left) || told(right));
    pairs.filter_map(|(left, right)| FieldChange::new(left, right)).collect()
}

fn same(left: &Field, right: &Field) -> bool {
    let contents = left.content.as_ref().zip(right.content.as_ref());
    left.means == right.means && contents.is_none_or(|(left, right)| left == right)
}

/// `eval.dev` of `eval.dev.on`: the block that a field belongs to, where an experiment may have several of its sort.
fn block_of(path: &str) -> Option<&str> {
    let (sort, rest) = path.split_once('.')?;
    let (name, _) = rest.split_once('.')?;
    matches!(sort, "intervene" | "eval" | "data").then(|| path.get(..sort.len() + 1 + name.len()))?
}

/// A block as one field: that which says most about it, under the name of the block.
fn whole(side: &[Field], block: &str) -> Option<Field> {
    let fields = || side.iter().filter(|field| block_of(&field.path) == Some(block));
    let telling = |field: &&Field| field.path.ends_with(".kind") || field.path.ends_with(".on");
    let field = fields().find(telling).or_else(|| fields().find(|field| field.place.is_some()))?;
    Some(Field { path: block.to_owned(), ..field.clone() })
}

/// The fields under what they are to the experiment: its model is `model`, its data `data.train` and so on, whatever their names.
pub fn by_role(fields: &[Field]) -> Vec<Field> {
    let name = |path: &str| fields.iter().find(|field| field.path == path).map(|field| field.means.clone());
    let (model, data) = (name("model"), name("data"));
    let role = |path: &str, sort: &str, name: Option<&String>| {
        let rest = path.strip_prefix(&format!("{sort}.{}", name?))?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{sort}{rest}"))
    };
    let named = |field: &Field| {
        let path = role(&field.path, "model", model.as_ref()).or_else(|| role(&field.path, "data", data.as_ref()));
        let rows = data.as_ref().filter(|_| field.path.starts_with("eval.") && field.path.ends_with(".on"));
        let rows = rows.and_then(|data| field.means.strip_prefix(&format!("{data}.")));
        let means = rows.map_or_else(|| field.means.clone(), |split| format!("data.{split}"));
        Field { path: path.unwrap_or_else(|| field.path.clone()), means, ..field.clone() }
    };
    // Several data stay what they are called: their rows follow one another.
    let has_role = |field: &&Field| matches!(field.path.as_str(), "model" | "data") && !field.means.starts_with('[');
    fields.iter().filter(|field| !has_role(field)).map(named).collect()
}

/// Blocks that both sides have, and that act in another order at a place that they share.
fn order(before: &[Field], after: &[Field]) -> Option<FieldChange> {
    let (left, right) = (names(before), names(after));
    let place = |name: &String| right.iter().position(|other| other == name);
    let both: Vec<&String> = left.iter().filter(|name| right.contains(name)).collect();
    let mut swapped =
        both.iter().enumerate().flat_map(|(at, first)| both[at + 1..].iter().map(move |second| (first, second)));
    swapped.find(|(first, second)| place(first) > place(second) && meet(after, first, second))?;
    FieldChange::new(in_order(before), in_order(after))
}

/// The path that the order of blocks is told under.
const ORDER: &str = "intervene";

/// The blocks of interventions in their order, as one field.
fn in_order(side: &[Field]) -> Option<Field> {
    let names = names(side);
    let first = names.first().map(|name| format!("intervene.{name}.kind"))?;
    let field = side.iter().find(|field| field.path == first)?;
    let text = names.join(", then ");
    Some(Field { path: ORDER.to_owned(), value: text.clone(), means: text, ..field.clone() })
}

/// The names of the blocks of interventions.
fn names(side: &[Field]) -> Vec<String> {
    let kinds = side.iter().filter_map(|field| field.path.strip_prefix("intervene.")?.strip_suffix(".kind"));
    kinds.map(str::to_owned).collect()
}

/// Whether two blocks may act at the same place of some layer.
fn meet(fields: &[Field], first: &str, second: &str) -> bool {
    let value = |block: &str, name: &str| {
        let path = format!("intervene.{block}.{name}");
        fields.iter().find(|field| field.path == path).map(|field| field.means.as_str())
    };
    let listed = |block: &str| {
        let list = value(block, "layers")?.strip_prefix('[')?.strip_suffix(']')?;
        Some(list.split(", ").collect::<BTreeSet<_>>())
    };
    let apart = listed(first).zip(listed(second)).is_some_and(|(first, second)| first.is_disjoint(&second));
    value(first, "at") == value(second, "at") && !apart
}
