//! The right answers of an evaluation: whether its extractor finds one in each rendered target.

use super::super::Checker;
use super::super::spec::CheckedSplit;
use super::super::value::TemplateValue;
use crate::data::answer::Extractor;
use crate::data::files::rows_of;
use crate::data::report::Count;
use crate::data::source::select;
use crate::data::template::{Template, render};
use crate::diag::{Code, Diagnostic};
use crate::digest;
use crate::source::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At most this many rows are looked at.
const SCANNED_ROWS: usize = 10_000;

/// In how many of the rows there is no gold.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Golds {
    rows: usize,
    without: Count,
}

/// Where the parts of an evaluation are written that decide its right answers.
pub struct Judged<'a> {
    pub answer: Span,
    pub gold: Option<&'a TemplateValue>,
    pub target: Option<&'a TemplateValue>,
}

impl Checker<'_> {
    /// Warns about rows whose target holds no answer: no output can be right there. With a `gold` of its own that is so where no
    /// target holds one, as the model learns to write targets.
    pub(in crate::check) fn gold(
        &mut self,
        split: &CheckedSplit,
        answer: &Extractor,
        judged: &Judged<'_>,
        label: &str,
    ) {
        let Some(golds) = self.golds(split, answer) else { return };
        let Some(first) = golds.without.first else { return };
        let (without, all) = (golds.without.rows, golds.rows);
        if judged.gold.is_some() && without < all {
            return;
        }
        let what = match without == all {
            true => format!("nothing in the target of any of the {all} rows of {label}"),
            false => format!(
                "nothing in the target of {without} of the {all} rows of {label} (the first is row {})",
                first + 1
            ),
        };
        let (end, role, help) = match judged.gold {
            None => (
                "no output can be right there",
                "taken from the target too, to know the right answer",
                "take the answer from what the target says, or name it: `gold = \"{answer}\"`",
            ),
            Some(_) => (
                "an output as the model learns to write it cannot be right",
                "what outputs are searched for",
                "take the answer from what the target says, or leave `answer` out",
            ),
        };
        let message = format!("this `answer` finds {what}: {end}");
        let mut diagnostic = Diagnostic::at(Code::UnscorableGold, judged.answer, message, role);
        if let Some(target) = judged.target {
            diagnostic = diagnostic.label(target.span, "the target that is looked at");
        }
        self.sink.push(diagnostic.help(help));
    }

    /// `None` where the rows cannot be read or rendered, which was reported.
    fn golds(&self, split: &CheckedSplit, answer: &Extractor) -> Option<Golds> {
        let source = &split.split.source;
        let decides = (env!("CARGO_PKG_VERSION"), &split.digest, &source.format, &source.steps);
        let key = digest::of(digest::json(&(decides, &split.split.target, answer, SCANNED_ROWS)));
        if let Some(golds) = self.world.cached("gold", &key).and_then(|text| serde_json::from_str(&text).ok()) {
            return Some(golds);
        }
        let Template::Text(target) = &split.split.target else { return None };
        let (rows, _) = rows_of(source, &|path| self.world.read(path)).ok()?;
        let mut order = select(rows.len(), &source.steps);
        order.truncate(SCANNED_ROWS);
        let mut golds = Golds::default();
        // Extractors are slow beside a look into a map, and targets are often few.
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for (row, number) in order.into_iter().enumerate() {
            let text = render(target, &rows, number).ok()?;
            let found = *known.entry(text).or_insert_with_key(|text| answer.extract(text).is_some());
            golds.rows += 1;
            if !found {
                golds.without.add(row);
            }
        }
        self.world.remember("gold", &key, &digest::json(&golds));
        Some(golds)
    }
}
