//! What a run has at a path: a field of its spec, a measure, or a fact of the run itself.

use super::record::{Record, State};
use super::value::Value;
use crate::data::metric::Metric;
use crate::plan::Field;
use crate::report::table::{number, shorten};
use crate::report::units;
use crate::store::clock;
use crate::store::result::EvalRecord;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The paths that are no fields, but for those of evals.
pub const OWN: [&str; 16] = [
    "name",
    "experiment",
    "folder",
    "state",
    "when",
    "doc",
    "parameters",
    "share",
    "steps",
    "loss",
    "seconds",
    "tokens_per_second",
    "seed",
    "device",
    "git",
    "reftc",
];

/// One fact of a run.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A field of the spec.
    Field(Field),
    /// What was measured; of several runs the mean is told.
    Measured { value: f64, unit: Unit },
    /// A number that is no measure.
    Counted { value: f64, text: String },
    /// A text, and other forms of it that conditions may name; the first of them is for programs.
    Text { text: String, forms: Vec<String> },
}

/// How a measure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Score(Metric),
    /// A share of rows.
    Share,
    Loss,
    Seconds,
    Rate,
}

impl Unit {
    /// The measure as people read it.
    pub fn text(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "–".to_owned(),
            Self::Score(metric) => number(metric, value),
            Self::Share => units::percent(value),
            Self::Loss => format!("{value:.4}"),
            Self::Seconds => units::duration(Duration::try_from_secs_f64(value).unwrap_or_default()),
            Self::Rate => units::count(value.round().max(0.0) as u64),
        }
    }
}

impl Fact {
    fn text_only(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Text { forms: vec![text.clone()], text }
    }

    fn counted(value: f64, text: String) -> Self {
        Self::Counted { value, text }
    }

    /// Every value that a condition may find in it.
    pub fn values(&self) -> Vec<Value> {
        match self {
            Self::Field(field) => vec![Value::read(&field.means), Value::read(&field.value)],
            Self::Measured { value, .. } | Self::Counted { value, .. } => vec![Value::Number(*value)],
            Self::Text { forms, .. } => forms.iter().cloned().map(Value::Text).collect(),
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Self::Field(field) => shorten(written(field)),
            Self::Measured { value, unit } => unit.text(*value),
            Self::Counted { text, .. } | Self::Text { text, .. } => text.clone(),
        }
    }

    /// For programs: numbers in full, fields in the form that equal values share.
    pub fn json(&self) -> Json {
        match self {
            Self::Field(field) => match Value::read(&field.means) {
                Value::Number(_) => {
                    field.means.parse::<i64>().map_or_else(|_| json!(field.means.parse::<f64>().ok()), Json::from)
                }
                Value::Text(text) if matches!(text.as_str(), "true" | "false") => json!(text == "true"),
                Value::Text(text) => json!(text),
                _ => json!(field.means),
            },
            Self::Measured { value, .. } => json!(value.is_finite().then_some(value)),
            Self::Counted { value, .. } if value.fract() == 0.0 && *value >= 0.0 => json!(*value as u64),
            Self::Counted { value, .. } => json!(value),
            Self::Text { text, forms } => json!(forms.first().unwrap_or(text)),
        }
    }

    /// Whether it is written at the right side of its column.
    pub fn is_number(&self) -> bool {
        !matches!(self, Self::Text { .. }) && matches!(self.values().as_slice(), [Value::Number(_), ..])
    }
}

/// As it is written, where that says as much as what it means: not `hidden_rank` for `4`.
pub fn written(field: &Field) -> &str {
    let is_number = |text: &str| matches!(Value::read(text), Value::Number(_));
    if is_number(&field.means) && !is_number(&field.value) { &field.means } else { &field.value }
}

/// Whether some of these fields are written alike and mean different things, or name different contents.
pub fn are_ambiguous<'f>(fields: impl IntoIterator<Item = &'f Field>) -> bool {
    let mut known: BTreeMap<&str, &Field> = BTreeMap::new();
    fields.into_iter().any(|field| {
        let other = known.entry(written(field)).or_insert(field);
        let contents = other.content.as_ref().zip(field.content.as_ref());
        other.means != field.means || contents.is_some_and(|(one, other)| one != other)
    })
}

/// A field where what is written does not tell it from another.
pub fn in_full(field: &Field) -> String {
    let content = field.content.as_deref().map(|content| format!(", content {}", units::short_hash(content)));
    format!("{}{}", shorten(&field.means), content.unwrap_or_default())
}

