//! Runs as a table: which rows and columns it has, and what stands in them.

use super::fact::{Fact, are_ambiguous, in_full, is_promise};
use super::paths::Paths;
use super::record::Record;
use super::value::Value;
use crate::difference::varying;
use crate::plan::{Field, PointValue};
use crate::report::sweep::{groups, mean_and_deviation, with_deviation};
use crate::report::table::{Align, Table};
use serde_json::{Map, Value as Json, json};
use std::cmp::Ordering;

/// Runs in the order and with the columns in which they are shown.
#[derive(Clone, Debug)]
pub struct Listing<'r> {
    pub rows: Vec<Row<'r>>,
    /// Paths.
    pub columns: Vec<String>,
    paths: Paths,
}

/// One run, or several that differ by their seed alone.
#[derive(Clone, Debug)]
pub struct Row<'r> {
    pub members: Vec<&'r Record>,
}

impl<'r> Listing<'r> {
    /// A row for each run, with the default columns. `paths` are those that a column may name.
    pub fn new(records: &[&'r Record], paths: Paths) -> Self {
        let columns = default_columns(records, "name");
        Self { rows: records.iter().map(|record| Row { members: vec![record] }).collect(), columns, paths }
    }

    /// A row for all runs of an experiment that differ by their seed alone, in the order of the first of each.
    pub fn grouped(records: &[&'r Record], paths: Paths) -> Self {
        let mut columns = default_columns(records, "experiment");
        if !columns.iter().any(|column| column == "seed") {
            columns.insert(1, "seed".to_owned());
        }
        let by_seed = by_seed(records).into_iter().map(|mut members| {
            members.sort_by_key(|record| record.plan.seed);
            Row { members }
        });
        let rows = by_seed.collect();
        Self { rows, columns, paths }
    }

    /// Sorts by a path, the smallest first, or the largest; rows without a value come last either way.
    pub fn sort(&mut self, path: &str, descending: bool) {
        let mut rows: Vec<(Option<Value>, Row<'r>)> =
            std::mem::take(&mut self.rows).into_iter().map(|row| (row.key(path), row)).collect();
        rows.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) if descending => order(b, a),
            (Some(a), Some(b)) => order(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        self.rows = rows.into_iter().map(|(_, row)| row).collect();
    }

    /// The table for people: headings are the ends of paths that say enough.
    pub fn table(&self) -> Table {
        let titles: Vec<(&str, Align)> =
            self.columns.iter().map(|path| (self.paths.short(path), self.align(path))).collect();
        let mut table = Table::new(&titles);
        for row in &self.rows {
            table.push(self.columns.iter().map(|path| row.text(path, self.is_ambiguous(path))));
        }
        table
    }

    /// The columns that are left out first where the table is too wide: the time, then fields and at last measures, of both the last first.
    pub fn dispensable(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = (1..self.columns.len()).rev().collect();
        columns.sort_by_key(|column| match self.columns[*column].as_str() {
            "when" => 0,
            path if path.starts_with("eval.") => 3,
            "state" => 2,
            _ => 1,
        });
        columns
    }

    /// The table for programs: headings are whole paths, numbers have all their digits, and of measures of several runs the deviation
    /// stands in a column of its own.
    pub fn plain(&self) -> Table {
        let is_spread = |path: &&String| {
            let measured = |record: &&Record| matches!(record.fact(path), Some(Fact::Measured { .. }));
            self.rows.iter().any(|row| row.members.len() > 1 && row.members.iter().any(measured))
        };
        let deviations: Vec<&String> = self.columns.iter().filter(is_spread).collect();
        let mut titles = Vec::new();
        for path in &self.columns {
            titles.push(path.clone());
            if deviations.contains(&path) {
                titles.push(format!("{path}.sd"));
            }
        }
        let mut table = Table::new(&titles.iter().map(|title| (title.as_str(), Align::Left)).collect::<Vec<_>>());
        for row in &self.rows {
            let mut cells = Vec::new();
            for path in &self.columns {
                let values = row.measured(path);
                match mean_and_deviation(&values) {
                    Some((mean, deviation)) => {
                        cells.push(if mean.is_finite() { mean.to_string() } else { String::new() });
                        if deviations.contains(&path) {
                            cells.push(deviation.map_or_else(String::new, |deviation| deviation.to_string()));
                        }
                    }
                    None => {
                        cells.push(row.plain(path));
                        cells.extend(deviations.contains(&path).then(String::new));
                    }
                }
            }
            table.push(cells);
        }
        table
    }

    /// Every fact of every run, whatever the columns; of grouped runs what they share, and their measures.
    pub fn json(&self, is_grouped: bool) -> Json {
        let rows = self.rows.iter().map(|row| {
            if is_grouped { row.json() } else { row.members.first().map_or(Json::Null, |record| record.json()) }
        });
        Json::Array(rows.collect())
    }

    fn align(&self, path: &str) -> Align {
        let facts = self.rows.iter().flat_map(|row| &row.members).filter_map(|record| record.fact(path));
        let mut facts = facts.peekable();
        if facts.peek().is_some() && facts.all(|fact| fact.is_number()) { Align::Right } else { Align::Left }
    }

    /// Whether some runs write the same there and mean different things, or name different contents.
    fn is_ambiguous(&self, path: &str) -> bool {
        let fields = self.rows.iter().flat_map(|row| &row.members).filter_map(|record| match record.fact(path) {
            Some(Fact::Field(field)) => Some(field),
            _ => None,
        });
        are_ambiguous(&fields.collect::<Vec<Field>>())
    }
}

impl Row<'_> {
    fn facts(&self, path: &str) -> Vec<Fact> {
        self.members.iter().filter_map(|record| record.fact(path)).collect()
    }

    /// The measures of its runs under a path; empty for what is no measure.
    fn measured(&self, path: &str) -> Vec<f64> {
        let value = |fact: Fact| match fact {
            Fact::Measured { value, .. } => Some(value),
            _ => None,
        };
        self.facts(path).into_iter().filter_map(value).collect()
    }

    fn text(&self, path: &str, is_ambiguous: bool) -> String {
        let facts = self.facts(path);
        match facts.first() {
            None => "–".to_owned(),
            Some(Fact::Measured { unit, .. }) => with_deviation(&self.measured(path), |value| unit.text(value)),
            Some(_) => distinct(facts.iter().map(|fact| match fact {
                Fact::Field(field) if is_ambiguous => in_full(field),
                fact => fact.text(),
            })),
        }
    }

    fn plain(&self, path: &str) -> String {
        distinct(self.facts(path).iter().map(|fact| match fact.json() {
            Json::String(text) => text,
            Json::Null => String::new(),
            other => other.to_string(),
        }))
    }

    /// What it is sorted by: the mean of measures.
    fn key(&self, path: &str) -> Option<Value> {
        match mean_and_deviation(&self.measured(path)) {
            Some((mean, _)) => mean.is_finite().then_some(Value::Number(mean)),
            None => self.facts(path).first()?.values().into_iter().next(),
        }
    }

    fn json(&self) -> Json {
        let names: Vec<String> = self.members.iter().map(|record| record.name()).collect();
        let seeds: Vec<Option<u64>> = self.members.iter().map(|record| record.plan.seed).collect();
        let Some(first) = self.members.first() else { return Json::Null };
        let mut measures = Map::new();
        for path in first.measures() {
            let values = self.measured(&path);
            if let Some((mean, deviation)) = mean_and_deviation(&values) {
                measures.insert(path, json!({ "mean": mean, "deviation": deviation, "values": values }));
            }
        }
        let fields = fields(first, |path| path != "seed");
        json!({ "experiment": first.run.experiment, "runs": names, "seeds": seeds, "fields": fields, "measures": measures })
    }
}

impl Record {
    /// All of a run for programs.
    pub fn json(&self) -> Json {
        let own = |path: &str| self.fact(path).map_or(Json::Null, |fact| fact.json());
        let mut object = Map::new();
        for path in ["name", "experiment", "folder", "when"] {
            object.insert(path.to_owned(), own(path));
        }
        object.insert("state".to_owned(), json!(self.state));
        for path in
            ["parameters", "share", "steps", "loss", "seconds", "tokens_per_second", "seed", "device", "git", "reftc"]
        {
            object.insert(path.to_owned(), own(path));
        }
        let measures: Map<String, Json> = self.measures().into_iter().map(|path| (path.clone(), own(&path))).collect();
        object.insert("measures".to_owned(), Json::Object(measures));
        object.insert("fields".to_owned(), Json::Object(fields(self, |_| true)));
        Json::Object(object)
    }
}

/// The fields of a run by their paths.
fn fields(record: &Record, wanted: impl Fn(&str) -> bool) -> Map<String, Json> {
    let fields = record.roles.iter().filter(|field| !is_promise(field) && wanted(&field.path));
    fields.map(|field| (field.path.clone(), Fact::Field(field.clone()).json())).collect()
}

/// The runs of each experiment that differ by their seed alone.
pub fn by_seed<'r>(records: &[&'r Record]) -> Vec<Vec<&'r Record>> {
    let settings = |record: &&Record| -> Vec<PointValue> {
        let own = PointValue { path: "experiment".to_owned(), value: record.run.experiment.clone() };
        let told = record.roles.iter().filter(|field| !is_promise(field));
        let told = told.map(|field| PointValue {
            path: field.path.clone(),
            value: format!("{} {}", field.means, field.content.as_deref().unwrap_or_default()),
        });
        [own].into_iter().chain(told).collect()
    };
    let settings: Vec<Vec<PointValue>> = records.iter().map(settings).collect();
    let groups = groups(settings.iter().map(Vec::as_slice));
    groups.into_iter().map(|group| group.into_iter().filter_map(|at| records.get(at).copied()).collect()).collect()
}

