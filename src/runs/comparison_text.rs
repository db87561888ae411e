//! A comparison in tables and sentences.

use super::comparison::{Comparison, Contrast, EvalComparison, Flip, Test};
use super::fact::{are_ambiguous, in_full, written};
use super::show::range;
use crate::data::metric::Metric;
use crate::difference::Varying;
use crate::plan::Field;
use crate::report::sweep::with_deviation;
use crate::report::table::{Align, Table, change, number, shorten};
use crate::report::units;

/// The end of a prompt tells rows apart; so much of it is shown.
const PROMPT_END: usize = 40;
/// Outputs are shown up to here.
const OUTPUT: usize = 30;

/// A part of a comparison under its title.
pub enum Part {
    Table(String, Table),
    Text(String),
}

impl Comparison {
    /// Fields, scores, what the tests say, and flipped rows.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        match self.fields.as_slice() {
            [] => parts.push(Part::Text("No field differs.".to_owned())),
            fields => parts.push(Part::Table("fields that differ".to_owned(), self.settings(fields))),
        }
        if self.evals.is_empty() {
            parts.push(Part::Text("None of them has measured anything yet.".to_owned()));
            return parts;
        }
        parts.push(Part::Table("scores".to_owned(), self.scores()));
        for (eval, contrast) in self.contrasts() {
            parts.push(Part::Text(self.sentence(eval, contrast)));
        }
        if let Some(warning) = self.warning() {
            parts.push(Part::Text(warning));
        }
        for (eval, contrast) in self.contrasts().filter(|(_, contrast)| !contrast.flips.is_empty()) {
            let title = format!(
                "eval {}, {} against {}: {} wrong → right, {} right → wrong",
                eval.eval,
                self.label(contrast.side),
                self.label(0),
                units::count(contrast.improved as u64),
                units::count(contrast.worsened as u64)
            );
            parts.push(Part::Table(title, self.flips(contrast)));
        }
        parts
    }

    fn contrasts(&self) -> impl Iterator<Item = (&EvalComparison, &Contrast)> {
        self.evals.iter().flat_map(|eval| eval.contrasts.iter().map(move |contrast| (eval, contrast)))
    }

    fn label(&self, side: usize) -> &str {
        self.sides.get(side).map_or("", |side| side.label.as_str())
    }

    fn settings(&self, fields: &[Varying]) -> Table {
        let labels = self.sides.iter().map(|side| (side.label.as_str(), Align::Left));
        let mut table = Table::new(&[("field", Align::Left)].into_iter().chain(labels).collect::<Vec<_>>());
        for varying in fields {
            table.push([varying.path.clone()].into_iter().chain(values(varying)));
        }
        table
    }

    fn scores(&self) -> Table {
        let is_corrected = self.sides.len() > 2;
        let mut columns: Vec<(&str, Align)> = ["eval", "metric", "run"].map(|title| (title, Align::Left)).into();
        columns.extend(["score", "change", "95 % interval", "p"].map(|title| (title, Align::Right)));
        columns.extend(is_corrected.then_some(("p (Holm)", Align::Right)));
        columns.push(("pairs", Align::Right));
        let mut table = Table::new(&columns);
        for eval in &self.evals {
            for (side, score) in eval.scores.iter().enumerate() {
                let contrast = eval.contrasts.iter().find(|contrast| contrast.side == side);
                let tell = |text: fn(&Contrast, Metric) -> String| {
                    contrast.map_or_else(String::new, |contrast| text(contrast, eval.metric))
                };
                let mut row = vec![eval.eval.clone(), eval.metric.name().to_owned(), self.label(side).to_owned()];
                let score = score.as_ref().map_or(&[][..], |score| score.values.as_slice());
                row.push(with_deviation(score, |score| number(eval.metric, score)));
                row.push(tell(|contrast, metric| change(metric, 0.0, contrast.difference)));
                row.push(tell(|contrast, metric| {
                    let bound = |value| change(metric, 0.0, value);
                    contrast.interval.map_or_else(|| "–".to_owned(), |interval| range(interval, bound))
                }));
                row.push(tell(|contrast, _| contrast.p.map_or_else(|| "–".to_owned(), p_value)));
                if is_corrected {
                    row.push(tell(|contrast, _| contrast.corrected.map_or_else(|| "–".to_owned(), p_value)));
                }
                row.push(tell(|contrast, _| match contrast.test {
                    Test::PairedT => units::counted(contrast.runs, "seed"),
                    _ => units::counted(contrast.rows, "row"),
                }));
                table.push(row);
            }
        }
        table
    }

    /// What the test of a contrast says, in words.
    fn sentence(&self, eval: &EvalComparison, contrast: &Contrast) -> String {
        let (this, first) = (self.label(contrast.side), self.label(0));
        let begin = format!("eval {}, {this} against {first}: ", eval.eval);
        let unpaired = match contrast.unpaired {
            0 => String::new(),
            some => format!(" Left out: {} that only one of them has.", units::counted(some, "row")),
        };
        let found = match &contrast.test {
            Test::None { why } => return format!("{begin}no test, for {why}.{unpaired}"),
            Test::Mcnemar => format!(
                "of {} that both answered, {} went from wrong to right and {} from right to wrong. Exact McNemar test",
                units::counted(contrast.rows, "row"),
                units::count(contrast.improved as u64),
                units::count(contrast.worsened as u64)
            ),
            Test::SignFlip => {
                format!("the losses of {} that both have. Sign-flip test", units::counted(contrast.rows, "row"))
            }
            Test::PairedT => {
                format!("the scores of {} that both have. Paired t test", units::counted(contrast.runs, "seed"))
            }
        };
        let p = contrast.p.unwrap_or(1.0);
        format!("{begin}{found}: p {}. {}{unpaired}", equals(p), meaning(p))
    }

    /// Many tests find something by chance.
    fn warning(&self) -> Option<String> {
        let tests = self.tests();
        (self.sides.len() > 2 && tests > 1).then(|| {
            format!(
                "{tests} tests were made, and the more there are, the likelier one is small by chance. `p (Holm)` is corrected \
                 for that: compare it, not `p`, with the level that you have chosen."
            )
        })
    }

    fn flips(&self, contrast: &Contrast) -> Table {
        let is_seeded = contrast.runs > 1;
        let mut columns: Vec<(&str, Align)> = vec![("", Align::Left), ("row", Align::Right)];
        columns.extend(is_seeded.then_some(("seed", Align::Right)));
        columns.extend(
            ["end of the prompt", "gold", self.label(0), self.label(contrast.side)].map(|title| (title, Align::Left)),
        );
        let mut table = Table::new(&columns);
        let (improved, worsened): (Vec<&Flip>, Vec<&Flip>) = contrast.flips.iter().partition(|flip| flip.improved);
        for flip in improved.into_iter().chain(worsened) {
            let way = if flip.improved { "wrong → right" } else { "right → wrong" };
            let mut row = vec![way.to_owned(), flip.row.to_string()];
            row.extend(is_seeded.then(|| flip.seed.map(|seed| seed.to_string()).unwrap_or_default()));
            row.push(end(&flip.prompt));
            row.push(beginning(&flip.gold));
            row.extend(flip.outputs.iter().map(|output| beginning(output)));
            table.push(row);
        }
        table
    }
}

