//! `--where`: which runs fulfil a condition.

use super::paths::Paths;
use super::record::Record;
use super::value::Value;
use crate::check::spec::Comparison;
use crate::diag::{Code, Diagnostic, Sink};
use crate::source::FileId;
use crate::syntax::condition::{Compared, Condition};
use crate::syntax::parse_condition;
use crate::syntax::tree::Path;
use std::cmp::Ordering;

/// A condition whose paths are known.
#[derive(Clone, Debug)]
pub struct Filter {
    demand: Demand,
}

#[derive(Clone, Debug)]
enum Demand {
    Any(Vec<Demand>),
    All(Vec<Demand>),
    Not(Box<Demand>),
    Compared { path: String, relation: Relation, value: Value },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Number(Comparison),
    Contains,
    In,
}

impl Filter {
    /// Reads a condition about these runs; `file` is the number of its text.
    ///
    /// # Errors
    /// `E0515` and the codes of wrong literals where it cannot be read or compares what cannot be compared; `E0516` for paths that no
    /// run has.
    pub fn read(file: FileId, text: &str, records: &[Record]) -> Result<Self, Vec<Diagnostic>> {
        let (condition, diagnostics) = parse_condition(file, text);
        let Some(condition) = condition else { return Err(diagnostics) };
        let mut reader = Reader { text, paths: Paths::of(records), records, sink: Sink::default() };
        match reader.demand(&condition).filter(|_| reader.sink.is_empty()) {
            Some(demand) => Ok(Self { demand }),
            None => Err(reader.sink.into_sorted()),
        }
    }

    /// Whether a run fulfils it. A comparison does not hold for a run without its path.
    pub fn holds(&self, record: &Record) -> bool {
        self.demand.holds(record)
    }
}

struct Reader<'a> {
    text: &'a str,
    paths: Paths,
    records: &'a [Record],
    sink: Sink,
}

impl Reader<'_> {
    fn demand(&mut self, condition: &Condition) -> Option<Demand> {
        match condition {
            Condition::Any(parts) => self.all(parts).map(Demand::Any),
            Condition::All(parts) => self.all(parts).map(Demand::All),
            Condition::Not(inner) => self.demand(inner).map(|inner| Demand::Not(Box::new(inner))),
            Condition::Compared(compared) => self.compared(compared),
            Condition::True(path) => {
                let (relation, value) = (Relation::Number(Comparison::Equal), Value::Text("true".to_owned()));
                Some(Demand::Compared { path: self.path(path)?, relation, value })
            }
        }
    }

    /// Every part, so that each error is told.
    fn all(&mut self, parts: &[Condition]) -> Option<Vec<Demand>> {
        let parts: Vec<Option<Demand>> = parts.iter().map(|part| self.demand(part)).collect();
        parts.into_iter().collect()
    }

    fn compared(&mut self, compared: &Compared) -> Option<Demand> {
        let path = self.path(&compared.path);
        let value = Value::of(&compared.value, self.text);
        let relation = match compared.relation.text.as_str() {
            "contains" => Relation::Contains,
            "in" => Relation::In,
            sign => Relation::Number(Comparison::find(sign)?),
        };
        if relation == Relation::In && !matches!(value, Value::List(_)) {
            let diagnostic = Diagnostic::at(Code::BadCondition, compared.value.span, "`in` takes a list", "not a list");
            self.sink.push(diagnostic.help(format!("write `{} in [1, 2, 4]`", compared.path.text())));
            return None;
        }
        let path = path?;
        self.comparable(compared, &path, relation, &value)?;
        Some(Demand::Compared { path, relation, value })
    }

    fn path(&mut self, path: &Path) -> Option<String> {
        let found = self.paths.find(&path.text(), path.span);
        self.sink.keep(found)
    }

    /// Reports a comparison of size that can hold for none of the runs, because it has no meaning for what they have there.
    fn comparable(&mut self, compared: &Compared, path: &str, relation: Relation, value: &Value) -> Option<()> {
        let Relation::Number(comparison) = relation else { return Some(()) };
        if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            return Some(());
        }
        let found: Vec<Value> =
            self.records.iter().filter_map(|record| record.fact(path)?.values().into_iter().next()).collect();
        let Some(first) = found.first() else { return Some(()) };
        if found.iter().any(|own| own.order(value).is_some()) {
            return Some(());
        }
        let message = format!("`{path}` is {}, and {} has no order with it", first.kind(), value.kind());
        let diagnostic = Diagnostic::at(Code::BadCondition, compared.span, message, "cannot be compared by size");
        self.sink.push(diagnostic.help("compare by `==` or `!=`, or with a value of the same kind"));
        None
    }
}

impl Demand {
    fn holds(&self, record: &Record) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Not(inner) => !inner.holds(record),
            Self::Compared { path, relation, value } => {
                record.fact(path).is_some_and(|fact| relation.holds(&fact.values(), value))
            }
        }
    }
}

impl Relation {
    /// Whether one of the forms of a value is so; for `!=`, whether none is equal.
    fn holds(self, forms: &[Value], wanted: &Value) -> bool {
        let equal = || forms.iter().any(|own| own.is(wanted));
        let ordered = |allowed: fn(Ordering) -> bool| forms.iter().any(|own| own.order(wanted).is_some_and(allowed));
        match self {
            Self::Number(Comparison::Equal) => equal(),
            Self::Number(Comparison::NotEqual) => !equal(),
            Self::Number(Comparison::Less) => ordered(Ordering::is_lt),
            Self::Number(Comparison::AtMost) => ordered(Ordering::is_le),
            Self::Number(Comparison::More) => ordered(Ordering::is_gt),
            Self::Number(Comparison::AtLeast) => ordered(Ordering::is_ge),
            Self::Contains => forms.iter().any(|own| own.contains(wanted)),
            Self::In => match wanted {
                Value::List(items) => items.iter().any(|item| forms.iter().any(|own| own.is(item))),
                _ => false,
            },
        }
    }
}