/// What names a row, its state and time; the fields in which the runs differ; and what was measured.
fn default_columns(records: &[&Record], name: &str) -> Vec<String> {
    let mut columns: Vec<String> = [name, "state", "when"].map(str::to_owned).into();
    let fields: Vec<&[Field]> = records
        .iter()
        .filter(|record| !record.plan.fields.is_empty())
        .map(|record| record.plan.fields.as_slice())
        .collect();
    let varying = varying(&fields).into_iter().map(|varying| varying.path);
    // A block that only some have stands under the field that says most about it.
    let field = |path: String| {
        let telling = [path.clone(), format!("{path}.kind"), format!("{path}.on")];
        telling.into_iter().find(|path| records.iter().any(|record| record.field(path).is_some()))
    };
    columns.extend(varying.filter(|path| !path.starts_with("expect.")).filter_map(field));
    for record in records {
        for eval in record.evals() {
            let path = format!("eval.{}.{}", eval.name, eval.metric.name());
            if !columns.contains(&path) {
                columns.push(path);
            }
        }
    }
    columns
}

/// Each text once, in the order of the first of each.
fn distinct(texts: impl Iterator<Item = String>) -> String {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found.join(", ")
}

/// Numbers before texts.
fn order(left: &Value, right: &Value) -> Ordering {
    let is_number = |value: &Value| matches!(value, Value::Number(_));
    left.order(right).unwrap_or_else(|| is_number(right).cmp(&is_number(left)))
}