/// What each side says: as written; what it means, where two write the same and mean different things; and contents that differ.
fn values(varying: &Varying) -> Vec<String> {
    let is_ambiguous = are_ambiguous(varying.values.iter().flatten());
    let text = |field: &Option<Field>| match field {
        None => "–".to_owned(),
        Some(field) if is_ambiguous => in_full(field),
        Some(field) => shorten(written(field)),
    };
    varying.values.iter().map(text).collect()
}

/// `= 0.035`, `< 0.0001`
fn equals(p: f64) -> String {
    if p < 1e-4 { format!("< {}", p_value(1e-4)) } else { format!("= {}", p_value(p)) }
}

/// Two digits that count; at least 0.0001.
fn p_value(p: f64) -> String {
    match p {
        ..1e-4 => "<0.0001".to_owned(),
        ..0.001 => format!("{p:.5}"),
        ..0.01 => format!("{p:.4}"),
        ..0.1 => format!("{p:.3}"),
        _ => format!("{p:.2}"),
    }
}

/// What a p-value says, and what it does not.
fn meaning(p: f64) -> String {
    let chance = match p {
        ..1e-4 => "in fewer than 1 of 10 000".to_owned(),
        ..0.01 => format!("in about {:.0} of 10 000", p * 1e4),
        0.995.. => "in all".to_owned(),
        _ => format!("in about {:.0} of 100", p * 100.0),
    };
    let end = if p >= 0.05 { ", so they show no difference; that is no proof that there is none" } else { "" };
    format!("If there were no true difference, one at least as large would be seen {chance} such comparisons{end}.")
}

fn end(prompt: &str) -> String {
    let line = one_line(prompt);
    match line.char_indices().rev().nth(PROMPT_END) {
        Some((at, letter)) => format!("…{}", &line[at + letter.len_utf8()..]),
        None => line,
    }
}

fn beginning(output: &str) -> String {
    let line = one_line(output.trim());
    match line.char_indices().nth(OUTPUT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_have_two_digits_that_count() {
        let written = [1.0, 0.25, 0.0352, 0.00123, 0.000_123, 1e-9].map(p_value);
        assert_eq!(written, ["1.00", "0.25", "0.035", "0.0012", "0.00012", "<0.0001"]);
        assert!(meaning(0.035).contains("in about 4 of 100 such comparisons."), "{}", meaning(0.035));
        assert!(meaning(0.5).ends_with("that is no proof that there is none."));
    }

    #[test]
    fn prompts_end_where_the_answer_begins() {
        assert_eq!(end("Review: fine.\nAnswer:"), "Review: fine.\\nAnswer:");
        let long = format!("{}é", "a".repeat(60));
        assert_eq!(end(&long), format!("…{}é", "a".repeat(39)));
        assert_eq!(beginning(&"b".repeat(40)), format!("{}…", "b".repeat(30)));
    }
}
