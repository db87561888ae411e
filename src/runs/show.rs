//! All about one run.

use super::fact::written;
use super::record::{Record, State};
use super::rows::EvalRow;
use crate::data::metric::Metric;
use crate::plan::Field;
use crate::report::shell::quoted;
use crate::report::table::{Align, Style, Table, number, shorten};
use crate::report::units;
use crate::statistics::{Interval, scores};
use crate::store::result::EvalRecord;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// A run with what is worked out from its folder.
#[derive(Clone, Debug)]
pub struct Shown<'r> {
    record: &'r Record,
    /// The 95 % interval of each eval, in their order.
    intervals: Vec<Option<Interval>>,
    files: Vec<StoredFile>,
    go_on: Option<String>,
}

/// A file of a run folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StoredFile {
    /// In the folder.
    pub path: PathBuf,
    pub bytes: u64,
}

impl<'r> Shown<'r> {
    /// Looks at the files of a run; `runs` is the folder that the command line names.
    pub fn of(record: &'r Record, runs: &Path) -> Self {
        let intervals = record.evals().map(|eval| interval(record, eval)).collect();
        Self { record, intervals, files: files(&record.run.path), go_on: record.go_on(runs) }
    }

    /// For people.
    pub fn text(&self, style: Style) -> String {
        let mut text = format!("{}\n", self.heading());
        text.extend(self.record.plan.doc.lines().map(|line| format!("{line}\n")));
        text.push('\n');
        for (name, value) in self.facts() {
            text.push_str(&format!("  {name:<10}  {value}\n"));
        }
        for (title, table) in
            [("\nfields that were set\n", self.set()), ("\nevals\n", self.evals()), ("\nfiles\n", self.sizes())]
        {
            text.push_str(&table.map_or_else(String::new, |table| format!("{title}{}", table.text(style))));
        }
        if let Some(command) = &self.go_on {
            text.push_str(&format!("\nunfinished: `{command}` goes on with it\n"));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let mut json = self.record.json();
        let eval = |(eval, interval): (&EvalRecord, &Option<Interval>)| json!({ "record": eval, "interval": interval });
        let evals: Vec<Json> = self.record.evals().zip(&self.intervals).map(eval).collect();
        if let Some(object) = json.as_object_mut() {
            object.insert("doc".to_owned(), json!(self.record.plan.doc));
            object.insert("specs".to_owned(), json!(self.specs()));
            object.insert("set".to_owned(), json!(self.set_fields()));
            object.insert("environment".to_owned(), json!(self.record.environment));
            object.insert("training".to_owned(), json!(self.record.result.training));
            object.insert("evals".to_owned(), json!(evals));
            object.insert("files".to_owned(), json!(self.files));
            object.insert("go_on".to_owned(), json!(self.go_on));
        }
        json
    }

    fn heading(&self) -> String {
        let fact = |path: &str| self.record.fact(path).map(|fact| fact.text()).unwrap_or_default();
        let why = match &self.record.state {
            State::Damaged { why } => format!(": {why}"),
            _ => String::new(),
        };
        format!("{}  {}{why}  {}", self.record.name(), fact("state"), fact("when"))
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let fact = |path: &str| self.record.fact(path).map(|fact| fact.text());
        let place = self.record.environment.as_ref().map(|environment| {
            let card = environment.card.as_ref().map(|card| format!(", {}", card.name)).unwrap_or_default();
            let threads = units::counted(environment.threads, "thread");
            format!("{}{card}, {threads}, {} {}", environment.device, environment.os, environment.architecture)
        });
        let parameters =
            fact("parameters").zip(fact("share")).map(|(count, share)| format!("{count}, {share} of the model"));
        let training = self.record.result.training.as_ref().map(|training| {
            let kept = training.kept.map(|step| format!(", those of step {step} kept")).unwrap_or_default();
            let speed = fact("tokens_per_second").map(|speed| format!(", {speed} tokens/s")).unwrap_or_default();
            let time = fact("seconds").map(|time| format!(", {time}")).unwrap_or_default();
            format!(
                "{}{kept}, loss {}{time}{speed}",
                units::counted(training.steps, "step"),
                fact("loss").unwrap_or_default()
            )
        });
        let specs = self.specs().join(", ");
        let all = [
            ("spec", (!specs.is_empty()).then_some(specs)),
            ("git", fact("git")),
            ("folder", fact("folder")),
            ("reftc", fact("reftc")),
            ("ran on", place),
            ("parameters", parameters),
            ("training", training),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The files that set its fields, the spec first.
    fn specs(&self) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        for field in self.set_fields() {
            let file = field.place.iter().map(|place| place.file.clone());
            let new: Vec<String> = file.filter(|file| !file.starts_with(SET) && !files.contains(file)).collect();
            files.extend(new);
        }
        files
    }

    fn set_fields(&self) -> Vec<&Field> {
        self.record.plan.fields.iter().filter(|field| field.place.is_some()).collect()
    }

    fn set(&self) -> Option<Table> {
        let mut table = Table::new(&["field", "value", "set at"].map(|title| (title, Align::Left)));
        let fields = self.set_fields();
        for field in &fields {
            table.push([field.path.clone(), shorten(written(field)), field.set_at()]);
        }
        (!fields.is_empty()).then_some(table)
    }

    fn evals(&self) -> Option<Table> {
        let titles =
            ["baseline", "tuned", "95 % interval", "majority class", "rows"].map(|title| (title, Align::Right));
        let mut table = Table::new(&[[("eval", Align::Left), ("metric", Align::Left)].as_slice(), &titles].concat());
        for (eval, interval) in self.record.evals().zip(&self.intervals) {
            let score = |score: Option<f64>| score.map_or_else(|| "–".to_owned(), |score| number(eval.metric, score));
            table.push([
                eval.name.clone(),
                eval.metric.name().to_owned(),
                score(eval.baseline),
                score(Some(eval.tuned)),
                interval.map_or_else(
                    || "–".to_owned(),
                    |interval| self::range(interval, |score| number(eval.metric, score)),
                ),
                eval.majority.map_or_else(|| "–".to_owned(), units::percent),
                units::count(eval.rows as u64),
            ]);
        }
        (!self.intervals.is_empty()).then_some(table)
    }

    fn sizes(&self) -> Option<Table> {
        let mut table = Table::new(&[("file", Align::Left), ("size", Align::Right)]);
        for file in &self.files {
            table.push([file.path.display().to_string(), units::bytes(file.bytes)]);
        }
        (!self.files.is_empty()).then_some(table)
    }
}

/// How fields begin that the command line set: `--set[1]`.
const SET: &str = "--set[";

impl Record {
    /// The command that goes on with an unfinished run; `None` where nothing is left to do.
    pub fn go_on(&self, runs: &Path) -> Option<String> {
        if !matches!(self.state, State::Training { .. } | State::Evaluating) {
            return None;
        }
        let place = match runs == Path::new("runs") {
            true => String::new(),
            false => format!(" --runs {}", quoted(&runs.display().to_string())),
        };
        Some(format!("reftc resume {}{place}", quoted(&self.name())))
    }
}

/// The interval of a score over its rows: by Wilson for shares, by the bootstrap for perplexities.
fn interval(record: &Record, eval: &EvalRecord) -> Option<Interval> {
    match eval.metric {
        Metric::Accuracy | Metric::ExactMatch => scores::of_share(eval.tuned, eval.rows),
        Metric::Perplexity => {
            let losses = record.rows(&eval.name).into_iter().filter_map(|row: EvalRow| row.loss);
            scores::of_perplexity(&losses.map(|loss| (loss.sum, loss.tokens)).collect::<Vec<_>>())
        }
    }
}

/// `70.2 – 81.8 %`: an interval with its unit once.
pub fn range([low, high]: Interval, text: impl Fn(f64) -> String) -> String {
    let (low, high) = (text(low), text(high));
    format!("{} … {high}", low.strip_suffix(" %").filter(|_| high.ends_with(" %")).unwrap_or(&low))
}

/// Every file under a folder, sorted by its path; links count as what they are.
pub fn files(folder: &Path) -> Vec<StoredFile> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(entry.path()),
                Ok(data) => {
                    let path = entry.path();
                    let path = path.strip_prefix(folder).map_or(path.clone(), Path::to_path_buf);
                    found.push(StoredFile { path, bytes: data.len() });
                }
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
