//! What an experiment trains on: one data, or several one after the other.

use super::Checker;
use super::data::DataDeclaration;
use super::fields::Fields;
use super::spec::{CheckedSplit, SplitFacts};
use super::split::{SplitContext, Use, missing_split};
use super::value::Value;
use crate::data::report::RowShape;
use crate::diag::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::syntax::tree::Ident;
use std::rc::Rc;

/// Data that an experiment trains on, and the place that names it.
pub struct TrainedData {
    pub data: Rc<DataDeclaration>,
    pub place: Span,
}

impl Checker<'_> {
    /// The data of an experiment in the order of its rows; `None` where one of them has errors, which are reported.
    pub(super) fn trained(&mut self, fields: &Fields) -> Option<Vec<TrainedData>> {
        let named = named(fields.get("data")?);
        if named.is_empty() {
            self.sink.push(
                Diagnostic::at(
                    Code::OutOfRange,
                    fields.get("data")?.span,
                    "this list has no data",
                    "nothing to train on",
                )
                .help("write the names of data: `data = [reviews, news]`"),
            );
        }
        // Each is looked at before the first wrong one ends it.
        let found: Vec<Option<TrainedData>> =
            named.into_iter().map(|(name, place)| Some(TrainedData { data: self.data(&name)?, place })).collect();
        for TrainedData { data, place } in found.iter().flatten() {
            if !data.splits.contains_key("train") {
                self.sink.extend(missing_split(data, &Spanned::new("train".to_owned(), *place)));
            }
        }
        found.into_iter().collect::<Option<Vec<_>>>().filter(|found| !found.is_empty())
    }

    /// The training rows as tokens, data for data.
    pub(super) fn training_rows(
        &mut self,
        trained: &[TrainedData],
        context: &SplitContext<'_>,
    ) -> Option<Vec<CheckedSplit>> {
        let rows: Vec<Option<CheckedSplit>> = trained
            .iter()
            .map(|TrainedData { data, place }| {
                let split = Spanned::new("train".to_owned(), *place);
                self.split_facts(data, &split, None, context, Use::Training)
            })
            .collect();
        rows.into_iter().collect()
    }
}

/// The names in the value of a field, each with its place; lists behind `let`s may stand in a list.
pub fn named(value: &Spanned<Value>) -> Vec<(Ident, Span)> {
    match &value.value {
        Value::Name(name) => vec![(name.clone(), value.span)],
        Value::List(items) => items.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

impl SplitFacts {
    /// What the rows of several splits are like together.
    pub fn joined(splits: &[CheckedSplit]) -> Self {
        if let [only] = splits {
            return only.facts.clone();
        }
        let facts = || splits.iter().map(|split| &split.facts);
        let usable: usize = facts().map(|facts| facts.usable).sum();
        let mean = |of: fn(&SplitFacts) -> f64| {
            facts().map(|facts| of(facts) * facts.usable as f64).sum::<f64>() / usable.max(1) as f64
        };
        let alike = splits.windows(2).all(|pair| pair[0].split.prompt == pair[1].split.prompt);
        Self {
            rows: facts().map(|facts| facts.rows).sum(),
            usable,
            mean_prompt: mean(|facts| facts.mean_prompt),
            mean_tokens: mean(|facts| facts.mean_tokens),
            longest_tokens: facts().map(|facts| facts.longest_tokens).max().unwrap_or(0),
            shapes: facts().flat_map(SplitFacts::whole_shapes).collect(),
            // Prompts of other templates may begin alike too, but that cannot be told from these facts.
            shared_start: if alike { facts().map(|facts| facts.shared_start).min().unwrap_or(0) } else { 0 },
        }
    }

    /// The shapes, of which there are as many as usable rows: only some rows may have been looked at.
    fn whole_shapes(&self) -> impl Iterator<Item = RowShape> + '_ {
        let seen: usize = self.shapes.iter().map(|shape| shape.rows).sum();
        let scale = self.usable as f64 / seen.max(1) as f64;
        let scaled = move |rows: usize| ((rows as f64 * scale).round() as usize).max(1);
        self.shapes.iter().map(move |shape| RowShape { rows: scaled(shape.rows), ..shape.clone() })
    }
}