impl Record {
    /// What the run has at that path.
    pub fn fact(&self, path: &str) -> Option<Fact> {
        match path.strip_prefix("eval.").and_then(|rest| rest.rsplit_once('.')) {
            Some((name, what)) if let Some(fact) = self.measure(name, what) => Some(fact),
            _ => self.own(path).or_else(|| self.field(path).cloned().map(Fact::Field)),
        }
    }

    /// The field at a path: under what it is to the experiment, or under the name that the spec gives it.
    pub fn field(&self, path: &str) -> Option<&Field> {
        self.roles.iter().chain(&self.plan.fields).find(|field| field.path == path && !is_promise(field))
    }

    fn measure(&self, name: &str, what: &str) -> Option<Fact> {
        let eval = self.evals().find(|eval| eval.name == name)?;
        let (value, unit) = match what {
            "baseline" => (eval.baseline?, Unit::Score(eval.metric)),
            "majority" => (eval.majority?, Unit::Share),
            _ if what == eval.metric.name() => (eval.tuned, Unit::Score(eval.metric)),
            "rows" => return Some(Fact::counted(eval.rows as f64, units::count(eval.rows as u64))),
            _ => return None,
        };
        Some(Fact::Measured { value, unit })
    }

    fn own(&self, path: &str) -> Option<Fact> {
        let measured = |value, unit| Some(Fact::Measured { value, unit });
        let training = self.result.training.as_ref();
        match path {
            "name" => Some(Fact::Text { text: self.name(), forms: vec![self.name(), self.run.digits.clone()] }),
            "experiment" => Some(Fact::text_only(&self.run.experiment)),
            "folder" => Some(Fact::text_only(self.run.path.display().to_string())),
            "state" => Some(Fact::Text { text: self.state.text(), forms: self.state_forms() }),
            "when" => {
                let time = clock::utc(self.run.changed);
                let short = time.get(..16).unwrap_or(&time).replace('T', " ");
                Some(Fact::Text { text: short, forms: vec![time] })
            }
            "doc" => (!self.plan.doc.is_empty()).then(|| Fact::text_only(&self.plan.doc)),
            "parameters" => {
                let count = self.plan.parameters?.interventions;
                Some(Fact::counted(count as f64, units::count(count)))
            }
            "share" => {
                let share = self.plan.parameters?.share;
                Some(Fact::counted(share, units::small_percent(share)))
            }
            "steps" => Some(Fact::counted(self.steps() as f64, units::count(self.steps() as u64))),
            "loss" => measured(training?.final_loss, Unit::Loss),
            "seconds" => measured(self.timing()?.seconds, Unit::Seconds),
            "tokens_per_second" => measured(self.timing()?.tokens_per_second, Unit::Rate),
            "seed" => self.plan.seed.map(|seed| Fact::counted(seed as f64, seed.to_string())),
            "device" => {
                let exact = self.environment.as_ref().map(|environment| environment.device.clone());
                let kind = training.map(|training| training.device.clone());
                let forms: Vec<String> = exact.into_iter().chain(kind).collect();
                Some(Fact::Text { text: forms.first()?.clone(), forms })
            }
            "git" => {
                let git = self.environment.as_ref()?.git.as_ref()?;
                let short = units::short_hash(&git.revision).to_owned();
                let text = if git.dirty { format!("{short}, changed") } else { short.clone() };
                Some(Fact::Text { text, forms: vec![git.revision.clone(), short] })
            }
            "reftc" => Some(Fact::text_only(&self.environment.as_ref()?.reftc)),
            _ => None,
        }
    }

    /// What conditions may call the state.
    fn state_forms(&self) -> Vec<String> {
        let unfinished = matches!(self.state, State::Training { .. } | State::Evaluating);
        let word = unfinished.then(|| "unfinished".to_owned());
        [self.state.name().to_owned()].into_iter().chain(word).collect()
    }

    /// The finished evals, those of the spec first.
    pub fn evals(&self) -> impl Iterator<Item = &EvalRecord> {
        self.result.evals.iter().chain(&self.result.earlier)
    }

    /// The paths of its measures, those of the tuned model first: `eval.test.accuracy`.
    pub fn measures(&self) -> Vec<String> {
        let tuned = self.evals().map(|eval| format!("eval.{}.{}", eval.name, eval.metric.name()));
        let more = ["baseline", "majority", "rows"];
        let more = self.evals().flat_map(|eval| more.map(|what| format!("eval.{}.{what}", eval.name)));
        tuned.chain(more).collect()
    }
}

/// Promises are no settings: they decide nothing.
pub fn is_promise(field: &Field) -> bool {
    field.path.starts_with("expect.")
}
